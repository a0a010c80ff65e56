/**
 * HBONE connections out of this process, shared by all tunnels with the same key: source identity, accepted
 * destination identities, destination address, source address. Concurrent first tunnels of a key share one
 * dial. A connection serves until it is full, draining, retired (its certificate was replaced) or unused.
 */
import type { Timer } from '#base/clock.ts';
import { recentSlot, recentSlots } from '#base/recent.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { ConnectionHandler } from '#net/connection.ts';
import type { ConnectHandler, NetworkNamespace } from '#net/network.ts';
import * as limits from '../limits.ts';
import type { TunnelConnection } from '../tunnel-connection.ts';
import { type InnerHandler, openInnerTunnel } from './inner-tunnel.ts';
import { PoolEntry } from './pool-entry.ts';
import {
  type PoolDeps,
  type PoolOptions,
  type PoolStatus,
  poolClosed,
  type TunnelRequest,
  type TunnelTarget,
} from './tunnel-request.ts';

export class TunnelPool {
  readonly #deps: PoolDeps;
  readonly #options: PoolOptions;
  readonly #entries = new Map<string, PoolEntry>();
  /** Busy pairs are few: their entries are found without a key, which is a long text. */
  readonly #recent = recentSlots<PoolEntry>();
  readonly #sweep: Timer;
  #closed = false;

  constructor(deps: PoolDeps, options: PoolOptions = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#sweep = deps.clock.every(limits.RELEASE_SWEEP_MS, () => this.#releaseUnused());
  }

  /** `onOpen` after the peer's 200; `onFail` with the peer's status, the dial's error, or ours. */
  open(request: TunnelRequest, handler: ConnectHandler<TunnelConnection>): void {
    if (this.#closed) {
      handler.onFail(poolClosed());
      return;
    }
    this.#entryOf(request).open(request, handler);
  }

  /** A tunnel inside one that is open, over a connection of its own. Returns the handler of the outer one. */
  openWithin(
    outer: TunnelConnection,
    request: TunnelRequest,
    handler: InnerHandler,
  ): ConnectionHandler {
    return openInnerTunnel(outer, request, this.#deps, handler);
  }

  /** New tunnels of this identity get new connections; running ones finish on the old. */
  retire(principal: Principal): void {
    for (const entry of this.#entries.values()) {
      if (entry.target.source === principal) entry.retire();
    }
  }

  /** Breaks off the connections whose peer the pool's judge now refuses. */
  judgeAgain(): void {
    const { judgePeer } = this.#deps;
    if (judgePeer === undefined) return;
    for (const entry of this.#entries.values()) entry.judgeAgain(judgePeer);
  }

  /** Breaks off everything of one namespace: its pod is gone. */
  release(namespace: NetworkNamespace): void {
    for (const [key, entry] of this.#entries) {
      if (entry.target.namespace?.inode !== namespace.inode) continue;
      entry.close();
      this.#remove(key);
    }
  }

  /** Takes no new tunnel; running ones finish. */
  drain(): void {
    this.#closed = true;
    this.#sweep.cancel();
    for (const entry of this.#entries.values()) entry.retire();
  }

  close(): void {
    this.drain();
    for (const entry of this.#entries.values()) entry.close();
    this.#entries.clear();
    this.#recent.fill(undefined);
  }

  status(): PoolStatus[] {
    return [...this.#entries.values()].map((entry) => entry.status());
  }

  #entryOf(target: TunnelTarget): PoolEntry {
    const slot = recentSlot(target.sourceAddress, target.destination.address);
    const recent = this.#recent[slot];
    if (recent !== undefined && areSame(recent.target, target)) return recent;
    const key = keyOf(target);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = new PoolEntry(target, this.#deps, this.#options);
      this.#entries.set(key, entry);
    }
    this.#recent[slot] = entry;
    return entry;
  }

  #remove(key: string): void {
    this.#entries.delete(key);
    this.#recent.fill(undefined);
  }

  #releaseUnused(): void {
    const before = this.#deps.clock.now() - limits.UNUSED_RELEASE_MS;
    for (const [key, entry] of this.#entries) {
      entry.releaseUnused(before);
      if (entry.empty) this.#remove(key);
    }
  }
}

function areSame(a: TunnelTarget, b: TunnelTarget): boolean {
  return (
    a.source === b.source &&
    a.destination.address === b.destination.address &&
    a.destination.port === b.destination.port &&
    a.sourceAddress === b.sourceAddress &&
    a.namespace?.inode === b.namespace?.inode &&
    (a.expected === b.expected || a.expected.join() === b.expected.join())
  );
}

function keyOf(target: TunnelTarget): string {
  const { source, destination, sourceAddress, expected } = target;
  const place = target.namespace?.inode ?? 0;
  return `${place} ${sourceAddress} ${source} ${destination.address} ${destination.port} ${expected.join()}`;
}
