/**
 * The pods that an outside CNI agent handed over: their rules are its business, the listeners in their namespaces ours. One
 * whose listeners cannot be opened stays pending and is tried again.
 */
import type { Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import { isOwnNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { wildcardAddress } from '#net/wildcard.ts';
import { DNS_PORT } from '#redirect/ports.ts';
import { NODE_ERRORS } from '../errors.ts';
import { INPOD_RETRY_MS } from '../limits.ts';
import type { NodeContext } from '../workload/context.ts';
import { WorkloadProxy } from '../workload/workload-proxy.ts';
import type { PodInfo } from './zds-conversation.ts';

interface Held {
  readonly pod: PodInfo;
  readonly netns: NetworkNamespace;
  /** Undefined while its listeners cannot be opened. */
  proxy: WorkloadProxy | undefined;
  /** As discovery told it when the listeners were opened. */
  trustDomain: string | undefined;
}

export class InpodPods {
  readonly #context: NodeContext;
  readonly #held = new Map<string, Held>();
  readonly #retry: Timer;
  readonly #stopFollowing: Disposer;

  constructor(context: NodeContext) {
    this.#context = context;
    this.#retry = context.clock.every(INPOD_RETRY_MS, () => this.#again());
    this.#stopFollowing = context.state.onChange(() => this.#follow());
  }

  get proxies(): readonly WorkloadProxy[] {
    return [...this.#held.values()].flatMap(({ proxy }) => proxy ?? []);
  }

  /** One that is not served yet, as `namespace/name`. */
  get incomplete(): string | undefined {
    const found = [...this.#held.values()].find(({ proxy }) => proxy?.ready !== true);
    return found && `${found.pod.namespace}/${found.pod.name}`;
  }

  /** Owns the namespace from now on. An error: the pod is pending. */
  add(pod: PodInfo, netns: NetworkNamespace): MeshError | undefined {
    const known = this.#held.get(pod.uid);
    if (known?.netns.inode === netns.inode) {
      netns.close();
      return undefined;
    }
    if (known !== undefined) this.remove(pod.uid, 'the pod has another network namespace');
    if (isOwnNamespace(netns)) {
      netns.close();
      return refusal(pod, "this is the node's own network namespace, which is never captured");
    }
    const held: Held = { pod, netns, proxy: undefined, trustDomain: undefined };
    this.#held.set(pod.uid, held);
    return this.#start(held);
  }

  remove(uid: string, reason = 'the pod is gone'): void {
    const held = this.#held.get(uid);
    if (held === undefined) return;
    this.#held.delete(uid);
    this.#close(held, reason);
    held.netns.close();
  }

  /** Pods that are not among these went while nobody told us. */
  retain(uids: ReadonlySet<string>): void {
    for (const uid of [...this.#held.keys()]) if (!uids.has(uid)) this.remove(uid);
  }

  stop(reason: string): void {
    this.#retry.cancel();
    this.#stopFollowing();
    for (const uid of [...this.#held.keys()]) this.remove(uid, reason);
  }

  #start(held: Held): MeshError | undefined {
    const { pod, netns } = held;
    const trustDomain = this.#trustDomainOf(pod);
    const proxy = new WorkloadProxy(
      this.#context,
      { ...pod, netns, trustDomain },
      {
        // `::` takes IPv4 as well; without IPv6 in the kernel there is only IPv4.
        listenAddress: wildcardAddress(),
        dnsPort: DNS_PORT,
      },
    );
    try {
      proxy.start();
    } catch (error) {
      return isMeshError(error) ? error : refusal(pod, messageOf(error));
    }
    held.proxy = proxy;
    held.trustDomain = trustDomain;
    return undefined;
  }

  #close(held: Held, reason: string): void {
    const { proxy } = held;
    held.proxy = undefined;
    if (proxy === undefined) return;
    proxy.stop(reason);
    const shared = this.proxies.some(({ principal }) => principal === proxy.principal);
    if (!shared) this.#context.identities.forget(proxy.principal);
  }

  /** ZDS does not tell it, and who runs this mesh may have chosen another than ours. */
  #trustDomainOf({ namespace, name }: PodInfo): string | undefined {
    return this.#context.state.current.podNamed(namespace, name)?.trustDomain;
  }

  /** A pod that was handed over before discovery told of it may turn out to be of another trust domain. */
  #follow(): void {
    for (const held of this.#held.values()) {
      const told = this.#trustDomainOf(held.pod);
      const { proxy, trustDomain = this.#context.trustDomain } = held;
      if (proxy === undefined || told === undefined || told === trustDomain) continue;
      this.#close(held, `the pod is of the trust domain ${told}`);
      this.#startOrWarn(held);
    }
  }

  #again(): void {
    for (const held of this.#held.values()) {
      if (held.proxy === undefined) this.#startOrWarn(held);
    }
  }

  #startOrWarn(held: Held): void {
    const error = this.#start(held);
    if (error === undefined) return;
    const pod = `${held.pod.namespace}/${held.pod.name}`;
    this.#context.log.warn('pod is pending', { pod, error: error.message });
  }
}

function refusal({ namespace, name }: PodInfo, why: string): MeshError {
  return new MeshError('NODE_CAPTURE', `${namespace}/${name}: ${why}`, {
    side: 'self',
    hint: NODE_ERRORS.NODE_CAPTURE,
  });
}
