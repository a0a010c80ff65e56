/**
 * Sockets of pods' namespaces, some made at a time: to enter a namespace and to leave it costs as much as to connect. A pod to
 * which many connections go has as many ahead as it used in this period, up to a bound; what nobody used for a period is closed.
 *
 *   open ── one is there ──▶ it
 *     └──── none is ───────▶ enter, make 1 + spares, leave
 */
import type { Clock } from '#base/clock.ts';
import { SPARE_SOCKETS_MAX, SPARE_SOCKETS_PERIOD_MS } from '../limits.ts';
import type { NetworkNamespace } from '../network.ts';
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from './constants.ts';
import { libc } from './libc.ts';
import { isOwnNamespace, within } from './namespace.ts';
import { leavesRoomToDial } from './open-files.ts';

interface Spares {
  readonly fds: number[];
  /** Opened in this period. */
  used: number;
}

export class SpareSockets {
  readonly #clock: Clock;
  /** By family, as one of a thousand pods has more than one. */
  readonly #byFamily = new Map<number, Map<NetworkNamespace, Spares>>();
  #isWatching = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As socket(2): a TCP socket of the namespace, or -1. */
  open(namespace: NetworkNamespace | undefined, family: number): number {
    if (namespace === undefined || isOwnNamespace(namespace)) return openTcp(family);
    const spares = this.#of(namespace, family);
    spares.used += 1;
    return spares.fds.pop() ?? this.#make(namespace, family, spares);
  }

  #make(namespace: NetworkNamespace, family: number, { fds, used }: Spares): number {
    return within(namespace, () => {
      const wanted = openTcp(family);
      for (let ahead = Math.min(used - 1, SPARE_SOCKETS_MAX); wanted >= 0 && ahead > 0; ahead--) {
        const fd = openTcp(family);
        if (fd < 0) break;
        if (leavesRoomToDial(fd)) fds.push(fd);
        else {
          libc().close(fd);
          break;
        }
      }
      return wanted;
    });
  }

  #of(namespace: NetworkNamespace, family: number): Spares {
    let byNamespace = this.#byFamily.get(family);
    if (byNamespace === undefined) {
      byNamespace = new Map();
      this.#byFamily.set(family, byNamespace);
    }
    let spares = byNamespace.get(namespace);
    if (spares === undefined) {
      spares = { fds: [], used: 0 };
      byNamespace.set(namespace, spares);
      if (!this.#isWatching) this.#watch();
    }
    return spares;
  }

  #watch(): void {
    this.#isWatching = true;
    this.#clock.after(SPARE_SOCKETS_PERIOD_MS, () => {
      this.#isWatching = false;
      for (const byNamespace of this.#byFamily.values()) {
        for (const [namespace, spares] of byNamespace) {
          if (spares.used > 0) spares.used = 0;
          else {
            byNamespace.delete(namespace);
            for (const fd of spares.fds) libc().close(fd);
          }
        }
        if (byNamespace.size > 0 && !this.#isWatching) this.#watch();
      }
    });
  }
}

export function openTcp(family: number): number {
  return libc().socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
