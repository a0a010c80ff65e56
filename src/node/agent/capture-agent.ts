/** The pods of this node that are captured: who asked for which, what is retried, and what becomes of them. */
import { Backoff } from '#base/backoff.ts';
import { messageOf } from '#base/errors.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { ProbeExemptions } from '#redirect/probes.ts';
import type { Watched } from '#redirect/reconcile.ts';
import { Redirection } from '#redirect/redirection.ts';
import type { RuleOptions } from '#redirect/rules.ts';
import {
  CAPTURE_FAILURES_TOLD,
  CAPTURE_RETRY_CAP_MS,
  CAPTURE_RETRY_INITIAL_MS,
} from '../limits.ts';
import type { NodeContext } from '../workload/context.ts';
import { WorkloadProxy } from '../workload/workload-proxy.ts';
import {
  CAPTURE_TIMES,
  CapturedPod,
  type CapturedPodDeps,
  type CaptureRequest,
  type CaptureState,
  type CaptureTimes,
  type RedirectionReport,
} from './captured-pod.ts';
import { Turns } from './turns.ts';

export interface CaptureHooks {
  /** Says how far the capture of a pod is, each time that changes; not when the pod is gone. */
  report(request: CaptureRequest, value: RedirectionReport): void;
  /** A pod that runs could not be captured, several times in a row: it goes on uncaptured, and is tried again. Told once. */
  failed(request: CaptureRequest, error: unknown): void;
}

export interface CaptureOptions {
  times?: CaptureTimes;
  /** Where the kubelet is; undefined: where this process is. */
  node?: NetworkNamespace;
  /** Of a pod that runs already, by its uid; undefined: such pods are not looked for. */
  findNamespace?: (uid: string) => string | undefined;
  /** Who serves the pods; undefined: this process. */
  listeners?: CapturedPodDeps['listeners'];
}

export class CaptureAgent {
  readonly #context: NodeContext;
  readonly #hooks: CaptureHooks;
  readonly #times: CaptureTimes;
  readonly #probes: ProbeExemptions;
  readonly #listeners: CapturedPodDeps['listeners'];
  readonly #find: (uid: string) => string | undefined;
  readonly #turns: Turns;
  readonly #pods = new Map<string, CapturedPod>();
  /** Pods that should be captured; a retry stops when its pod is no longer here. */
  readonly #wanted = new Map<string, CaptureRequest>();
  #forGood = false;

  constructor(context: NodeContext, hooks: CaptureHooks, options: CaptureOptions = {}) {
    this.#context = context;
    this.#hooks = hooks;
    this.#turns = new Turns(context.clock);
    this.#find = options.findNamespace ?? (() => undefined);
    this.#times = options.times ?? CAPTURE_TIMES;
    this.#probes = new ProbeExemptions(options.node);
    this.#listeners = options.listeners ?? ((pod, proxy) => new WorkloadProxy(context, pod, proxy));
  }

  /** Our own; those of pods that are leaving, too: connections run through them. */
  get proxies(): readonly WorkloadProxy[] {
    return [...this.#pods.values()].flatMap(({ proxy }) =>
      proxy instanceof WorkloadProxy ? proxy : [],
    );
  }

  /** A pod whose capture is asked for and not complete; undefined when there is none. */
  get incomplete(): string | undefined {
    return [...this.#pods.values()].find(({ state }) => state === 'waiting' || state === 'pending')
      ?.name;
  }

  /** For the reconciler. */
  get watched(): readonly Watched[] {
    const pods = [...this.#pods.values()];
    return [
      ...pods,
      {
        name: 'the node',
        differences: () => {
          if (this.#forGood) return [];
          const exempt = this.#probes.read();
          const missing = this.#exempt().some((address) => !exempt.has(address));
          return missing ? ['probe exemption'] : [];
        },
        repair: () => this.#probes.add(this.#exempt()),
      },
    ];
  }

  /** How far the pod is; undefined when it is none of ours. */
  stateOf(uid: string): CaptureState | undefined {
    return this.#pods.get(uid)?.state;
  }

  /** Captured, or on the way there. */
  has(uid: string): boolean {
    return this.#wanted.has(uid);
  }

  /** Nothing is known of the pod: neither captured nor leaving. */
  isStranger(uid: string): boolean {
    return !this.#pods.has(uid);
  }

  /** At the start: forgets addresses of pods that went while no agent ran. */
  startProbes(known: readonly string[]): void {
    this.#probes.replace([...new Set([...known, ...this.#exempt()])]);
  }

  /**
   * For a new pod rules and plaintext listeners are in place when it returns. Asking again with other options changes
   * them; in another namespace starts over.
   */
  capture(request: CaptureRequest): void {
    this.#wanted.set(request.uid, request);
    try {
      this.#capture(request);
    } catch (error) {
      // Who asked hears of it and asks again.
      if (this.#wanted.get(request.uid) === request) this.#wanted.delete(request.uid);
      throw error;
    }
  }

  #capture(request: CaptureRequest): void {
    const existing = this.#pods.get(request.uid);
    const { uid, netnsPath } = request;
    if (existing !== undefined) {
      if (netnsPath === undefined || existing.isIn(netnsPath)) {
        existing.update(request);
        return;
      }
      this.#drop(existing);
    }
    const pod = new CapturedPod(
      {
        context: this.#context,
        probes: this.#probes,
        turns: this.#turns,
        times: this.#times,
        listeners: this.#listeners,
        onReport: ({ report, request: of }) => this.#hooks.report(of, report),
        onGone: () => this.#drop(pod),
      },
      request,
      netnsPath ?? this.#find(request.kubeletUid ?? uid),
    );
    this.#pods.set(uid, pod);
  }

  /** Other options for a pod that is captured already, or will be. */
  update(uid: string, options: RuleOptions): void {
    const known = this.#wanted.get(uid);
    if (known === undefined || JSON.stringify(known.options) === JSON.stringify(options)) return;
    this.keepCapturing({ ...known, options, netnsPath: undefined, isNew: false });
  }

  /** Of a pod that left the mesh while no agent ran: its rules lead to nobody. */
  clear(request: CaptureRequest): void {
    const path = request.netnsPath ?? this.#find(request.kubeletUid ?? request.uid);
    // Without a process there is no namespace, and without that no rule.
    if (path !== undefined) removeRedirection(path);
    this.#hooks.report(request, undefined);
  }

  /** Tries until it works or the pod is no longer wanted; soon, not at once. */
  keepCapturing(request: CaptureRequest): void {
    const { clock, random, log } = this.#context;
    const backoff = new Backoff(random, {
      initialMs: CAPTURE_RETRY_INITIAL_MS,
      capMs: CAPTURE_RETRY_CAP_MS,
    });
    this.#wanted.set(request.uid, request);
    let failures = 0;
    const attempt = () => {
      if (this.#wanted.get(request.uid) !== request) return;
      try {
        this.#capture(request);
      } catch (error) {
        const pod = `${request.namespace}/${request.name}`;
        log.warn('pod not captured yet', { pod, error: messageOf(error) });
        failures += 1;
        if (failures === CAPTURE_FAILURES_TOLD) this.#hooks.failed(request, error);
        clock.after(backoff.nextDelayMs(), () => this.#turns.push(attempt));
      }
    };
    this.#turns.push(attempt);
  }

  /** The pod is gone, with its namespace and rules. */
  forget(uid: string): void {
    this.#wanted.delete(uid);
    const pod = this.#pods.get(uid);
    if (pod !== undefined) this.#drop(pod);
  }

  /** The pod stays but leaves the mesh. */
  release(uid: string): void {
    this.#wanted.delete(uid);
    this.#turns.push(() => {
      if (!this.#wanted.has(uid)) this.#pods.get(uid)?.leave();
    });
  }

  /** The node leaves the mesh for good: every pod, and in the end what the node itself has of it. */
  releaseAll(): void {
    this.#forGood = true;
    for (const uid of [...this.#pods.keys()]) this.release(uid);
    this.#wanted.clear();
  }

  stop(reason: string): void {
    this.#wanted.clear();
    this.#turns.stop();
    for (const pod of this.#pods.values()) pod.stop(reason);
    this.#pods.clear();
    if (this.#forGood) this.#probes.remove();
    this.#probes.close();
  }

  #drop(pod: CapturedPod): void {
    this.#pods.delete(pod.request.uid);
    pod.forget();
    this.#forgetProbes(pod);
    const { principal } = pod.proxy;
    const shared = [...this.#pods.values()].some((other) => other.proxy.principal === principal);
    if (!shared) this.#context.identities.forget(principal);
  }

  /** A pod that comes next may have the address and not be captured. */
  #forgetProbes({ name, addresses }: CapturedPod): void {
    const others = new Set(this.#exempt());
    try {
      this.#probes.delete(addresses.filter((address) => !others.has(address)));
    } catch (error) {
      this.#context.log.warn('probes of the pod stay exempt', {
        pod: name,
        error: messageOf(error),
      });
    }
  }

  #exempt(): string[] {
    return [...this.#pods.values()].flatMap(({ state, addresses }) =>
      state === 'leaving' ? [] : addresses,
    );
  }
}

/** Of a pod that nobody looks after. */
export function removeRedirection(path: string): void {
  const namespace = openNamespace(path);
  try {
    const redirection = new Redirection(namespace);
    redirection.remove();
    redirection.close();
  } finally {
    namespace.close();
  }
}
