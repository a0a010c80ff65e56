/** Where a machine outside the cluster finds the control plane: its Service tells, in the order of what lasts longest. */
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { EndpointSlice, Node } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Network } from '#net/network.ts';
import { MACHINE_ERRORS } from './errors.ts';
import { CONTROL_DIAL_MS, CONTROL_NODES_MAX } from './limits.ts';

export const CONTROL_PORT = 15012;

export interface ControlService extends KubeObject {
  spec?: { ports?: { port: number; nodePort?: number }[] };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

export interface ControlObjects {
  readonly service: ControlService;
  readonly nodes: readonly Node[];
  readonly slices: readonly EndpointSlice[];
}

/** `HOST:PORT`, best first: load balancer, port of the nodes, the pods themselves, which machines of a mesh must reach anyway. */
export function controlAddresses({ service, nodes, slices }: ControlObjects): string[] {
  const balancers = (service.status?.loadBalancer?.ingress ?? []).flatMap(
    ({ ip, hostname }) => ip ?? hostname ?? [],
  );
  const nodePort = service.spec?.ports?.find(({ port }) => port === CONTROL_PORT)?.nodePort;
  const nodeAddresses = nodes
    .flatMap(({ status }) => status?.addresses ?? [])
    .filter(({ type }) => type === 'InternalIP')
    .slice(0, CONTROL_NODES_MAX);
  const pods = slices.flatMap(({ endpoints }) =>
    (endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses),
  );
  return [
    ...balancers.map((host) => formatHostPort(host, CONTROL_PORT)),
    ...(nodePort === undefined
      ? []
      : nodeAddresses.map(({ address }) => formatHostPort(address, nodePort))),
    ...pods.map((address) => formatHostPort(address, CONTROL_PORT)),
  ];
}

export interface ControlPlace {
  readonly namespace: string;
  /** Of the Service: `istiod`, or `istiod-REVISION`. */
  readonly name: string;
}

/** Rejects with a MeshError that says what was looked at. */
export async function readControl(client: KubeClient, place: ControlPlace): Promise<string[]> {
  const service = await client.get<ControlService>(RESOURCES.services, place);
  const labelSelector = `kubernetes.io/service-name=${place.name}`;
  const selection = { namespace: place.namespace, labelSelector };
  const [nodes, slices] = await Promise.all([
    allowed(client.list<Node>(RESOURCES.nodes)),
    allowed(client.list<EndpointSlice>(RESOURCES.endpointSlices, selection)),
  ]);
  const found = controlAddresses({ service, nodes, slices });
  if (found.length > 0) return found;
  const name = `Service ${place.namespace}/${place.name}`;
  throw noControl(`${name} has no load balancer, no node port and no ready pod that I may see`);
}

/** Not everybody may list nodes: then there is one way less. */
async function allowed<T>(list: Promise<{ items: T[] }>): Promise<readonly T[]> {
  try {
    return (await list).items;
  } catch (error) {
    if (isMeshError(error, 'KUBE_FORBIDDEN')) return [];
    throw error;
  }
}

export interface Reached {
  readonly address: string;
  /** Ours, towards it. */
  readonly localAddress: string;
}

/** The first that takes a connection; rejects with what each of them answered. */
export async function firstReachable(
  dial: (address: string) => Promise<string>,
  addresses: readonly string[],
): Promise<Reached> {
  const failures: string[] = [];
  for (const address of addresses) {
    try {
      return { address, localAddress: await dial(address) };
    } catch (error) {
      failures.push(`${address}: ${messageOf(error)}`);
    }
  }
  throw noControl(`cannot reach the control plane: ${failures.join('; ')}`);
}

/** Resolves with the local address of a connection that is closed at once. */
export function dialer(network: Network): (address: string, port: number) => Promise<string> {
  return (address, port) =>
    new Promise((resolve, reject) => {
      network.connect(
        { address, port, connectTimeoutMs: CONTROL_DIAL_MS },
        {
          onOpen(connection) {
            resolve(connection.localAddress);
            connection.end();
            const nothing = () => undefined;
            return { onData: nothing, onDrain: nothing, onEnd: nothing, onClose: nothing };
          },
          onFail: reject,
        },
      );
    });
}

function noControl(message: string): MeshError {
  return new MeshError('JOIN_NO_CONTROL', message, {
    side: 'config',
    hint: MACHINE_ERRORS.JOIN_NO_CONTROL,
  });
}
