/**
 * What one edge of a proxy counts within a second. Held as a handle by whoever counts, like a metric's series, but apart from them: series
 * are shared, renamed, switched off and bounded by what is configured for Prometheus, and the graph must not change with that. Adding is
 * a few field updates; the first addition of a second puts the tally on its book's list.
 */
import { DEFAULT_BOUNDS } from '../metrics/istio.ts';
import type { FlowEdge, FlowSample } from './flow-frame.ts';

export type EdgeFacts = Omit<FlowEdge, 'id'>;

/** Where tallies say that they have something. */
export interface TouchedList {
  readonly touched: FlowTally[];
}

export class FlowTally {
  /** In its book. */
  readonly key: string;
  readonly facts: EdgeFacts;
  /** -1: none, since it was idle for long. */
  id = -1;
  /** When it last had something, in seconds of the book. */
  usedSecond = -1;
  /** The stream on which its edge was said last. */
  saidOn = 0;
  readonly #list: TouchedList;
  #isTouched = false;
  #requests = 0;
  #durationMsSum = 0;
  #opened = 0;
  #closed = 0;
  #failed = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  /** Made by the first request. */
  #latency: Uint32Array | undefined = undefined;
  readonly #outcomes: FlowOutcome[] = [];
  readonly #flags = new Map<string, number>();

  constructor(key: string, facts: EdgeFacts, list: TouchedList) {
    this.key = key;
    this.facts = facts;
    this.#list = list;
  }

  /** A handle for requests that end alike; one each for the life of its holder. */
  outcome(code: number, grpcStatus: number, flag: string): FlowOutcome {
    return new FlowOutcome(this, { code, grpcStatus, flag });
  }

  request(durationMs: number, sentBytes: number, receivedBytes: number): void {
    if (!this.#isTouched) this.#touch();
    this.#requests += 1;
    this.#durationMsSum += durationMs;
    this.#sentBytes += sentBytes;
    this.#receivedBytes += receivedBytes;
    this.#latency ??= new Uint32Array(DEFAULT_BOUNDS.length + 1);
    this.#latency[bucketOf(durationMs)] += 1;
  }

  ended(outcome: FlowOutcome): void {
    this.#outcomes.push(outcome);
  }

  open(): void {
    if (!this.#isTouched) this.#touch();
    this.#opened += 1;
  }

  close(): void {
    if (!this.#isTouched) this.#touch();
    this.#closed += 1;
  }

  fail(flag: string): void {
    if (!this.#isTouched) this.#touch();
    this.#failed += 1;
    this.#flags.set(flag, (this.#flags.get(flag) ?? 0) + 1);
  }

  /** From the source to the destination, and back. */
  bytes(sentBytes: number, receivedBytes: number): void {
    if (sentBytes === 0 && receivedBytes === 0) return;
    if (!this.#isTouched) this.#touch();
    this.#sentBytes += sentBytes;
    this.#receivedBytes += receivedBytes;
  }

  /** What another book counted on the same edge. */
  add(sample: FlowSample): void {
    if (!this.#isTouched) this.#touch();
    this.#requests += sample.requests;
    this.#durationMsSum += sample.durationMsSum;
    this.#opened += sample.opened;
    this.#closed += sample.closed;
    this.#failed += sample.failed;
    this.#sentBytes += sample.sentBytes;
    this.#receivedBytes += sample.receivedBytes;
    for (const [bucket, count] of sample.latency) {
      this.#latency ??= new Uint32Array(DEFAULT_BOUNDS.length + 1);
      this.#latency[bucket] += count;
    }
    for (const [code, count] of sample.codes) this.#counted(count, { code });
    for (const [grpcStatus, count] of sample.grpcStatuses) this.#counted(count, { grpcStatus });
    for (const [flag, count] of sample.flags)
      this.#flags.set(flag, (this.#flags.get(flag) ?? 0) + count);
  }

  /** What was counted since the last call. */
  take(edge: number): FlowSample {
    const codes = new Map<number, number>();
    const grpcStatuses = new Map<number, number>();
    for (const outcome of this.#outcomes) {
      const { code, grpcStatus, flag, count } = outcome;
      if (code >= 0) codes.set(code, (codes.get(code) ?? 0) + count);
      if (grpcStatus >= 0)
        grpcStatuses.set(grpcStatus, (grpcStatuses.get(grpcStatus) ?? 0) + count);
      if (flag !== '-') this.#flags.set(flag, (this.#flags.get(flag) ?? 0) + count);
      outcome.count = 0;
    }
    const sample: FlowSample = {
      edge,
      requests: this.#requests,
      codes: [...codes],
      grpcStatuses: [...grpcStatuses],
      flags: [...this.#flags],
      latency: bucketsOf(this.#latency),
      durationMsSum: this.#durationMsSum,
      opened: this.#opened,
      closed: this.#closed,
      failed: this.#failed,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
    };
    this.#reset();
    return sample;
  }

  #counted(count: number, of: { code?: number; grpcStatus?: number }): void {
    const { code = -1, grpcStatus = -1 } = of;
    const outcome = this.outcome(code, grpcStatus, '-');
    outcome.count = count;
    this.#outcomes.push(outcome);
  }

  #touch(): void {
    this.#isTouched = true;
    this.#list.touched.push(this);
  }

  #reset(): void {
    this.#isTouched = false;
    this.#requests = 0;
    this.#durationMsSum = 0;
    this.#opened = 0;
    this.#closed = 0;
    this.#failed = 0;
    this.#sentBytes = 0;
    this.#receivedBytes = 0;
    this.#latency?.fill(0);
    this.#outcomes.length = 0;
    this.#flags.clear();
  }
}

/** Requests of one edge that end with the same code, gRPC status and flag; -1 for no gRPC status. */
export class FlowOutcome {
  count = 0;
  readonly code: number;
  readonly grpcStatus: number;
  readonly flag: string;
  readonly #tally: FlowTally;

  constructor(tally: FlowTally, of: { code: number; grpcStatus: number; flag: string }) {
    this.#tally = tally;
    this.code = of.code;
    this.grpcStatus = of.grpcStatus;
    this.flag = of.flag;
  }

  add(durationMs: number, sentBytes: number, receivedBytes: number): void {
    if (this.count === 0) this.#tally.ended(this);
    this.count += 1;
    this.#tally.request(durationMs, sentBytes, receivedBytes);
  }
}

/** Most requests take little: from below it is found in a few steps. */
function bucketOf(durationMs: number): number {
  let bucket = 0;
  while (bucket < DEFAULT_BOUNDS.length && durationMs > DEFAULT_BOUNDS[bucket]) bucket++;
  return bucket;
}

function bucketsOf(latency: Uint32Array | undefined): [number, number][] {
  const buckets: [number, number][] = [];
  if (latency === undefined) return buckets;
  for (let bucket = 0; bucket < latency.length; bucket++)
    if (latency[bucket] > 0) buckets.push([bucket, latency[bucket]]);
  return buckets;
}
