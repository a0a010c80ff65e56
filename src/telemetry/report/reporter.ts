/**
 * A proxy's end of the telemetry stream. Each second it closes a frame and keeps it in the ring; while a stream is open it sends what the
 * control plane does not know yet, and spans and records as they come.
 *
 *   opened ── hello ─► welcomed: resend since S ─► frames after S, then each second the next
 *      ▲                  │ at most UNTAKEN_BYTES_MAX on their way; the rest waits in the ring
 *      └── back-off ◄── closed          no such method there: asked again much later, in silence
 *
 * It follows the connection of discovery, and opens its stream on that.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { type MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { ClientStream, ClientStreamHandler } from '#http/grpc/channel.ts';
import { OrderMessage, ReportMessage } from '#wire/protobuf/telemetry.ts';
import type { FlowBook } from '../flow/flow-book.ts';
import { encodeFrame } from '../flow/frame-codec.ts';
import { FrameRing } from '../flow/frame-ring.ts';
import { ReportClock } from '../flow/report-clock.ts';
import type { TapFilter } from '../requests/request-record.ts';
import {
  BOOK_SWEEP_SECONDS,
  EDGES_PER_MESSAGE,
  FLUSH_MS,
  RECORDS_WAITING_MAX,
  REOPEN_CAP_MS,
  REOPEN_INITIAL_MS,
  SPANS_PER_MESSAGE,
  UNKNOWN_STREAM_RETRY_MS,
  UNTAKEN_BYTES_MAX,
} from './limits.ts';
import { edgeMessage, recordMessage, spanMessage, tapOf } from './messages.ts';
import { Outbox } from './outbox.ts';

export interface ReporterDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly book: FlowBook;
  /** Throws when there is no connection now. */
  readonly open: (handler: ClientStreamHandler) => ClientStream;
}

export interface ReporterOptions {
  /** `namespace/name` of our pod. */
  readonly proxy: string;
  readonly version: string;
  /** Seconds end so much later: for frames of data workers that come first. */
  readonly lateMs?: number;
  /** What is asked for changed: for other threads. */
  readonly onTaps?: (filters: readonly TapFilter[] | undefined) => void;
}

export interface Reporter {
  readonly report: Outbox;
  /** Discovery has a connection, or lost it. */
  connected(isConnected: boolean): void;
  stop(): void;
}

export function startReporter(deps: ReporterDeps, options: ReporterOptions): Reporter {
  const reporter = new StreamReporter(deps, options);
  reporter.start();
  return reporter;
}

class StreamReporter implements Reporter {
  readonly #deps: ReporterDeps;
  readonly #options: ReporterOptions;
  readonly #time: ReportClock;
  readonly #ring = new FrameRing();
  readonly #outbox: Outbox;
  readonly #backoff: Backoff;
  #isConnected = false;
  #stopped = false;
  #stream: ClientStream | undefined;
  /** Counts streams: edges are said once on each. */
  #streams = 0;
  /** Last second that went out on this stream, or that is known beyond it; undefined before the welcome. */
  #sentSecond: number | undefined;
  #resentSince: number | undefined;
  /** Sizes of reports that were not taken yet, in order. */
  #untaken: number[] = [];
  #untakenBytes = 0;
  #taken = 0;
  #tick: Timer | undefined;
  #reopen: Timer | undefined;
  #flush: Timer | undefined;
  #lastSecond = 0;

  constructor(deps: ReporterDeps, options: ReporterOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#time = new ReportClock(deps.clock);
    this.#outbox = new Outbox(deps.clock, {
      proxy: options.proxy,
      onSomething: () => this.#flushSoon(),
    });
    this.#backoff = new Backoff(deps.random, {
      initialMs: REOPEN_INITIAL_MS,
      capMs: REOPEN_CAP_MS,
    });
  }

  get report(): Outbox {
    return this.#outbox;
  }

  start(): void {
    this.#nextTick();
  }

  stop(): void {
    this.#stopped = true;
    this.#tick?.cancel();
    this.#disconnect();
  }

  connected(isConnected: boolean): void {
    this.#isConnected = isConnected;
    if (!isConnected) this.#disconnect();
    else if (this.#stream === undefined && this.#reopen === undefined) this.#open();
  }

  #nextTick(): void {
    const delayMs = this.#time.untilNextSecond(this.#options.lateMs ?? 0);
    this.#tick = this.#deps.clock.after(delayMs, () => {
      this.#closeSecond();
      this.#nextTick();
    });
  }

  /** What was counted belongs to the second that ended; a loop that was held ends several as one. */
  #closeSecond(): void {
    const second = Math.floor((this.#time.now() - (this.#options.lateMs ?? 0)) / 1000) - 1;
    // A timer that fired a moment early: the next one is due at once.
    if (second <= this.#lastSecond) return;
    this.#lastSecond = second;
    const { book } = this.#deps;
    this.#ring.push({ second, bytes: encodeFrame({ second, samples: book.take(second) }) });
    if (second % BOOK_SWEEP_SECONDS === 0) book.sweep(second);
    this.#pump();
  }

  #open(): void {
    this.#streams += 1;
    this.#sentSecond = undefined;
    this.#untaken = [];
    this.#untakenBytes = 0;
    this.#taken = 0;
    let stream: ClientStream | undefined;
    const isCurrent = () => stream !== undefined && stream === this.#stream;
    try {
      stream = this.#deps.open({
        onMessage: (bytes) => {
          if (isCurrent()) this.#onOrder(bytes);
        },
        onClose: (error) => {
          if (isCurrent()) this.#closed(error);
        },
      });
    } catch (error) {
      this.#retry(messageOf(error));
      return;
    }
    this.#stream = stream;
    const { proxy, version } = this.#options;
    this.#send({ hello: { proxy, version } });
  }

  #onOrder(bytes: Uint8Array): void {
    const order = OrderMessage.decode(bytes);
    if (typeof order === 'string') {
      this.#drop();
      this.#retry(`an order is malformed: ${order}`);
      return;
    }
    const { resend, taps, taken } = order;
    while (this.#taken < taken && this.#untaken.length > 0) {
      this.#untakenBytes -= this.#untaken.shift() ?? 0;
      this.#taken += 1;
    }
    // The first order of a stream may name no filter: somebody is there all the same.
    if (taps !== undefined || this.#sentSecond === undefined)
      this.#tap((taps?.taps ?? []).map(tapOf));
    if (resend !== undefined) {
      this.#backoff.reset();
      this.#sentSecond = resend.since;
      this.#resentSince = resend.since;
    }
    this.#pump();
    this.#sendOffered();
  }

  #tap(filters: readonly TapFilter[] | undefined): void {
    this.#outbox.tap(filters);
    this.#options.onTaps?.(filters);
  }

  /** Sends frames that are due, as far as there is room; all edges that they speak of before them. */
  #pump(): void {
    while (this.#stream !== undefined && this.#sentSecond !== undefined) {
      if (this.#untakenBytes >= UNTAKEN_BYTES_MAX) return;
      const edges = this.#deps.book.untold(this.#streams, this.#sentSecond, EDGES_PER_MESSAGE);
      if (edges.length > 0) {
        this.#send({ edges: edges.map(edgeMessage) });
        continue;
      }
      const frame = this.#ring.after(this.#sentSecond);
      if (frame === undefined) return;
      this.#sentSecond = frame.second;
      this.#send({ frames: [frame.bytes], resent_since: this.#resentSince });
      this.#resentSince = undefined;
    }
  }

  #flushSoon(): void {
    if (this.#flush !== undefined || this.#stream === undefined) return;
    this.#flush = this.#deps.clock.after(FLUSH_MS, () => {
      this.#flush = undefined;
      this.#sendOffered();
    });
  }

  /** Spans and records that wait, and what was thrown away. */
  #sendOffered(): void {
    const { spans, records } = this.#outbox;
    while (this.#stream !== undefined && this.#sentSecond !== undefined) {
      if (this.#untakenBytes >= UNTAKEN_BYTES_MAX) return;
      const dropped = { spans: spans.takeDropped(), records: records.takeDropped() };
      const isDropped = dropped.spans > 0 || dropped.records > 0;
      if (spans.size === 0 && records.size === 0 && !isDropped) return;
      this.#send({
        spans: spans.take(SPANS_PER_MESSAGE).map(spanMessage),
        records: records.take(RECORDS_WAITING_MAX).map(recordMessage),
        dropped: isDropped ? dropped : undefined,
      });
    }
  }

  #send(report: Partial<ReportMessage>): void {
    const message = ReportMessage.create({ ...report, now_ms: this.#time.now() });
    const bytes = ReportMessage.encode(message);
    this.#untaken.push(bytes.length);
    this.#untakenBytes += bytes.length;
    this.#stream?.send(bytes);
  }

  #closed(error: MeshError | undefined): void {
    this.#drop();
    if (error?.code === 'GRPC_UNIMPLEMENTED') {
      // An istiod: it scrapes, or nobody does.
      this.#deps.log.debug('the control plane takes no telemetry stream');
      this.#reopenIn(UNKNOWN_STREAM_RETRY_MS);
    } else this.#retry(error?.message ?? 'the control plane ended the stream');
  }

  #retry(reason: string): void {
    const delayMs = this.#backoff.nextDelayMs();
    this.#deps.log.debug('telemetry stream is down', { reason, retryMs: Math.round(delayMs) });
    this.#reopenIn(delayMs);
  }

  #reopenIn(delayMs: number): void {
    this.#reopen = this.#deps.clock.after(delayMs, () => {
      this.#reopen = undefined;
      if (this.#isConnected && !this.#stopped) this.#open();
    });
  }

  /** Nobody asks any more. */
  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#sentSecond = undefined;
    this.#tap(undefined);
    this.#flush?.cancel();
    this.#flush = undefined;
    stream?.cancel();
  }

  #disconnect(): void {
    this.#drop();
    // The next control plane may be another one: what this one could not do says nothing about it.
    this.#reopen?.cancel();
    this.#reopen = undefined;
  }
}
