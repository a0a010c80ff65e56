/**
 * What people ask to see of live requests, here and at other replicas. Each filter is told to the proxies once, however many ask for it; the
 * set is bounded, since proxies hold every request against all of it.
 */
import type { Disposer } from '#base/disposer.ts';
import { MeshError } from '#base/errors.ts';
import { TAPS_MAX } from '#telemetry/report/limits.ts';
import type { TapFilter } from '#telemetry/requests/request-record.ts';
import { CONTROL_ERRORS } from '../errors.ts';
import { FILTERS_MAX } from './limits.ts';

export class Filters {
  readonly #own = new Map<string, { readonly filter: TapFilter; holders: number }>();
  /** By replica. */
  readonly #foreign = new Map<string, readonly TapFilter[]>();
  readonly #onChange: () => void;

  /** `onChange`: `own` or `all` is another. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Asked for here. Throws CONTROL_TAPS_FULL. */
  hold(filter: TapFilter): Disposer {
    const key = JSON.stringify(filter);
    const known = this.#own.get(key);
    if (known === undefined && this.#own.size >= FILTERS_MAX) {
      throw new MeshError('CONTROL_TAPS_FULL', `${FILTERS_MAX} other filters are in use already`, {
        side: 'downstream',
        hint: CONTROL_ERRORS.CONTROL_TAPS_FULL,
      });
    }
    const held = known ?? { filter, holders: 0 };
    held.holders += 1;
    this.#own.set(key, held);
    if (known === undefined) this.#onChange();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      held.holders -= 1;
      if (held.holders > 0) return;
      this.#own.delete(key);
      this.#onChange();
    };
  }

  /** Asked for at another replica, all of it; nothing when it is gone. */
  holdFor(replica: string, filters: readonly TapFilter[]): void {
    const before = this.#foreign.get(replica) ?? [];
    if (before.length === 0 && filters.length === 0) return;
    if (filters.length === 0) this.#foreign.delete(replica);
    else this.#foreign.set(replica, filters.slice(0, FILTERS_MAX));
    this.#onChange();
  }

  get own(): TapFilter[] {
    return [...this.#own.values()].map(({ filter }) => filter);
  }

  /** What proxies are told: ours first, none twice. */
  get all(): TapFilter[] {
    const byKey = new Map<string, TapFilter>();
    for (const filter of [...this.own, ...[...this.#foreign.values()].flat()])
      byKey.set(JSON.stringify(filter), filter);
    return [...byKey.values()].slice(0, TAPS_MAX);
  }
}
