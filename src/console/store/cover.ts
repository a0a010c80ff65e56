/**
 * Which blocks make up a stretch of time: hours where they are whole, else minutes, else seconds. What is too old for seconds is widened to whole minutes or
 * hours, and the answer says so by its own `from` and `to`. Pure.
 */
import { TIERS, type Tier } from './limits.ts';

export interface CoverPiece {
  readonly tier: Tier;
  /** Seconds since the epoch; `to` is not in it. */
  readonly from: number;
  readonly to: number;
}

export interface Kept {
  /** The first second that has blocks of its own. */
  readonly secondsFrom: number;
  readonly minutesFrom: number;
  /** Minutes and hours are whole before these. */
  readonly minutesTo: number;
  readonly hoursTo: number;
}

export interface Cover {
  readonly from: number;
  readonly to: number;
  readonly pieces: readonly CoverPiece[];
}

const MINUTE = TIERS[1].seconds;
const HOUR = TIERS[2].seconds;

export function coverOf(from: number, to: number, kept: Kept): Cover {
  const start = widened(from, kept, Math.floor);
  const end = Math.max(start + 1, widened(to, kept, Math.ceil));
  const pieces: CoverPiece[] = [];
  let at = start;
  while (at < end) {
    const tier = tierAt(at, end, kept);
    const next = at + TIERS[tier].seconds;
    const last = pieces.at(-1);
    if (last?.tier === tier) pieces[pieces.length - 1] = { ...last, to: next };
    else pieces.push({ tier, from: at, to: next });
    at = next;
  }
  return { from: start, to: end, pieces };
}

function tierAt(at: number, end: number, kept: Kept): Tier {
  if (at % HOUR === 0 && at + HOUR <= end && at + HOUR <= kept.hoursTo) return 2;
  if (at % MINUTE === 0 && at + MINUTE <= end && at + MINUTE <= kept.minutesTo) return 1;
  return 0;
}

function widened(second: number, kept: Kept, round: (value: number) => number): number {
  if (second >= kept.secondsFrom) return second;
  const unit = second >= kept.minutesFrom ? MINUTE : HOUR;
  return round(second / unit) * unit;
}
