/**
 * Keeps one X.509 SVID for each principal that this process may act as: makes the key here, has the certificate
 * signed, replaces it at half its life. Keys live in memory only. Used by the node proxy (one principal for each
 * service account on the node) and the waypoint (its own).
 *
 *   queued ──► fetching ──► ready ── half life ──► queued
 *     ▲           └─ failed ─► waiting (back-off; what is still valid stays in force) ─┐
 *     └────────────────────────────────────────────────────────────────────────────────┘
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import {
  DEMAND_RETRY_MS,
  FETCH_RETRY_CAP_MS,
  FETCH_RETRY_INITIAL_MS,
  FETCHES_MAX,
  LEAF_TTL_SECONDS,
  TIMER_MAX_MS,
} from '../limits.ts';
import type { SvidSigner } from './ca-client.ts';
import { clockSkew, type IssuedSvid, readIssued } from './issued.ts';
import { makeKeyRequest } from './key-request.ts';

/** `realtime`: a connection waits for it. `warmup`: fetched ahead of need. */
export type SvidPriority = 'realtime' | 'warmup';

export interface SvidStatus {
  readonly principal: Principal;
  readonly state: 'pending' | 'ready' | 'unavailable';
  /** Milliseconds since the Unix epoch, of the certificate in force. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  readonly serial: string | undefined;
  /** Message of the last failure since the last success. */
  readonly lastError: string | undefined;
}

export type PublicPart = Omit<TlsIdentity, 'privateKey'>;

export interface SvidStore {
  /** The identity in force, or undefined. Starts nothing. Never returns an expired certificate. */
  get(principal: Principal): TlsIdentity | undefined;
  /** What was issued last, valid or not, to be shown: without the key. */
  lastIssued(principal: Principal): PublicPart | undefined;
  /** Starts keeping a certificate for the principal. Idempotent; a higher priority moves it ahead in the queue. */
  request(principal: Principal, priority?: SvidPriority): void;
  /** `request` at realtime priority and wait; rejects with a MeshError when the attempt under way fails. */
  whenReady(principal: Principal): Promise<TlsIdentity>;
  /** First certificate and every later one. */
  onRotate(callback: (principal: Principal, identity: TlsIdentity) => void): Disposer;
  /** The CA is known to answer again: what failed and has no valid certificate is tried at once. */
  retry(): void;
  /** Drops key and certificate and stops renewing. */
  forget(principal: Principal): void;
  status(): readonly SvidStatus[];
  stop(): void;
}

export interface SvidStoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signer: SvidSigner;
}

export interface SvidStoreOptions {
  readonly ttlSeconds?: number;
}

type Urgency = SvidPriority | 'refresh';
const RANK: Record<Urgency, number> = { realtime: 0, warmup: 1, refresh: 2 };

interface Waiter {
  resolve(identity: TlsIdentity): void;
  reject(error: MeshError): void;
}

interface Entry {
  readonly principal: Principal;
  readonly backoff: Backoff;
  urgency: Urgency;
  phase: 'queued' | 'fetching' | 'resting';
  issued: IssuedSvid | undefined;
  failure: MeshError | undefined;
  failedAt: number;
  timer: Timer | undefined;
  /** Wall time at which it is queued again. */
  due: number;
  waiters: Waiter[];
}

export function createSvidStore(deps: SvidStoreDeps, options: SvidStoreOptions = {}): SvidStore {
  return new FetchingStore(deps, options.ttlSeconds ?? LEAF_TTL_SECONDS);
}

class FetchingStore implements SvidStore {
  readonly #deps: SvidStoreDeps;
  readonly #ttlSeconds: number;
  readonly #entries = new Map<Principal, Entry>();
  readonly #callbacks = new Set<(principal: Principal, identity: TlsIdentity) => void>();
  #fetches = 0;

  constructor(deps: SvidStoreDeps, ttlSeconds: number) {
    this.#deps = deps;
    this.#ttlSeconds = ttlSeconds;
  }

  get(principal: Principal): TlsIdentity | undefined {
    const issued = this.#entries.get(principal)?.issued;
    if (issued === undefined || this.#deps.clock.wallTime() >= issued.notAfter) return undefined;
    return issued.identity;
  }

  lastIssued(principal: Principal): PublicPart | undefined {
    const identity = this.#entries.get(principal)?.issued?.identity;
    return identity && publicPart(identity);
  }

  request(principal: Principal, priority: SvidPriority = 'warmup'): void {
    this.#want(principal, priority);
  }

  whenReady(principal: Principal): Promise<TlsIdentity> {
    const identity = this.get(principal);
    if (identity !== undefined) return Promise.resolve(identity);
    const entry = this.#want(principal, 'realtime');
    return new Promise((resolve, reject) => entry.waiters.push({ resolve, reject }));
  }

  onRotate(callback: (principal: Principal, identity: TlsIdentity) => void): Disposer {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  }

  retry(): void {
    for (const entry of this.#entries.values()) {
      if (entry.phase !== 'resting' || this.get(entry.principal) !== undefined) continue;
      entry.backoff.reset();
      this.#schedule(entry, 0);
    }
  }

  forget(principal: Principal): void {
    const entry = this.#entries.get(principal);
    if (entry === undefined) return;
    this.#entries.delete(principal);
    entry.timer?.cancel();
    entry.issued = undefined;
    const error = new MeshError('SVID_FORGOTTEN', `${principal} is not needed here any more`, {
      side: 'self',
      hint: 'the workload left this node while its certificate was being fetched',
    });
    for (const { reject } of entry.waiters.splice(0)) reject(error);
  }

  status(): readonly SvidStatus[] {
    return [...this.#entries.values()].map((entry) => {
      const { principal, issued, failure } = entry;
      const valid = this.get(principal) !== undefined;
      return {
        principal,
        state: valid ? 'ready' : failure === undefined ? 'pending' : 'unavailable',
        notBefore: issued?.notBefore,
        notAfter: issued?.notAfter,
        serial: issued?.serial,
        lastError: failure?.message,
      };
    });
  }

  stop(): void {
    for (const principal of [...this.#entries.keys()]) this.forget(principal);
    this.#callbacks.clear();
    this.#deps.signer.close();
  }

  #want(principal: Principal, urgency: Urgency): Entry {
    const entry = this.#entries.get(principal) ?? this.#add(principal, urgency);
    if (RANK[urgency] < RANK[entry.urgency]) entry.urgency = urgency;
    if (entry.phase === 'resting' && this.get(principal) === undefined) {
      // Someone waits: do not let the whole back-off pass, but do not hammer the CA either.
      const { clock } = this.#deps;
      const delayMs = Math.max(0, entry.failedAt + DEMAND_RETRY_MS - clock.now());
      const sooner = clock.wallTime() + delayMs < entry.due;
      if (urgency === 'realtime' && sooner) this.#schedule(entry, delayMs);
    }
    this.#pump();
    return entry;
  }

  #add(principal: Principal, urgency: Urgency): Entry {
    const { random } = this.#deps;
    const entry: Entry = {
      principal,
      backoff: new Backoff(random, {
        initialMs: FETCH_RETRY_INITIAL_MS,
        capMs: FETCH_RETRY_CAP_MS,
      }),
      urgency,
      phase: 'queued',
      issued: undefined,
      failure: undefined,
      failedAt: 0,
      timer: undefined,
      due: 0,
      waiters: [],
    };
    this.#entries.set(principal, entry);
    return entry;
  }

  /** Starts what is most urgent while there is room. */
  #pump(): void {
    while (this.#fetches < FETCHES_MAX) {
      let next: Entry | undefined;
      for (const entry of this.#entries.values()) {
        if (entry.phase !== 'queued') continue;
        if (next === undefined || RANK[entry.urgency] < RANK[next.urgency]) next = entry;
      }
      if (next === undefined) return;
      next.phase = 'fetching';
      next.timer?.cancel();
      this.#fetches++;
      this.#run(next);
    }
  }

  #run(entry: Entry): void {
    this.#fetch(entry.principal)
      .catch((cause: unknown) => failureOf(entry.principal, cause))
      .then((result) => {
        this.#fetches--;
        // Forgotten meanwhile: the key goes with the entry.
        if (this.#entries.get(entry.principal) === entry) this.#settle(entry, result);
        this.#pump();
      });
  }

  async #fetch(principal: Principal): Promise<IssuedSvid | MeshError> {
    const { privateKey, csr } = await makeKeyRequest(principal);
    const request = { principal, csr, ttlSeconds: this.#ttlSeconds };
    const chain = await this.#deps.signer.sign(request);
    return readIssued(chain, { principal, privateKey });
  }

  #settle(entry: Entry, result: IssuedSvid | MeshError): void {
    entry.phase = 'resting';
    if (result instanceof MeshError) this.#failed(entry, result);
    else this.#take(entry, result);
  }

  /** A certificate that is not valid by our clock replaces none that is. */
  #take(entry: Entry, issued: IssuedSvid): void {
    const { clock, log } = this.#deps;
    const skew = clockSkew(issued, clock.wallTime());
    if (skew === undefined) {
      this.#issued(entry, issued);
      return;
    }
    const isComing = clock.wallTime() < issued.notBefore;
    if (!isComing || this.get(entry.principal) !== undefined) {
      this.#failed(entry, skew);
      return;
    }
    // By everyone else's clock it may be valid already: better than none.
    this.#issued(entry, issued);
    entry.failure = skew;
    log.warn('certificate in force that is not valid yet', {
      principal: entry.principal,
      error: skew.message,
    });
  }

  #issued(entry: Entry, issued: IssuedSvid): void {
    const { clock, log } = this.#deps;
    entry.issued = issued;
    entry.failure = undefined;
    entry.urgency = 'refresh';
    entry.backoff.reset();
    const { principal, waiters } = entry;
    const halfLife = issued.notBefore + (issued.notAfter - issued.notBefore) / 2;
    // A certificate past its half life already (clocks apart) must not make a busy loop.
    this.#schedule(entry, Math.max(DEMAND_RETRY_MS, halfLife - clock.wallTime()));
    log.info('certificate in force', {
      principal,
      serial: issued.serial,
      notAfter: new Date(issued.notAfter).toISOString(),
    });
    for (const { resolve } of waiters.splice(0)) resolve(issued.identity);
    for (const callback of this.#callbacks) callback(principal, issued.identity);
  }

  #failed(entry: Entry, error: MeshError): void {
    const { clock, log } = this.#deps;
    entry.failure = error;
    entry.failedAt = clock.now();
    let delayMs = entry.backoff.nextDelayMs();
    if (entry.issued !== undefined) {
      // While the old one is valid it stays; the next attempt comes before it ends.
      const left = entry.issued.notAfter - clock.wallTime();
      if (left > 0) delayMs = Math.min(delayMs, left);
    }
    this.#schedule(entry, delayMs);
    log.warn('no certificate', {
      principal: entry.principal,
      error: error.message,
      retryMs: Math.round(delayMs),
    });
    for (const { reject } of entry.waiters.splice(0)) reject(error);
  }

  /** Puts the entry back into the queue after `delayMs` of waking time. */
  #schedule(entry: Entry, delayMs: number): void {
    const { clock } = this.#deps;
    entry.timer?.cancel();
    entry.due = clock.wallTime() + delayMs;
    // Long waits are cut: a timer does not run while the machine sleeps, and takes 24 days at most.
    const step = Math.max(0, Math.min(delayMs, TIMER_MAX_MS));
    entry.timer = clock.after(step, () => {
      const left = entry.due - clock.wallTime();
      if (left > 0) {
        this.#schedule(entry, left);
        return;
      }
      entry.phase = 'queued';
      this.#pump();
    });
  }
}

export function publicPart({ certificateChain, trustBundle }: TlsIdentity): PublicPart {
  return { certificateChain, trustBundle };
}

function failureOf(principal: Principal, cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause;
  return new MeshError('SVID_FETCH_FAILED', `certificate of ${principal}: ${messageOf(cause)}`, {
    side: 'upstream',
    hint: 'is the control plane up? try `tulle status`',
    cause,
  });
}
