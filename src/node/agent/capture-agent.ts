/**
 * The pods of this node that are captured. Capturing is: listeners, then rules, then (with certificate and HBONE
 * listener) the pod is reported captured. Every step may be repeated; one pod has one attempt at a time.
 */
import { existsSync } from 'node:fs';
import { Backoff } from '#base/backoff.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { setQueueMigration } from '#net/netns/listeners.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { DNS_PORT } from '#redirect/ports.ts';
import { ProbeExemptions } from '#redirect/probes.ts';
import type { Watched } from '#redirect/reconcile.ts';
import { Redirection } from '#redirect/redirection.ts';
import type { RuleOptions } from '#redirect/rules.ts';
import { NODE_ERRORS } from '../errors.ts';
import { CAPTURE_RETRY_CAP_MS, CAPTURE_RETRY_INITIAL_MS } from '../limits.ts';
import type { NodeContext } from '../workload/context.ts';
import { type ProxyOptions, WorkloadProxy } from '../workload/workload-proxy.ts';

export interface CaptureRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly netnsPath: string;
  readonly options: RuleOptions;
}

export interface CaptureHooks {
  /** Identity and listeners are there: tell the API. */
  onCaptured(request: CaptureRequest): void;
  /** No longer captured by our decision (not because the pod went). */
  onReleased(request: CaptureRequest): void;
}

interface Captured {
  readonly request: CaptureRequest;
  readonly netns: NetworkNamespace;
  readonly proxy: WorkloadProxy;
  readonly redirection: Redirection;
  readonly addresses: readonly string[];
}

export class CaptureAgent {
  readonly #context: NodeContext;
  readonly #hooks: CaptureHooks;
  readonly #probes = new ProbeExemptions();
  readonly #captured = new Map<string, Captured>();
  readonly #attempts = new Map<string, Promise<void>>();
  /** Pods that should be captured; a retry stops when its pod is no longer here. */
  readonly #wanted = new Map<string, CaptureRequest>();

  constructor(context: NodeContext, hooks: CaptureHooks) {
    this.#context = context;
    this.#hooks = hooks;
  }

  get proxies(): readonly WorkloadProxy[] {
    return [...this.#captured.values()].map((captured) => captured.proxy);
  }

  /** For the reconciler. */
  get watched(): readonly Watched[] {
    const pods = [...this.#captured.values()];
    const addresses = pods.flatMap((captured) => captured.addresses);
    return [
      ...pods.map(({ request, redirection, proxy }) => ({
        name: `${request.namespace}/${request.name}`,
        differences: () => redirection.differences(),
        repair: () => redirection.apply(rulesFor(request, proxy)),
      })),
      {
        name: 'probes of the node',
        differences: () => {
          const exempt = this.#probes.read();
          return addresses.every((address) => exempt.has(address)) ? [] : ['probe exemption'];
        },
        repair: () => this.#probes.add(addresses),
      },
    ];
  }

  has(uid: string): boolean {
    return this.#captured.has(uid);
  }

  /** At the start: forgets addresses of pods that went while no agent ran. */
  startProbes(known: readonly string[]): void {
    const captured = [...this.#captured.values()].flatMap(({ addresses }) => addresses);
    this.#probes.replace([...new Set([...known, ...captured])]);
  }

  /** Rules and plaintext listeners are in place when it resolves. */
  capture(request: CaptureRequest): Promise<void> {
    this.#wanted.set(request.uid, request);
    const running = this.#attempts.get(request.uid);
    if (running !== undefined) return running;
    const attempt = this.#attempt(request).finally(() => this.#attempts.delete(request.uid));
    this.#attempts.set(request.uid, attempt);
    return attempt;
  }

  /** Tries until it works or the pod is no longer wanted. */
  keepCapturing(request: CaptureRequest): void {
    const { clock, random, log } = this.#context;
    const backoff = new Backoff(random, {
      initialMs: CAPTURE_RETRY_INITIAL_MS,
      capMs: CAPTURE_RETRY_CAP_MS,
    });
    const attempt = () => {
      this.capture(request).catch((error: unknown) => {
        const pod = `${request.namespace}/${request.name}`;
        log.warn('pod not captured yet', { pod, error: messageOf(error) });
        clock.after(backoff.nextDelayMs(), () => {
          if (this.#wanted.get(request.uid) === request) attempt();
        });
      });
    };
    attempt();
  }

  /** The pod is gone, with its namespace and rules. */
  forget(uid: string): void {
    this.#wanted.delete(uid);
    const captured = this.#captured.get(uid);
    if (captured === undefined) return;
    this.#captured.delete(uid);
    captured.proxy.stop('the pod is gone');
    captured.redirection.close();
    captured.netns.close();
    this.#forgetProbes(captured);
    this.#forgetIdentity(captured.proxy);
  }

  /** The pod stays but leaves the mesh: rules first, so that new connections pass us by. */
  async release(uid: string): Promise<void> {
    this.#wanted.delete(uid);
    const captured = this.#captured.get(uid);
    if (captured === undefined) return;
    captured.redirection.remove();
    setQueueMigration(captured.netns, false);
    this.forget(uid);
    this.#hooks.onReleased(captured.request);
  }

  stop(reason: string): void {
    this.#wanted.clear();
    for (const { proxy, redirection, netns } of this.#captured.values()) {
      proxy.stop(reason);
      redirection.close();
      netns.close();
    }
    this.#probes.close();
    this.#captured.clear();
  }

  async #attempt(request: CaptureRequest): Promise<void> {
    if (this.#captured.has(request.uid)) return;
    if (!existsSync(request.netnsPath)) throw noNamespace(request);
    const netns = openNamespace(request.netnsPath);
    const proxy = new WorkloadProxy(this.#context, { ...request, netns }, optionsFor(request));
    const redirection = new Redirection(netns);
    let addresses: string[];
    try {
      // Before the rules: what they redirect must find somebody.
      proxy.start();
      redirection.apply(rulesFor(request, proxy));
      addresses = redirection.addresses();
      this.#probes.add(addresses);
    } catch (error) {
      proxy.stop('the pod cannot be captured');
      redirection.close();
      netns.close();
      throw error;
    }
    this.#captured.set(request.uid, { request, netns, proxy, redirection, addresses });
    proxy.whenReady(() => this.#hooks.onCaptured(request));
  }

  /** A pod that comes next may have the address and not be captured. */
  #forgetProbes({ request, addresses }: Captured): void {
    const others = new Set([...this.#captured.values()].flatMap((other) => other.addresses));
    const free = addresses.filter((address) => !others.has(address));
    try {
      this.#probes.delete(free);
    } catch (error) {
      const pod = `${request.namespace}/${request.name}`;
      this.#context.log.warn('probes of the pod stay exempt', { pod, error: messageOf(error) });
    }
  }

  #forgetIdentity(proxy: WorkloadProxy): void {
    const shared = this.proxies.some((other) => other.principal === proxy.principal);
    if (!shared) this.#context.identities.forget(proxy.principal);
  }
}

/** Look-ups that nobody answers would leave the pod without names. */
function rulesFor({ options }: CaptureRequest, proxy: WorkloadProxy): RuleOptions {
  return { ...options, dns: options.dns && proxy.servesDns };
}

function optionsFor({ options }: CaptureRequest): ProxyOptions {
  return {
    // `::` takes IPv4 as well; without IPv6 in the kernel there is only IPv4.
    listenAddress: existsSync('/proc/net/if_inet6') ? '::' : '0.0.0.0',
    dnsPort: options.dns ? DNS_PORT : undefined,
  };
}

function noNamespace(request: CaptureRequest): MeshError {
  const { namespace, name, netnsPath } = request;
  return new MeshError(
    'NODE_CAPTURE',
    `${namespace}/${name}: no network namespace at ${netnsPath}`,
    {
      side: 'self',
      hint: NODE_ERRORS.NODE_CAPTURE,
    },
  );
}
