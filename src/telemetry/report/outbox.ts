/**
 * Spans and records on their way to the control plane: what is wanted, how much of it a second, and what waits. Of requests and
 * connections that is: what failed, what somebody watches, and a sample of the rest, those that took longer than all before them in
 * their second: the first, which may be any, and the slowest. No sockets and no timers: reporter.ts takes from it.
 */
import type { Clock } from '#base/clock.ts';
import { hasFailed, matchTap } from '../requests/match-tap.ts';
import type { RequestRecord, TapFilter } from '../requests/request-record.ts';
import type { Span } from '../tracing/span.ts';
import {
  FAILED_RECORDS_PER_SECOND_MAX,
  RECORDS_WAITING_MAX,
  SAMPLED_RECORDS_PER_SECOND_MAX,
  SPANS_WAITING_MAX,
  TAPPED_RECORDS_PER_SECOND_MAX,
  TAPS_MAX,
} from './limits.ts';
import type { TelemetryReport } from './telemetry-report.ts';
import { WaitingList } from './waiting-list.ts';

/** Between threads. */
export interface Offered {
  readonly spans: readonly Span[];
  readonly records: readonly RequestRecord[];
  readonly dropped: { readonly spans: number; readonly records: number };
}

interface Tap {
  readonly filter: TapFilter;
  /** Left of this second. */
  left: number;
}

export class Outbox implements TelemetryReport {
  readonly proxy: string;
  readonly spans = new WaitingList<Span>(SPANS_WAITING_MAX);
  readonly records = new WaitingList<RequestRecord>(RECORDS_WAITING_MAX);
  readonly #clock: Clock;
  readonly #onSomething: () => void;
  /** Undefined while no control plane is there to take records. */
  #taps: Tap[] | undefined;
  #second = 0;
  #failedLeft = FAILED_RECORDS_PER_SECOND_MAX;
  #tappedLeft = TAPPED_RECORDS_PER_SECOND_MAX;
  #sampledLeft = SAMPLED_RECORDS_PER_SECOND_MAX;
  /** Of this second's sample. */
  #slowestMs = -1;

  /** `onSomething`: something waits. */
  constructor(clock: Clock, options: { proxy: string; onSomething: () => void }) {
    this.#clock = clock;
    this.proxy = options.proxy;
    this.#onSomething = options.onSomething;
  }

  /** What another thread of this process offers, and threw away. */
  relay({ spans, records, dropped }: Offered): void {
    for (const span of spans) this.offerSpan(span);
    for (const record of records) this.offerRecord(record);
    this.spans.refuse(dropped.spans);
    this.records.refuse(dropped.records);
  }

  /** All that waits, for the thread that reports it; undefined: nothing. */
  takeAll(): Offered | undefined {
    const dropped = { spans: this.spans.takeDropped(), records: this.records.takeDropped() };
    const spans = this.spans.take(SPANS_WAITING_MAX);
    const records = this.records.take(RECORDS_WAITING_MAX);
    const isEmpty = spans.length + records.length + dropped.spans + dropped.records === 0;
    return isEmpty ? undefined : { spans, records, dropped };
  }

  /** In the place of those before. Undefined: nobody is there, and only what failed is worth keeping for later. */
  tap(filters: readonly TapFilter[] | undefined): void {
    this.#taps = filters
      ?.slice(0, TAPS_MAX)
      .map((filter) => ({ filter, left: filter.perSecondMax }));
  }

  offerSpan(span: Span): void {
    this.spans.add(span);
    this.#onSomething();
  }

  wantsRecord(failed: boolean, durationMs: number): boolean {
    if (!failed && this.#taps === undefined) return false;
    this.#renew();
    const isTapped = this.#taps !== undefined && this.#taps.length > 0;
    if (failed && this.#failedLeft > 0) return true;
    if (isTapped && this.#tappedLeft > 0) return true;
    if (this.#samples(durationMs)) return true;
    if (failed || isTapped) this.records.refuse();
    return false;
  }

  offerRecord(record: RequestRecord): void {
    this.#renew();
    const failed = hasFailed(record);
    let isWanted = false;
    let isRefused = false;
    for (const tap of this.#taps ?? []) {
      if (!matchTap(tap.filter, record)) continue;
      if (tap.left > 0 && this.#tappedLeft > 0) {
        tap.left -= 1;
        isWanted = true;
      } else isRefused = true;
    }
    if (isWanted) this.#tappedLeft -= 1;
    else if (failed && this.#failedLeft > 0) {
      this.#failedLeft -= 1;
      isWanted = true;
    } else if (this.#samples(record.durationMs)) {
      this.#sampledLeft -= 1;
      isWanted = true;
    } else if (isRefused || failed) this.records.refuse();
    if (!isWanted) return;
    if (!failed) this.#slowestMs = Math.max(this.#slowestMs, record.durationMs);
    this.records.add(record);
    this.#onSomething();
  }

  #samples(durationMs: number): boolean {
    return this.#taps !== undefined && durationMs > this.#slowestMs && this.#sampledLeft > 0;
  }

  #renew(): void {
    const second = Math.floor(this.#clock.now() / 1000);
    if (second === this.#second) return;
    this.#second = second;
    this.#failedLeft = FAILED_RECORDS_PER_SECOND_MAX;
    this.#tappedLeft = TAPPED_RECORDS_PER_SECOND_MAX;
    this.#sampledLeft = SAMPLED_RECORDS_PER_SECOND_MAX;
    this.#slowestMs = -1;
    for (const tap of this.#taps ?? []) tap.left = tap.filter.perSecondMax;
  }
}
