/**
 * One period of one tier as bytes: all series that had traffic in it. Written as the difference from what the tier above it says is usual (rate, shape of
 * the latencies, size of messages), which is what makes a second of an edge one or two bytes. Requests, codes, flags, latencies and connections are kept exactly; bytes
 * to 1/32, in place: what is written is what counts from then on.
 *
 *   column   of each row
 *   ROWS     difference of its number from the row before
 *   SHAPE    which of the others speak of it (bits below)
 *   REQUESTS from the usual number · LATENCY few requests: the bucket of each; many: bucket by bucket, from the usual share
 *   SENT, RECEIVED  steps from the usual size · OPENED · FAILED · OUTCOME_ROWS, OUTCOMES, OUTCOME_COUNTS: three of each outcome
 */
import { type ColumnReader, ColumnWriter, packColumns, unpackColumns } from './columns.ts';
import { BUCKETS, type Counts } from './counts.ts';
import { OUTCOMES_MAX } from './limits.ts';

const ROWS = 0;
const SHAPE = 1;
const REQUESTS = 2;
const FEW = 3;
const LATENCY = 4;
const SENT = 5;
const RECEIVED = 6;
const OPENED = 7;
const FAILED = 8;
const OUTCOME_ROWS = 9;
const OUTCOME_IDS = 10;
const OUTCOME_COUNTS = 11;
const COLUMNS = 12;

const HAS_REQUESTS = 1;
const HAS_BYTES = 2;
const HAS_OPENED = 4;
const HAS_FAILED = 8;
/** Latencies were not counted as often as requests: how often stands before them. */
const OTHER_TOTAL = 16;
/** Latencies outside of the usual buckets: the first and last bucket stand before them. */
const UNUSUAL = 32;

/** Up to here the bucket of each request is shorter than a count for each bucket. */
const FEW_MAX = 4;
/** Steps an octave in which bytes are kept: at most 1/32 off. */
const STEP_BITS = 4;
/** Below it the usual shape is no shape. */
const USUAL_REQUESTS_MIN = 16;

/** The period of the tier above that this one is compared with, and the shape of its latencies, found once. */
export class Usual {
  readonly counts: Counts;
  readonly seconds: number;
  readonly first: Uint8Array;
  readonly last: Uint8Array;
  /** The bucket in which half of the latencies are reached. */
  readonly middle: Uint8Array;
  readonly total: Uint32Array;

  constructor(counts: Counts, seconds: number) {
    this.counts = counts;
    this.seconds = seconds;
    const rows = counts.requests.length;
    this.first = new Uint8Array(rows);
    this.last = new Uint8Array(rows);
    this.middle = new Uint8Array(rows);
    this.total = new Uint32Array(rows);
    for (let at = 0; at < counts.touchedCount; at++) this.#describe(counts.touched[at]);
  }

  #describe(row: number): void {
    const { latency } = this.counts;
    const base = row * BUCKETS;
    let total = 0;
    for (let bucket = BUCKETS - 1; bucket >= 0; bucket--) {
      const count = latency[base + bucket];
      if (count === 0) continue;
      if (total === 0) this.last[row] = bucket;
      this.first[row] = bucket;
      total += count;
    }
    // Too few to be a shape: total stays 0.
    if (total < USUAL_REQUESTS_MIN) return;
    this.total[row] = total;
    let sum = 0;
    let bucket = this.first[row];
    for (; sum * 2 < total; bucket++) sum += latency[base + bucket];
    this.middle[row] = bucket - 1;
  }
}

const writers = Array.from({ length: COLUMNS }, () => new ColumnWriter());
/** By row, where in the block it stands: of the rows of the block that is being written. */
let positions = new Uint32Array(0);

/** `seconds`: the length of the period. Rounds the bytes in `counts`. */
export function encodeBlock(counts: Counts, seconds: number, usual?: Usual): Uint8Array {
  for (const writer of writers) writer.clear();
  const rows = counts.sortedRows();
  if (positions.length < counts.requests.length)
    positions = new Uint32Array(counts.requests.length);
  let last = -1;
  let position = 0;
  for (const row of rows) {
    if (counts.isIdle(row)) continue;
    writers[ROWS].put(row - last - 1);
    last = row;
    positions[row] = position++;
    writeRow(counts, row, seconds, usual?.counts.has(row) ? usual : undefined);
  }
  writeOutcomes(counts);
  return packColumns(writers);
}

/** Adds what the block holds to `into`; false (and `into` in parts) when it is no block. */
export function decodeBlock(
  bytes: Uint8Array,
  seconds: number,
  usual: Usual | undefined,
  into: Counts,
): boolean {
  const columns = unpackColumns(bytes, COLUMNS);
  if (columns === undefined) return false;
  const rows: number[] = [];
  let row = -1;
  const shapes = columns[SHAPE];
  for (;;) {
    const shape = shapes.take();
    if (shapes.isShort) break;
    row += columns[ROWS].take() + 1;
    if (columns[ROWS].isShort || row > ROW_MAX) return false;
    rows.push(row);
    readRow(columns, shape, into, row, seconds, usual?.counts.has(row) ? usual : undefined);
  }
  readOutcomes(columns, rows, into);
  return columns.every(
    (column, index) => index === SHAPE || index === OUTCOME_ROWS || !column.isShort,
  );
}

/** Rows are numbers that the series table gives; more than this is a broken block. */
const ROW_MAX = 1_000_000;

function writeRow(counts: Counts, row: number, seconds: number, usual: Usual | undefined): void {
  const requests = counts.requests[row];
  const hasBytes = counts.sent[row] > 0 || counts.received[row] > 0;
  let shape = requests > 0 ? HAS_REQUESTS : 0;
  if (hasBytes) shape |= HAS_BYTES;
  if (counts.opened[row] > 0) shape |= HAS_OPENED;
  if (counts.failed[row] > 0) shape |= HAS_FAILED;
  if (requests > 0) {
    writers[REQUESTS].putSigned(requests - usualCount(usual, usual?.counts.requests, row, seconds));
    shape |= writeLatency(counts, row, usual);
  }
  if (hasBytes) {
    counts.sent[row] = writeBytes(
      SENT,
      counts.sent[row],
      usualBytes(usual, usual?.counts.sent, row, requests, seconds),
    );
    counts.received[row] = writeBytes(
      RECEIVED,
      counts.received[row],
      usualBytes(usual, usual?.counts.received, row, requests, seconds),
    );
  }
  if (counts.opened[row] > 0)
    writers[OPENED].putSigned(
      counts.opened[row] - usualCount(usual, usual?.counts.opened, row, seconds),
    );
  if (counts.failed[row] > 0) writers[FAILED].put(counts.failed[row]);
  writers[SHAPE].put(shape);
}

function readRow(
  columns: readonly ColumnReader[],
  shape: number,
  into: Counts,
  row: number,
  seconds: number,
  usual: Usual | undefined,
): void {
  into.touch(row);
  let requests = 0;
  if (shape & HAS_REQUESTS) {
    requests = Math.max(
      0,
      columns[REQUESTS].takeSigned() + usualCount(usual, usual?.counts.requests, row, seconds),
    );
    into.requests[row] += requests;
    readLatency(columns, shape, into, row, requests, usual);
  }
  if (shape & HAS_BYTES) {
    into.sent[row] += readBytes(
      columns[SENT],
      usualBytes(usual, usual?.counts.sent, row, requests, seconds),
    );
    into.received[row] += readBytes(
      columns[RECEIVED],
      usualBytes(usual, usual?.counts.received, row, requests, seconds),
    );
  }
  if (shape & HAS_OPENED)
    into.opened[row] += Math.max(
      0,
      columns[OPENED].takeSigned() + usualCount(usual, usual?.counts.opened, row, seconds),
    );
  if (shape & HAS_FAILED) into.failed[row] += columns[FAILED].take();
}

/** How many a period of `seconds` usually has. */
function usualCount(
  usual: Usual | undefined,
  column: Uint32Array | undefined,
  row: number,
  seconds: number,
): number {
  if (usual === undefined || column === undefined) return 0;
  return Math.round((column[row] * seconds) / usual.seconds);
}

/** By the size of a request where there are requests, else by time; as a number of steps. */
function usualBytes(
  usual: Usual | undefined,
  column: Float64Array | undefined,
  row: number,
  requests: number,
  seconds: number,
): number {
  if (usual === undefined || column === undefined) return 0;
  const usualRequests = usual.counts.requests[row];
  return stepsOf(
    requests > 0 && usualRequests > 0
      ? (column[row] / usualRequests) * requests
      : (column[row] * seconds) / usual.seconds,
  );
}

function writeBytes(column: number, value: number, usualSteps: number): number {
  const steps = stepsOf(value);
  writers[column].putSigned(steps - usualSteps);
  return bytesOf(steps);
}

function readBytes(column: ColumnReader, usualSteps: number): number {
  return bytesOf(Math.max(0, column.takeSigned() + usualSteps));
}

/** Bytes on a scale with 16 steps an octave; exact below 32. */
export function stepsOf(bytes: number): number {
  const whole = Math.round(bytes);
  if (whole < 1 << STEP_BITS) return whole;
  const octave = Math.floor(Math.log2(whole)) - STEP_BITS;
  return (octave << STEP_BITS) + Math.round(whole / 2 ** octave);
}

export function bytesOf(steps: number): number {
  if (steps < 2 << STEP_BITS) return steps;
  const octave = (steps >> STEP_BITS) - 1;
  return ((1 << STEP_BITS) + (steps & ((1 << STEP_BITS) - 1))) * 2 ** octave;
}

function writeLatency(counts: Counts, row: number, usual: Usual | undefined): number {
  const base = row * BUCKETS;
  let total = 0;
  let first = -1;
  let last = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = counts.latency[base + bucket];
    if (count === 0) continue;
    total += count;
    if (first < 0) first = bucket;
    last = bucket;
  }
  let shape = 0;
  if (total !== counts.requests[row]) {
    shape |= OTHER_TOTAL;
    writers[LATENCY].put(total);
  }
  if (total === 0) return shape;
  if (total <= FEW_MAX) {
    writeFew(counts, base, middleOf(usual, row));
    return shape;
  }
  const isUsual =
    usual !== undefined &&
    usual.total[row] > 0 &&
    first >= usual.first[row] &&
    last <= usual.last[row];
  if (!isUsual) {
    shape |= UNUSUAL;
    writers[LATENCY].put(first);
    writers[LATENCY].put(last - first);
  } else {
    first = usual.first[row];
    last = usual.last[row];
  }
  let rest = total;
  let usualRest = isUsual ? usual.total[row] : 0;
  for (let bucket = first; bucket < last && rest > 0; bucket++) {
    const count = counts.latency[base + bucket];
    const expected = isUsual ? share(usual, row, bucket, rest, usualRest) : 0;
    if (isUsual) {
      writers[LATENCY].putSigned(count - expected);
      usualRest -= usual?.counts.latency[base + bucket] ?? 0;
    } else writers[LATENCY].put(count);
    rest -= count;
  }
  return shape;
}

function readLatency(
  columns: readonly ColumnReader[],
  shape: number,
  into: Counts,
  row: number,
  requests: number,
  usual: Usual | undefined,
): void {
  const base = row * BUCKETS;
  const column = columns[LATENCY];
  const total = shape & OTHER_TOTAL ? column.take() : requests;
  if (total === 0) return;
  if (total <= FEW_MAX) {
    readFew(columns[FEW], into, base, total, middleOf(usual, row));
    return;
  }
  const known = shape & UNUSUAL || usual === undefined ? undefined : usual;
  const first = known === undefined ? column.take() : known.first[row];
  const last = known === undefined ? Math.min(BUCKETS - 1, first + column.take()) : known.last[row];
  let rest = total;
  let usualRest = known === undefined ? 0 : known.total[row];
  for (let bucket = first; bucket < last && rest > 0; bucket++) {
    let count: number;
    if (known === undefined) count = column.take();
    else {
      count = column.takeSigned() + share(usual, row, bucket, rest, usualRest);
      usualRest -= usual?.counts.latency[base + bucket] ?? 0;
    }
    count = Math.min(Math.max(0, count), rest);
    into.latency[base + bucket] += count;
    rest -= count;
  }
  if (rest > 0 && last < BUCKETS) into.latency[base + last] += rest;
}

/** The bucket of each of a few requests, ascending: the first from the usual middle, the others from the one before. */
function writeFew(counts: Counts, base: number, middle: number): void {
  let before = -1;
  for (let bucket = 0; bucket < BUCKETS; bucket++)
    for (let count = counts.latency[base + bucket]; count > 0; count--) {
      if (before < 0) writers[FEW].putSigned(bucket - middle);
      else writers[FEW].put(bucket - before);
      before = bucket;
    }
}

function readFew(
  column: ColumnReader,
  into: Counts,
  base: number,
  total: number,
  middle: number,
): void {
  let bucket = column.takeSigned() + middle;
  for (let left = total; left > 0; left--) {
    if (bucket >= 0 && bucket < BUCKETS) into.latency[base + bucket]++;
    if (left > 1) bucket += column.take();
  }
}

function middleOf(usual: Usual | undefined, row: number): number {
  return usual === undefined ? 0 : usual.middle[row];
}

function share(
  usual: Usual | undefined,
  row: number,
  bucket: number,
  rest: number,
  usualRest: number,
): number {
  if (usual === undefined || usualRest <= 0) return 0;
  return Math.round((rest * usual.counts.latency[row * BUCKETS + bucket]) / usualRest);
}

function writeOutcomes(counts: Counts): void {
  // By row, and by outcome within it.
  const keys = Float64Array.from(counts.outcomes.keys()).sort();
  let last = 0;
  for (const key of keys) {
    const row = Math.floor(key / OUTCOMES_MAX);
    if (!counts.has(row) || counts.isIdle(row)) continue;
    const position = positions[row];
    writers[OUTCOME_ROWS].put(position - last);
    writers[OUTCOME_IDS].put(key % OUTCOMES_MAX);
    writers[OUTCOME_COUNTS].put(counts.outcomes.get(key) ?? 0);
    last = position;
  }
}

function readOutcomes(
  columns: readonly ColumnReader[],
  rows: readonly number[],
  into: Counts,
): void {
  let position = 0;
  for (;;) {
    const step = columns[OUTCOME_ROWS].take();
    if (columns[OUTCOME_ROWS].isShort) return;
    position += step;
    const outcome = columns[OUTCOME_IDS].take();
    const count = columns[OUTCOME_COUNTS].take();
    if (position >= rows.length || outcome >= OUTCOMES_MAX) continue;
    into.addOutcome(rows[position], outcome, count);
  }
}
