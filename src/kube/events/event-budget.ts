/**
 * How often may be said what: of one object so much at once and then so much a minute, of the same words only each so often. What is
 * held back is counted and told with the next one that is let through. Bounds and reasons: ../limits.ts. Pure but for its memory.
 */
import {
  EVENT_BURST,
  EVENT_REFILL_MS,
  EVENT_REPEAT_MS,
  EVENT_TARGETS_MAX,
  EVENT_TEXTS_MAX,
} from '../limits.ts';

interface Allowance {
  tokens: number;
  filledAtMs: number;
  /** What was said, and how often it was held back since it was written. */
  readonly texts: Map<string, { writtenAtMs: number; held: number }>;
}

export type EventVerdict =
  /** `count`: how many repeats this one stands for. */
  { readonly write: true; readonly count: number } | { readonly write: false };

export class EventBudget {
  /** In order of last use: the object that was silent longest is forgotten first. */
  readonly #targets = new Map<string, Allowance>();

  get size(): number {
    return this.#targets.size;
  }

  /** `target` and `text` are keys; `nowMs` never goes back. */
  take(target: string, text: string, nowMs: number): EventVerdict {
    const allowance = this.#allowance(target, nowMs);
    const said = allowance.texts.get(text);
    const isRepeat = said !== undefined && nowMs - said.writtenAtMs < EVENT_REPEAT_MS;
    if (isRepeat || allowance.tokens < 1) {
      if (said !== undefined) said.held += 1;
      else remember(allowance.texts, text, { writtenAtMs: Number.NEGATIVE_INFINITY, held: 1 });
      return { write: false };
    }
    allowance.tokens -= 1;
    remember(allowance.texts, text, { writtenAtMs: nowMs, held: 0 });
    return { write: true, count: 1 + (said?.held ?? 0) };
  }

  #allowance(target: string, nowMs: number): Allowance {
    const known = this.#targets.get(target);
    this.#targets.delete(target);
    const allowance = known ?? { tokens: EVENT_BURST, filledAtMs: nowMs, texts: new Map() };
    const earned = Math.floor((nowMs - allowance.filledAtMs) / EVENT_REFILL_MS);
    if (earned > 0) {
      allowance.tokens = Math.min(EVENT_BURST, allowance.tokens + earned);
      allowance.filledAtMs += earned * EVENT_REFILL_MS;
    }
    this.#targets.set(target, allowance);
    trim(this.#targets, EVENT_TARGETS_MAX);
    return allowance;
  }
}

function remember<V>(texts: Map<string, V>, text: string, value: V): void {
  texts.delete(text);
  texts.set(text, value);
  trim(texts, EVENT_TEXTS_MAX);
}

function trim(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
