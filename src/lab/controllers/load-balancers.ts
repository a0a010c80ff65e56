/**
 * The lab's load balancer: a Service of type LoadBalancer gets a loopback address of the host, on which each of its ports is relayed
 * into the lab. This side gives the addresses and holds one unix socket a port; the launcher, outside, holds the other half.
 *
 *   host 127.18.X.N:port ─ launcher ─ unix socket ─ this ─ a ready endpoint of the Service
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Service } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { slicesOfService } from '../dns/zone.ts';
import type { LabEvent } from '../events.ts';
import { type Relay, startRelay } from '../launcher/relay.ts';
import { BALANCERS_MAX } from '../limits.ts';
import { virtualPorts } from '../services/ruleset.ts';
import { type Cluster, onAny } from './cluster.ts';
import { keyOf, Reconciler, splitKey } from './reconciler.ts';

type Balanced = Extract<LabEvent, { event: 'balancer' }>;

interface Balancer {
  readonly index: number;
  readonly relays: Map<number, Relay>;
}

/** Of 127.0.0.0/8 a part of its own for each lab: several may run on one machine. */
export function balancerAddress(stateDirectory: string, index: number): string {
  const lab = 1 + Number(BigInt(Bun.hash(stateDirectory)) % 250n);
  return `127.18.${lab}.${index}`;
}

/** TCP ports of a Service that asks for a balancer; empty when it does not, or has no address to dial. */
export function balancedPorts(service: Service | undefined): number[] {
  if (service?.spec.type !== 'LoadBalancer') return [];
  const { clusterIP, ports = [] } = service.spec;
  if (clusterIP === undefined || clusterIP === '' || clusterIP === 'None') return [];
  return ports.filter(({ protocol = 'TCP' }) => protocol === 'TCP').map(({ port }) => port);
}

export function startLoadBalancers(
  cluster: Cluster,
  options: { stateDirectory: string; tell: (event: Balanced) => void },
): void {
  const { client, services, slices } = cluster;
  const { stateDirectory, tell } = options;
  const log = cluster.log.child('load-balancers');
  const balancers = new Map<string, Balancer>();

  const reconciler = new Reconciler({ ...cluster, log }, async (key) => {
    const name = splitKey(key);
    const service = services.get(name);
    const gone = service === undefined || service.metadata.deletionTimestamp !== undefined;
    const ports = gone ? [] : balancedPorts(service);
    const known = balancers.get(key);
    if (known === undefined && ports.length === 0) return;
    const balancer = known ?? { index: freeIndex(), relays: new Map() };
    if (balancer.index > BALANCERS_MAX) {
      log.warn('no address left for the Service', { service: key, balancersMax: BALANCERS_MAX });
      return;
    }
    balancers.set(key, balancer);
    for (const [port, relay] of balancer.relays) {
      if (ports.includes(port)) continue;
      relay.close();
      balancer.relays.delete(port);
    }
    for (const port of ports) if (!balancer.relays.has(port)) await open(key, balancer, port);
    const address = balancerAddress(stateDirectory, balancer.index);
    tell({
      event: 'balancer',
      service: key,
      address,
      ports: ports.map((port) => ({ port, path: socketPath(balancer.index, port) })),
    });
    if (ports.length === 0) {
      balancers.delete(key);
      return;
    }
    if (JSON.stringify(service?.status?.loadBalancer) === JSON.stringify(statusOf(address))) return;
    await client.patch(
      RESOURCES.services,
      name,
      { type: 'merge', body: { status: { loadBalancer: statusOf(address) } } },
      { fieldManager: 'tulle-lab', subresource: 'status' },
    );
  });

  async function open(key: string, balancer: Balancer, port: number): Promise<void> {
    const path = socketPath(balancer.index, port);
    rmSync(path, { force: true });
    const relay = await startRelay({ path }, () => endpointOf(key, port));
    balancer.relays.set(port, relay);
  }

  /** The fabric has no route to cluster addresses: endpoints are picked here, as the nodes pick them. */
  function endpointOf(key: string, port: number): { host: string; port: number } | undefined {
    const service = services.get(splitKey(key));
    if (service === undefined) return undefined;
    const own = slicesOfService(slices.list(service.metadata.namespace), service.metadata.name);
    const found = virtualPorts([service], own).find((each) => each.port === port);
    if (found === undefined || found.endpoints.length === 0) return undefined;
    const { address, port: target } =
      found.endpoints[cluster.random.integer(found.endpoints.length)];
    return { host: address, port: target };
  }

  /** The lowest that nobody has: an address comes back with the Service, as long as none came between. */
  function freeIndex(): number {
    const taken = new Set([...balancers.values()].map(({ index }) => index));
    let index = 1;
    while (taken.has(index)) index += 1;
    return index;
  }

  const socketPath = (index: number, port: number) =>
    join(stateDirectory, `b${index}-${port}.sock`);

  services.subscribe(onAny<Service>((service) => reconciler.add(keyOf(service))));
}

function statusOf(ip: string) {
  return { ingress: [{ ip }] };
}
