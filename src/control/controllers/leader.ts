/**
 * Leader election by a Lease, for work that only one replica may do. Time is measured by this process's own clock
 * from when a renewal was seen (as client-go), so replicas need not agree on the time of day.
 *
 *   renewal ──────────────► steps down ─────► others may take over
 *   sent at 0               10 s               15 s after they saw it
 *
 * Whoever leads has stopped before another one begins, also when the API server takes a request and never answers it.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Lease } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import {
  LEASE_DURATION_SECONDS,
  LEASE_RENEW_MS,
  LEASE_ROUND_MS,
  LEASE_STEP_DOWN_MS,
} from '../limits.ts';

export interface LeaderOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique among replicas: the pod's name. */
  readonly identity: string;
}

/**
 * Calls `lead` when leadership is won; what it returns is called when it is lost. Stopping gives the lease back, so
 * that a successor need not wait for it to run out.
 */
export function startLeaderElection(
  deps: { client: KubeClient; clock: Clock; log: Logger },
  options: LeaderOptions,
  lead: () => Disposer,
): () => Promise<void> {
  const election = new Election(deps, options, lead);
  election.start();
  return () => election.stop();
}

class Election {
  readonly #deps: { client: KubeClient; clock: Clock; log: Logger };
  readonly #options: LeaderOptions;
  readonly #lead: () => Disposer;
  #resign: Disposer | undefined;
  #timer: Timer | undefined;
  #stopped = false;
  /** The last foreign renewal and when we first saw it. */
  #seen = { renewal: '', at: 0 };
  /** Ends leadership when no renewal came in time, whatever the round is waiting for. */
  #deadline: Timer | undefined;

  constructor(
    deps: { client: KubeClient; clock: Clock; log: Logger },
    options: LeaderOptions,
    lead: () => Disposer,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#lead = lead;
  }

  start(): void {
    void this.#round();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    this.#deadline?.cancel();
    const held = this.#resign !== undefined;
    this.#lose('stopping');
    if (!held) return;
    const { namespace, name, identity } = this.#options;
    const { client, log } = this.#deps;
    try {
      const lease = await client.get<Lease>(RESOURCES.leases, { namespace, name });
      if (lease.spec?.holderIdentity !== identity) return;
      await client.update(RESOURCES.leases, {
        ...lease,
        spec: { ...lease.spec, holderIdentity: '' },
      });
    } catch (error) {
      log.warn('lease not given back; it runs out by itself', { reason: messageOf(error) });
    }
  }

  async #round(): Promise<void> {
    const { clock, log } = this.#deps;
    // Counted from before the request: the others count from when they see it.
    const startedAt = clock.now();
    let holding = false;
    try {
      holding = await this.#inTime(this.#acquire());
      if (!holding) this.#lose('another replica holds the lease');
    } catch (error) {
      log.warn('lease not renewed', { reason: messageOf(error) });
    }
    if (this.#stopped) return;
    if (holding) {
      this.#stepDownAt(startedAt + LEASE_STEP_DOWN_MS);
      if (this.#resign === undefined) {
        log.info('leading', { lease: this.#options.name });
        this.#resign = this.#lead();
      }
    }
    this.#timer = clock.after(LEASE_RENEW_MS, () => void this.#round());
  }

  /** A request that never ends must not end the rounds. */
  async #inTime(acquiring: Promise<boolean>): Promise<boolean> {
    const { clock } = this.#deps;
    const late = Promise.withResolvers<never>();
    const timer = clock.after(LEASE_ROUND_MS, () =>
      late.reject(new Error(`the API server has not answered within ${LEASE_ROUND_MS} ms`)),
    );
    try {
      return await Promise.race([acquiring, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #stepDownAt(at: number): void {
    const { clock } = this.#deps;
    this.#deadline?.cancel();
    this.#deadline = clock.after(Math.max(0, at - clock.now()), () =>
      this.#lose('the lease could not be renewed in time'),
    );
  }

  #lose(reason: string): void {
    if (this.#resign === undefined) return;
    this.#deps.log.info('no longer leading', { reason });
    this.#deadline?.cancel();
    const resign = this.#resign;
    this.#resign = undefined;
    resign();
  }

  async #acquire(): Promise<boolean> {
    const { client } = this.#deps;
    const { namespace, name, identity } = this.#options;
    let lease: Lease;
    try {
      lease = await client.get<Lease>(RESOURCES.leases, { namespace, name });
    } catch (error) {
      if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
      return this.#write(() => client.create(RESOURCES.leases, this.#lease(undefined)));
    }
    if (lease.spec?.holderIdentity !== identity && !this.#expired(lease)) return false;
    return this.#write(() => client.update(RESOURCES.leases, this.#lease(lease)));
  }

  #expired(lease: Lease): boolean {
    const { holderIdentity, renewTime, leaseDurationSeconds } = lease.spec ?? {};
    if (!holderIdentity) return true;
    const renewal = `${holderIdentity} ${renewTime}`;
    const nowMs = this.#deps.clock.now();
    if (renewal !== this.#seen.renewal) this.#seen = { renewal, at: nowMs };
    return nowMs - this.#seen.at > (leaseDurationSeconds ?? LEASE_DURATION_SECONDS) * 1000;
  }

  #lease(before: Lease | undefined): Lease {
    const { namespace, name, identity } = this.#options;
    const renewTime = rfc3339(this.#deps.clock).replace('Z', '000Z');
    const same = before?.spec?.holderIdentity === identity;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: before?.metadata ?? { name, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: LEASE_DURATION_SECONDS,
        acquireTime: same ? before?.spec?.acquireTime : renewTime,
        renewTime,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (before && !same ? 1 : 0),
      },
    };
  }

  /** False when another replica was faster: the resource version has moved. */
  async #write(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (isMeshError(error, 'KUBE_CONFLICT') || isMeshError(error, 'KUBE_ALREADY_EXISTS'))
        return false;
      throw error;
    }
  }
}
