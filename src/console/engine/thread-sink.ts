/**
 * Where carriers deliver, at the control loop: what proxies say is written to bytes and handed to the console's thread a few times a second. What that thread has not
 * said to be booked is kept (retained-batches.ts) and told to the next one, should it die.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import type { FrameTime, ProxyKey, TelemetrySink } from '../telemetry-sink.ts';
import type { ConsoleThread } from './console-thread.ts';
import { RetainedBatches } from './retained-batches.ts';
import { SinkWriter } from './sink-wire.ts';

/** Often enough that a second is whole when it is closed, seldom enough that a message costs nothing. */
const FLUSH_MS = 200;
/** Handed over at once beyond it. */
const FLUSH_BYTES = 512 * 1024;
const NEVER = -1;

interface Sent {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sentMs: number;
}

export class ThreadSink implements TelemetrySink {
  readonly #clock: Clock;
  readonly #thread: Pick<ConsoleThread, 'tell'>;
  readonly #writer = new SinkWriter();
  readonly #retained: RetainedBatches;
  /** Last second of each that was taken, by its own clock: of those that report, and of all others. */
  readonly #streams = new Map<ProxyKey, { last: number }>();
  readonly #known = new Map<ProxyKey, number>();
  readonly #taps: ((record: RequestRecord) => void)[] = [];
  readonly #timer: Timer;
  /** What came while no thread ran. */
  readonly #missed = { spans: 0, records: 0 };
  /** Seconds of proxies that died with a thread, and that no other one could be told. */
  lostFrames = 0;

  constructor(clock: Clock, thread: Pick<ConsoleThread, 'tell'>, retained = new RetainedBatches()) {
    this.#clock = clock;
    this.#thread = thread;
    this.#retained = retained;
    this.#timer = clock.every(FLUSH_MS, () => this.flush());
  }

  opened(proxy: ProxyKey): number {
    const last = this.#streams.get(proxy)?.last ?? this.#known.get(proxy) ?? NEVER;
    this.#streams.set(proxy, { last });
    this.#writer.opened(proxy);
    this.#retained.opened(proxy);
    return last;
  }

  edge(proxy: ProxyKey, edge: FlowEdge): void {
    this.#stream(proxy);
    this.#writer.edge(proxy, edge);
    this.#retained.edge(proxy, edge);
  }

  frame(proxy: ProxyKey, frame: FlowFrame, at: FrameTime): void {
    const stream = this.#stream(proxy);
    if (frame.second <= stream.last) return;
    stream.last = frame.second;
    this.#writer.frame(proxy, frame, at);
    this.#retained.frame();
    if (this.#writer.length > FLUSH_BYTES) this.flush();
  }

  spans(_proxy: ProxyKey, spans: readonly Span[]): void {
    if (!this.#thread.tell({ kind: 'spans', spans })) this.#missed.spans += spans.length;
  }

  records(_proxy: ProxyKey, records: readonly RequestRecord[]): void {
    for (const tap of this.#taps) for (const record of records) tap(record);
    if (!this.#thread.tell({ kind: 'records', records })) this.#missed.records += records.length;
  }

  dropped(_proxy: ProxyKey, { spans, records }: { spans: number; records: number }): void {
    if (this.#thread.tell({ kind: 'dropped', spans, records })) return;
    this.#missed.spans += spans;
    this.#missed.records += records;
  }

  closed(proxy: ProxyKey): void {
    const stream = this.#streams.get(proxy);
    if (stream === undefined) return;
    // Its edges begin anew with the next stream; where it stopped is remembered.
    this.#streams.delete(proxy);
    this.#known.set(proxy, stream.last);
    this.#retained.closed(proxy);
  }

  tap(listener: (record: RequestRecord) => void): () => void {
    this.#taps.push(listener);
    return () => {
      const at = this.#taps.indexOf(listener);
      if (at >= 0) this.#taps.splice(at, 1);
    };
  }

  /** What the store knows from before; the streams that are open keep their own word. */
  know(lastSeconds: ReadonlyMap<ProxyKey, number>): void {
    for (const [proxy, last] of lastSeconds)
      if (!this.#known.has(proxy)) this.#known.set(proxy, last);
  }

  /** The thread says what is in its store. */
  booked(beforeMs: number): void {
    this.#retained.booked(beforeMs);
  }

  /**
   * Another thread is told of the streams that are open, and again what the one before did not book; what it did book it passes over. Without what is retained
   * where that may have killed the others.
   */
  retell({ withRetained }: { withRetained: boolean }): void {
    this.#retain();
    this.lostFrames += this.#retained.takeLost();
    if (!withRetained) this.lostFrames += this.#retained.giveUp();
    const streams = new SinkWriter();
    const again: Sent[] = [];
    this.#retained.retell(streams, (bytes, sentMs) => again.push({ bytes, sentMs }));
    this.#send({ bytes: streams.take(), sentMs: 0 });
    // As they were sent first: what is said to be booked is told by that time.
    for (const sent of again) this.#send(sent);
    const { spans, records } = this.#missed;
    if (spans + records === 0) return;
    this.#thread.tell({ kind: 'dropped', spans, records });
    this.#missed.spans = 0;
    this.#missed.records = 0;
  }

  flush(): void {
    const sent = this.#retain();
    if (sent !== undefined) this.#send(sent);
  }

  stop(): void {
    this.flush();
    this.#timer.cancel();
  }

  /** What was written so far, kept and to be sent. */
  #retain(): Sent | undefined {
    if (this.#writer.length === 0) return undefined;
    const bytes = this.#writer.take();
    const sentMs = this.#clock.wallTime();
    this.#retained.add(bytes.slice(), sentMs);
    return { bytes, sentMs };
  }

  #send({ bytes, sentMs }: Sent): void {
    if (bytes.length > 0) this.#thread.tell({ kind: 'sink', bytes, sentMs }, [bytes.buffer]);
  }

  #stream(proxy: ProxyKey): { last: number } {
    const known = this.#streams.get(proxy);
    if (known !== undefined) return known;
    this.opened(proxy);
    return this.#streams.get(proxy) ?? { last: NEVER };
  }
}
