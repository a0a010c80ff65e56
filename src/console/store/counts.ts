/**
 * Counts of many series at once, column by column: a second, a minute, an hour or a window of the mesh. Sums and differences are exact, so that a window
 * that slides for days holds what its seconds hold. Rows are numbered by the series' (or an edge's) number.
 *
 *   touched ─► rows that hold something         requests[row], latency[row · BUCKETS + bucket], …
 *   outcomes ─► row · OUTCOMES_MAX + outcome → how many (codes other than 200, gRPC statuses other than 0, flags)
 */
import { DEFAULT_BOUNDS } from '#telemetry/metrics/istio.ts';
import { OUTCOMES_MAX } from './limits.ts';

/** One above the bounds for what is longer than all of them. */
export const BUCKETS = DEFAULT_BOUNDS.length + 1;
const ROWS_AT_FIRST = 64;

export class Counts {
  requests = new Uint32Array(ROWS_AT_FIRST);
  opened = new Uint32Array(ROWS_AT_FIRST);
  failed = new Uint32Array(ROWS_AT_FIRST);
  sent = new Float64Array(ROWS_AT_FIRST);
  received = new Float64Array(ROWS_AT_FIRST);
  latency = new Uint32Array(ROWS_AT_FIRST * BUCKETS);
  readonly outcomes = new Map<number, number>();
  touched = new Uint32Array(ROWS_AT_FIRST);
  touchedCount = 0;
  #isTouched = new Uint8Array(ROWS_AT_FIRST);

  /** Room for `row`, which counts as touched from now on. */
  touch(row: number): void {
    if (row >= this.requests.length) this.#grow(row + 1);
    if (this.#isTouched[row] === 1) return;
    this.#isTouched[row] = 1;
    this.touched[this.touchedCount++] = row;
  }

  has(row: number): boolean {
    return row < this.#isTouched.length && this.#isTouched[row] === 1;
  }

  addOutcome(row: number, outcome: number, count: number): void {
    const key = row * OUTCOMES_MAX + outcome;
    const sum = (this.outcomes.get(key) ?? 0) + count;
    if (sum === 0) this.outcomes.delete(key);
    else this.outcomes.set(key, sum);
  }

  /** Adds all rows of `other`, or takes them away (`sign` -1) after they were added. */
  add(other: Counts, sign: 1 | -1 = 1): void {
    for (let at = 0; at < other.touchedCount; at++) {
      const row = other.touched[at];
      this.addRow(row, other, row, sign);
    }
    for (const [key, count] of other.outcomes) {
      const sum = (this.outcomes.get(key) ?? 0) + sign * count;
      if (sum === 0) this.outcomes.delete(key);
      else this.outcomes.set(key, sum);
    }
  }

  /** One row but its outcomes. */
  addRow(row: number, other: Counts, from: number, sign: 1 | -1 = 1): void {
    this.addFigures(row, other, from, sign);
    if (other.requests[from] === 0) return;
    const own = this.latency;
    const added = other.latency;
    const base = row * BUCKETS;
    const otherBase = from * BUCKETS;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = added[otherBase + bucket];
      if (count !== 0) own[base + bucket] += sign === 1 ? count : -count;
    }
  }

  /** One row but its outcomes and latencies. */
  addFigures(row: number, other: Counts, from: number, sign: 1 | -1 = 1): void {
    this.touch(row);
    this.requests[row] += sign * other.requests[from];
    this.opened[row] += sign * other.opened[from];
    this.failed[row] += sign * other.failed[from];
    this.sent[row] += sign * other.sent[from];
    this.received[row] += sign * other.received[from];
  }

  /** Outcomes of some rows. */
  addOutcomesOf(rows: ReadonlySet<number>, other: Counts): void {
    for (const [key, count] of other.outcomes) {
      const row = Math.floor(key / OUTCOMES_MAX);
      if (rows.has(row)) this.addOutcome(row, key % OUTCOMES_MAX, count);
    }
  }

  isIdle(row: number): boolean {
    return (
      this.requests[row] === 0 &&
      this.opened[row] === 0 &&
      this.failed[row] === 0 &&
      this.sent[row] === 0 &&
      this.received[row] === 0
    );
  }

  /** Forgets rows that came back to nothing: a sliding window would otherwise remember every series for ever. */
  compact(): void {
    let kept = 0;
    for (let at = 0; at < this.touchedCount; at++) {
      const row = this.touched[at];
      if (this.isIdle(row)) this.#isTouched[row] = 0;
      else this.touched[kept++] = row;
    }
    this.touchedCount = kept;
  }

  clear(): void {
    // Row by row a call each: of many rows all at once is sooner done.
    const isMost = this.touchedCount > this.requests.length / 8;
    if (isMost) this.latency.fill(0);
    for (let at = 0; at < this.touchedCount; at++) {
      const row = this.touched[at];
      this.requests[row] = 0;
      this.opened[row] = 0;
      this.failed[row] = 0;
      this.sent[row] = 0;
      this.received[row] = 0;
      if (!isMost) this.latency.fill(0, row * BUCKETS, (row + 1) * BUCKETS);
      this.#isTouched[row] = 0;
    }
    this.touchedCount = 0;
    this.outcomes.clear();
  }

  /** Rows in ascending order. */
  sortedRows(): Uint32Array {
    return this.touched.slice(0, this.touchedCount).sort();
  }

  #grow(rows: number): void {
    const size = Math.max(rows, this.requests.length * 2);
    this.requests = grown(this.requests, size);
    this.opened = grown(this.opened, size);
    this.failed = grown(this.failed, size);
    this.latency = grown(this.latency, size * BUCKETS);
    this.touched = grown(this.touched, size);
    const sent = new Float64Array(size);
    sent.set(this.sent);
    this.sent = sent;
    const received = new Float64Array(size);
    received.set(this.received);
    this.received = received;
    const flags = new Uint8Array(size);
    flags.set(this.#isTouched);
    this.#isTouched = flags;
  }
}

function grown(array: Uint32Array, size: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(size);
  larger.set(array);
  return larger;
}
