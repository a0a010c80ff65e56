/**
 * One pod on its way into the mesh and out of it. Listeners come before rules and go after them, so that nothing is
 * redirected to nobody; what is reported to the API follows what is true.
 *
 *   waiting ─────────── ready ──────────┐                     A pod that runs already goes on uncaptured until
 *      │ new, or rules are there already ▼                    everything is there: enrolment interrupts nothing.
 *      └────▶ pending ── ready ──▶ captured ── leave ──▶ leaving ──▶ gone
 *                                     ▲                     │
 *                                     └────── rejoin ───────┘
 *
 * `ready`: identity, all listeners, and a snapshot that has the workload and its policies. A pending pod holds
 * connections back and lets nothing through in plaintext.
 */
import { existsSync } from 'node:fs';
import type { Timer } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { setQueueMigration } from '#net/netns/listeners.ts';
import { isOwnNamespace, openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { wildcardAddress } from '#net/wildcard.ts';
import { DNS_PORT } from '#redirect/ports.ts';
import type { ProbeExemptions } from '#redirect/probes.ts';
import type { Watched } from '#redirect/reconcile.ts';
import { Redirection } from '#redirect/redirection.ts';
import type { RuleOptions } from '#redirect/rules.ts';
import { NODE_ERRORS } from '../errors.ts';
import {
  DRAIN_POLL_MS,
  RELEASE_RETRY_MS,
  RULE_SOCKET_LINGER_MS,
  UNENROL_DRAIN_MS,
  UNENROL_SETTLE_MS,
} from '../limits.ts';
import type { NodeContext, PodIdentity } from '../workload/context.ts';
import type { ProxyOptions } from '../workload/workload-proxy.ts';
import type { PodListeners } from './pod-listeners.ts';
import type { Turns } from './turns.ts';

export interface CaptureRequest {
  readonly uid: string;
  /** By which the kubelet knows a static pod, whose uid in the API is another; undefined: the same. */
  readonly kubeletUid?: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** Undefined: to be found by the uid. */
  readonly netnsPath: string | undefined;
  readonly options: RuleOptions;
  /** Of a new pod no process has started: it gets its rules at once. */
  readonly isNew: boolean;
  /** Reported captured by a proxy before us: peers go on to reach it by HBONE while we start. */
  readonly wasCaptured: boolean;
}

/** Value of the annotation; undefined for none. */
export type RedirectionReport = 'pending' | 'enabled' | undefined;

export interface CaptureTimes {
  readonly settleMs: number;
  readonly drainMs: number;
}

export const CAPTURE_TIMES: CaptureTimes = {
  settleMs: UNENROL_SETTLE_MS,
  drainMs: UNENROL_DRAIN_MS,
};

export interface CapturedPodDeps {
  context: NodeContext;
  probes: ProbeExemptions;
  turns: Turns;
  times: CaptureTimes;
  /** Who serves the pod. */
  listeners(pod: PodIdentity, options: ProxyOptions): PodListeners;
  /** `pod.report` has changed. */
  onReport(pod: CapturedPod): void;
  /** Every rule is out and nothing runs any more. */
  onGone(): void;
}

export type CaptureState = 'waiting' | 'pending' | 'captured' | 'leaving' | 'gone';

export class CapturedPod implements Watched {
  readonly name: string;
  readonly proxy: PodListeners;
  readonly #deps: CapturedPodDeps;
  readonly #netns: NetworkNamespace;
  /** Where the runtime has it; undefined for one that was found through a process. */
  readonly #named: string | undefined;
  readonly #redirection: Redirection;
  readonly #scope = new Scope();
  #request: CaptureRequest;
  #state: CaptureState = 'waiting';
  #addresses: readonly string[] = [];
  /** In force now. */
  #rules = '';
  #leaveTimer: Timer | undefined = undefined;

  /** Opens the listeners and, for a new pod, puts the rules in place. Throws when it cannot; then nothing is left open. */
  constructor(deps: CapturedPodDeps, request: CaptureRequest, netnsPath: string | undefined) {
    this.#deps = deps;
    this.#request = request;
    this.name = `${request.namespace}/${request.name}`;
    this.#netns = openPodNamespace(this.name, netnsPath);
    this.#named = netnsPath?.startsWith('/proc/') ? undefined : netnsPath;
    this.#redirection = new Redirection(this.#netns);
    this.proxy = deps.listeners({ ...request, netns: this.#netns }, optionsFor(request));
    try {
      this.proxy.start();
      // Rules that are there already are those of a proxy before us: the pod was captured all the time.
      if (request.isNew || this.#redirection.inPlace) this.#redirect();
    } catch (error) {
      this.#close('the pod could not be captured');
      throw error;
    }
    this.#advance();
    if (this.#state === 'captured') return;
    // A snapshot may complete hundreds of pods at once.
    const advance = () => deps.turns.push(() => this.#advance());
    this.proxy.whenReady(advance);
    this.#scope.add(
      deps.context.state.onChange(() => {
        if (this.#canAdvance) advance();
      }),
    );
  }

  get request(): CaptureRequest {
    return this.#request;
  }

  get state(): CaptureState {
    return this.#state;
  }

  /** Of both families; the node's probes to them pass uncaptured. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get report(): RedirectionReport {
    if (this.#state === 'captured') return 'enabled';
    if (this.#state !== 'pending') return undefined;
    return this.#request.wasCaptured ? 'enabled' : 'pending';
  }

  /** Whether that is the namespace we are in: a pod may get another one with the same uid. */
  isIn(path: string): boolean {
    try {
      const other = openNamespace(path);
      other.close();
      return other.inode === this.#netns.inode;
    } catch {
      // Gone: whatever we are in, it is not there.
      return false;
    }
  }

  /** Other options take the place of those in force in one step. */
  update(request: CaptureRequest): void {
    this.#request = request;
    if (request.options.dns && this.#state !== 'leaving') this.proxy.serveDns(DNS_PORT);
    if (this.#state === 'leaving') this.#rejoin();
    else if (this.#state === 'waiting' && request.isNew) this.#redirect();
    else if (this.#redirected && this.#rules !== this.#wantedRules) this.#redirect();
  }

  /** New connections pass by at once; those that run have time to finish. */
  leave(): void {
    if (this.#state === 'leaving' || this.#state === 'gone') return;
    const redirected = this.#redirected;
    this.#state = 'leaving';
    this.#deps.onReport(this);
    if (redirected) this.#passBy();
    else this.#finish();
  }

  #passBy(): void {
    const { context, probes, times } = this.#deps;
    const { clock, log } = context;
    try {
      this.#redirection.drain();
      probes.delete(this.#addresses);
    } catch (error) {
      log.error('cannot release pod', { pod: this.name, error: messageOf(error) });
      this.#leaveTimer = clock.after(RELEASE_RETRY_MS, () => this.#passBy());
      return;
    }
    // Until peers have heard of it they come by HBONE, and are served.
    this.#leaveTimer = clock.after(times.settleMs, () => this.#drain());
  }

  /** The pod is gone, with its namespace and rules. */
  forget(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#close('the pod is gone');
  }

  /**
   * This process ends. A captured pod stays so: rules without listeners let nothing through. One that is leaving is not for a
   * successor, who knows nothing of it: what was to be taken out is taken out now.
   */
  stop(reason: string): void {
    if (this.#state === 'leaving') this.#takeOut();
    this.#state = 'gone';
    this.#close(reason);
  }

  differences(): string[] {
    if (!this.#redirected) return [];
    const differences = this.#redirection.differences();
    if (this.#rules !== this.#wantedRules) differences.push('options');
    differences.push(...this.proxy.deadListeners());
    if (differences.length === 0 || this.#isTornDown) return [];
    // A successor's version may want other rules: two that put back theirs would never rest.
    return this.proxy.takenOver() ? [] : differences;
  }

  /** The runtime has taken devices and routes out and let go of it; that the pod is gone is known a moment later. */
  get #isTornDown(): boolean {
    return this.#named !== undefined && !existsSync(this.#named);
  }

  /** Listeners first, as ever. */
  repair(): void {
    this.proxy.reopenListeners();
    this.#redirect();
  }

  get #redirected(): boolean {
    return this.#state === 'pending' || this.#state === 'captured';
  }

  /** Look-ups that nobody answers would leave the pod without names. */
  get #wantedOptions(): RuleOptions {
    const { options } = this.#request;
    return { ...options, dns: options.dns && this.proxy.servesDns };
  }

  get #wantedRules(): string {
    return JSON.stringify(this.#wantedOptions);
  }

  #redirect(): void {
    this.#redirection.apply(this.#wantedOptions);
    this.#rules = this.#wantedRules;
    this.#addresses = this.#redirection.addresses();
    this.#deps.probes.add(this.#addresses);
    if (this.#redirected) return;
    this.#state = 'pending';
    this.#deps.onReport(this);
  }

  /** Everything is there, and it was not before. */
  get #canAdvance(): boolean {
    if (this.#state !== 'waiting' && this.#state !== 'pending') return false;
    const { namespace, name } = this.#request;
    const { current } = this.#deps.context.state;
    return this.proxy.ready && current.podNamed(namespace, name) !== undefined;
  }

  #advance(): void {
    if (!this.#canAdvance) return;
    const { context, onReport } = this.#deps;
    try {
      if (this.#state === 'waiting' || this.#rules !== this.#wantedRules) this.#redirect();
    } catch (error) {
      // The next snapshot, or the reconciler for one that is pending, tries again.
      context.log.error('cannot capture pod', { pod: this.name, error: messageOf(error) });
      return;
    }
    this.#state = 'captured';
    onReport(this);
  }

  #rejoin(): void {
    this.#leaveTimer?.cancel();
    this.proxy.resume();
    this.#state = 'waiting';
    this.#redirect();
    this.#advance();
  }

  #drain(): void {
    const { context, times } = this.#deps;
    const { clock } = context;
    this.proxy.leave();
    const until = clock.now() + times.drainMs;
    const look = () => {
      if (this.proxy.remaining > 0 && clock.now() < until) {
        this.#leaveTimer = clock.after(DRAIN_POLL_MS, look);
        return;
      }
      this.#finish();
    };
    look();
  }

  /** Rules, routes and settings; false when it did not work. */
  #takeOut(): boolean {
    try {
      this.#redirection.remove();
      setQueueMigration(this.#netns, false);
      return true;
    } catch (error) {
      const { log } = this.#deps.context;
      log.error('cannot remove redirection', { pod: this.name, error: messageOf(error) });
      return false;
    }
  }

  #finish(): void {
    const { clock } = this.#deps.context;
    this.proxy.stop('the pod has left the mesh');
    if (!this.#takeOut()) {
      this.#leaveTimer = clock.after(RELEASE_RETRY_MS, () => this.#finish());
      return;
    }
    this.#state = 'gone';
    this.#deps.onGone();
    // Closing its socket right after a change would wait for the kernel.
    clock.after(RULE_SOCKET_LINGER_MS, () => this.#close('the pod has left the mesh'));
  }

  #close(reason: string): void {
    this.#leaveTimer?.cancel();
    this.#scope.dispose();
    this.proxy.stop(reason);
    this.#redirection.close();
    this.#netns.close();
  }
}

function openPodNamespace(pod: string, path: string | undefined): NetworkNamespace {
  if (path === undefined || !existsSync(path)) {
    throw refusal(`${pod}: no network namespace${path === undefined ? '' : ` at ${path}`}`);
  }
  const netns = openNamespace(path);
  if (!isOwnNamespace(netns)) return netns;
  netns.close();
  throw refusal(`${pod}: ${path} is the node's own network namespace, which is never captured`);
}

function refusal(message: string): MeshError {
  return new MeshError('NODE_CAPTURE', message, { side: 'self', hint: NODE_ERRORS.NODE_CAPTURE });
}

function optionsFor({ options }: CaptureRequest): ProxyOptions {
  return {
    listenAddress: wildcardAddress(),
    dnsPort: options.dns ? DNS_PORT : undefined,
  };
}
