/** Counts one kind of thing of one pod up to its limit. It is the gate of a listener, too. */
import type { AcceptGate } from '#net/network.ts';

export type LimitName =
  | 'inbound-connections'
  | 'outbound-connections'
  | 'streams'
  | 'pending-connects'
  | 'dns-queries'
  | 'dns-connections'
  | 'dns-datagrams';

export class Meter implements AcceptGate {
  current = 0;
  refused = 0;
  readonly limit: LimitName;
  readonly max: number;
  readonly #onRefused: (meter: Meter) => void;

  constructor(limit: LimitName, max: number, onRefused: (meter: Meter) => void) {
    this.limit = limit;
    this.max = max;
    this.#onRefused = onRefused;
  }

  /** Takes one, or counts and reports the refusal. */
  enter(): boolean {
    if (this.current >= this.max) {
      this.refused += 1;
      this.#onRefused(this);
      return false;
    }
    this.current += 1;
    return true;
  }

  leave(): void {
    this.current -= 1;
  }
}
