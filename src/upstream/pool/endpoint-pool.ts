/**
 * The connections to one endpoint. Generic: it is handed its `dial`, and knows of a connection only how many exchanges it can
 * take. A waiter gets a connection at once when one has room; else it queues while a connection is dialled. The protocol of an
 * endpoint may be unknown (h2UpgradePolicy UPGRADE): then one dial probes, and what was learned stays.
 */
import { assert } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { ConnectionPoolPolicy } from '#model/route/route-table.ts';
import { UPSTREAM_ERRORS } from '../errors.ts';
import { PENDING_DEFAULT_MAX } from '../limits.ts';

export interface PoolConnection {
  readonly capacity: number;
  readonly active: number;
  readonly closed: boolean;
  onChange: () => void;
  drain(): void;
}

/** Someone who needs a connection. `onConnection` must start its exchange before it returns. */
export interface Waiter<C> {
  onConnection(connection: C, isReused: boolean): void;
  /** `error.retry` is `safe`: nothing was sent. */
  onFail(error: MeshError): void;
}

export type LearnedProtocol = 'unknown' | 'h1' | 'h2';

export interface DialOutcome<C> {
  onReady(connection: C): void;
  /** Only after a probe: the peer closed or did not answer HTTP/2. */
  onSpeaksH1Only(): void;
  onFail(error: MeshError): void;
}

/** `unknown` asks for a probe. */
export type Dial<C> = (protocol: LearnedProtocol, outcome: DialOutcome<C>) => void;

/** Counters that all endpoints of a group share, because Istio's limits are per destination. */
export interface PoolShare {
  policy: ConnectionPoolPolicy;
  connections: number;
  pending: number;
}

export interface PoolDeps<C> {
  clock: Clock;
  dial: Dial<C>;
  share: PoolShare;
  onLearned: (protocol: 'h1' | 'h2') => void;
}

class Entry<C extends PoolConnection> {
  readonly connection: C;
  isReady = false;
  requests = 0;
  idleSince: number;
  readonly openedAt: number;

  constructor(connection: C, openedAt: number) {
    this.connection = connection;
    this.idleSince = openedAt;
    this.openedAt = openedAt;
  }
}

export class EndpointPool<C extends PoolConnection> {
  readonly #deps: PoolDeps<C>;
  readonly #entries = new Set<Entry<C>>();
  /** Entries with room, the most recently used last: it is the warmest. */
  readonly #ready: Entry<C>[] = [];
  readonly #pending: Waiter<C>[] = [];
  #dialing = 0;
  #closed = false;
  protocol: LearnedProtocol;

  constructor(deps: PoolDeps<C>, protocol: LearnedProtocol) {
    this.#deps = deps;
    this.protocol = protocol;
  }

  get connections(): number {
    return this.#entries.size;
  }

  get pending(): number {
    return this.#pending.length;
  }

  acquire(waiter: Waiter<C>): void {
    const entry = this.#takeReady();
    if (entry !== undefined) {
      this.#give(entry, waiter, entry.requests > 0);
      return;
    }
    const { share } = this.#deps;
    if (this.#closed) {
      waiter.onFail(goneError());
      return;
    }
    const pendingMax = share.policy.maxPendingRequests ?? PENDING_DEFAULT_MAX;
    if (share.pending >= pendingMax) {
      waiter.onFail(
        overflow(`${share.pending} requests wait for a connection (limit ${pendingMax})`),
      );
      return;
    }
    this.#pending.push(waiter);
    share.pending += 1;
    this.#dialIfNeeded();
  }

  /** The waiter no longer wants a connection; nothing will be called. */
  cancel(waiter: Waiter<C>): void {
    const index = this.#pending.indexOf(waiter);
    if (index === -1) return;
    this.#pending.splice(index, 1);
    this.#deps.share.pending -= 1;
  }

  /** Lets go of connections that had no exchange for `idleTimeoutMs`, and of those that are older than the policy allows. */
  sweepIdle(): void {
    const { clock, share } = this.#deps;
    const { idleTimeoutMs, maxConnectionDurationMs } = share.policy;
    const now = clock.now();
    if (idleTimeoutMs > 0) {
      const oldest = now - idleTimeoutMs;
      for (const entry of [...this.#ready]) {
        if (entry.connection.active === 0 && entry.idleSince <= oldest) entry.connection.drain();
      }
    }
    if (maxConnectionDurationMs === undefined) return;
    const first = now - maxConnectionDurationMs;
    for (const entry of [...this.#entries]) if (entry.openedAt <= first) this.#letGo(entry);
  }

  /** It takes no more; what runs on it finishes. */
  #letGo(entry: Entry<C>): void {
    this.#unready(entry);
    entry.connection.drain();
  }

  /** The endpoint is gone: running exchanges finish, waiters are sent elsewhere. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#takeAllPending()) waiter.onFail(goneError());
    for (const entry of [...this.#entries]) entry.connection.drain();
  }

  #takeReady(): Entry<C> | undefined {
    for (;;) {
      const entry = this.#ready.pop();
      if (entry === undefined) return undefined;
      entry.isReady = false;
      if (this.#hasRoom(entry)) return entry;
    }
  }

  #give(entry: Entry<C>, waiter: Waiter<C>, isReused: boolean): void {
    entry.requests += 1;
    waiter.onConnection(entry.connection, isReused);
    const requestsMax = this.#deps.share.policy.maxRequestsPerConnection ?? 0;
    if (requestsMax > 0 && entry.requests >= requestsMax) entry.connection.drain();
    else this.#markReady(entry);
  }

  #hasRoom({ connection }: Entry<C>): boolean {
    if (connection.closed || connection.capacity <= 0) return false;
    const streamsMax = this.#deps.share.policy.maxConcurrentStreams;
    return streamsMax === undefined || connection.active < streamsMax;
  }

  #unready(entry: Entry<C>): void {
    if (!entry.isReady) return;
    entry.isReady = false;
    this.#ready.splice(this.#ready.indexOf(entry), 1);
  }

  #markReady(entry: Entry<C>): void {
    if (entry.isReady || !this.#hasRoom(entry)) return;
    entry.isReady = true;
    this.#ready.push(entry);
  }

  #onChange(entry: Entry<C>): void {
    const { connection } = entry;
    if (connection.closed) {
      if (!this.#entries.delete(entry)) return;
      this.#deps.share.connections -= 1;
      this.#unready(entry);
      this.#dialIfNeeded();
      return;
    }
    if (connection.active === 0) entry.idleSince = this.#deps.clock.now();
    this.#markReady(entry);
    while (this.#pending.length > 0) {
      const ready = this.#takeReady();
      if (ready === undefined) break;
      this.#give(ready, this.#takePending(), ready.requests > 0);
    }
  }

  #dialIfNeeded(): void {
    if (this.#closed) return;
    // A dial may fail before it returns: what is wanted is asked anew each time.
    while (this.#dialing < this.#dialsWanted && this.#mayDial()) this.#dial();
  }

  /** One h2 connection serves many waiters, and a probe answers for all: never two at once. */
  get #dialsWanted(): number {
    const waiting = this.#pending.length;
    return this.protocol === 'h1' ? waiting : Math.min(1, waiting);
  }

  /** The limit is per group, but an endpoint without any connection may always open one (as Envoy does). */
  #mayDial(): boolean {
    const { share } = this.#deps;
    const connectionsMax = share.policy.maxConnections ?? Number.POSITIVE_INFINITY;
    return share.connections < connectionsMax || this.#entries.size + this.#dialing === 0;
  }

  #dial(): void {
    this.#dialing += 1;
    this.#deps.share.connections += 1;
    const { protocol } = this;
    let settled = false;
    const settle = () => {
      assert(!settled, 'a dial has one outcome');
      settled = true;
      this.#dialing -= 1;
    };
    this.#deps.dial(protocol, {
      onReady: (connection) => {
        settle();
        if (protocol === 'unknown') this.#learn('h2');
        this.#add(connection);
      },
      onSpeaksH1Only: () => {
        settle();
        this.#deps.share.connections -= 1;
        this.#learn('h1');
        this.#dialIfNeeded();
      },
      onFail: (error) => {
        settle();
        this.#deps.share.connections -= 1;
        this.#failPending(error);
      },
    });
  }

  #learn(protocol: 'h1' | 'h2'): void {
    this.protocol = protocol;
    this.#deps.onLearned(protocol);
  }

  #add(connection: C): void {
    const entry = new Entry(connection, this.#deps.clock.now());
    this.#entries.add(entry);
    connection.onChange = () => this.#onChange(entry);
    if (this.#closed) {
      connection.drain();
      return;
    }
    this.#onChange(entry);
    this.#dialIfNeeded();
  }

  /** A failed h1 dial fails the waiter it was made for; a failed h2 dial or probe fails everyone who counted on it. */
  #failPending(error: MeshError): void {
    if (this.protocol !== 'h1' || this.#entries.size + this.#dialing === 0) {
      for (const waiter of this.#takeAllPending()) waiter.onFail(error);
      return;
    }
    if (this.#pending.length > this.#dialing) this.#takePending().onFail(error);
    this.#dialIfNeeded();
  }

  #takePending(): Waiter<C> {
    const waiter = this.#pending.shift();
    assert(waiter !== undefined, 'a waiter is there');
    this.#deps.share.pending -= 1;
    return waiter;
  }

  #takeAllPending(): Waiter<C>[] {
    const waiters = this.#pending.splice(0);
    this.#deps.share.pending -= waiters.length;
    return waiters;
  }
}

export function overflow(what: string): MeshError {
  return new MeshError('UPSTREAM_OVERFLOW', `connection pool overflow: ${what}`, {
    side: 'self',
    hint: UPSTREAM_ERRORS.UPSTREAM_OVERFLOW,
    retry: 'never',
  });
}

function goneError(): MeshError {
  return new MeshError(
    'UPSTREAM_ENDPOINT_GONE',
    'the endpoint was removed from the configuration',
    {
      side: 'config',
      hint: UPSTREAM_ERRORS.UPSTREAM_ENDPOINT_GONE,
      retry: 'safe',
    },
  );
}
