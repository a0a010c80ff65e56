/**
 * Gives each Service of type LoadBalancer an address of the pool, as a cloud would. No device gets it: kube-proxy on every
 * node and beside the control plane leads it to the Service's pods, so it can be reached from pods, nodes and the
 * control plane's namespace.
 */
import { systemClock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import { BALANCERS_MAX, balancerAddress } from './addresses.ts';

export interface BalancedService extends KubeObject {
  spec?: { type?: string; loadBalancerIP?: string; loadBalancerClass?: string };
  status?: { loadBalancer?: { ingress?: { ip?: string }[] } };
}

export interface Assignment {
  namespace: string;
  name: string;
  /** Undefined takes it away from one that is no load balancer any more. */
  address: string | undefined;
}

/**
 * What must be written so that each load balancer has exactly one address and no two the same. Who asks for an address by
 * `loadBalancerIP` gets that one or, when the pool has it not or it is somebody else's, none.
 */
export function assignments(services: readonly BalancedService[]): Assignment[] {
  const addressOf = (service: BalancedService) => service.status?.loadBalancer?.ingress?.[0]?.ip;
  // One with a class of its own belongs to somebody else's controller.
  const isOurs = ({ spec }: BalancedService) =>
    spec?.type === 'LoadBalancer' && spec.loadBalancerClass === undefined;
  const pool = Array.from({ length: BALANCERS_MAX }, (_, at) => balancerAddress(at));
  const taken = new Set(services.filter(isOurs).map(addressOf));
  const asked = new Set(services.filter(isOurs).map(({ spec }) => spec?.loadBalancerIP));
  const free = pool.filter((address) => !taken.has(address) && !asked.has(address));
  return services.flatMap((service): Assignment[] => {
    const { name, namespace = 'default' } = service.metadata;
    const { type, loadBalancerIP: wish } = service.spec ?? {};
    const has = addressOf(service);
    let wanted = has;
    if (!isOurs(service)) wanted = type === 'LoadBalancer' ? has : undefined;
    else if (wish !== undefined && wish !== has) wanted = grantable(wish) ? wish : undefined;
    else wanted ??= free.shift();
    if (wanted === has) return [];
    if (wanted !== undefined) taken.add(wanted);
    return [{ namespace, name, address: wanted }];
  });

  function grantable(wish: string): boolean {
    return pool.includes(wish) && !taken.has(wish);
  }
}

/** Watches and writes until stopped. */
export function balanceServices(client: KubeClient, onError: (error: unknown) => void): Disposer {
  const informer = startInformer<BalancedService>(
    { client, clock: systemClock, random: systemRandom, log: silentLogger },
    RESOURCES.services,
  );
  let busy = false;
  let dirty = false;
  const settle = async () => {
    dirty = true;
    if (busy) return;
    busy = true;
    while (dirty) {
      dirty = false;
      for (const { namespace, name, address } of assignments(informer.list())) {
        const ingress = address === undefined ? null : [{ ip: address }];
        const patch = { type: 'merge', body: { status: { loadBalancer: { ingress } } } } as const;
        await client
          .patch(RESOURCES.services, { namespace, name }, patch, { subresource: 'status' })
          .catch(onError);
      }
    }
    busy = false;
  };
  informer.subscribe({
    onAdd: () => void settle(),
    onUpdate: () => void settle(),
    onDelete: () => undefined,
  });
  return () => informer.stop();
}
