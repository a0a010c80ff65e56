/**
 * Where carriers deliver, at the control loop: what proxies say is written to bytes and handed to the console's thread a few times a second. Keeps what a new
 * thread must be told: the edges of each stream.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { STREAM_EDGES_MAX } from '../store/limits.ts';
import type { FrameTime, ProxyKey, TelemetrySink } from '../telemetry-sink.ts';
import type { ConsoleThread } from './console-thread.ts';
import { SinkWriter } from './sink-wire.ts';

/** Often enough that a second is whole when it is closed, seldom enough that a message costs nothing. */
const FLUSH_MS = 200;
/** Handed over at once beyond it. */
const FLUSH_BYTES = 512 * 1024;
const NEVER = -1;

interface Stream {
  readonly edges: Map<number, FlowEdge>;
  last: number;
}

export class ThreadSink implements TelemetrySink {
  readonly #thread: ConsoleThread;
  readonly #writer = new SinkWriter();
  readonly #streams = new Map<ProxyKey, Stream>();
  readonly #known = new Map<ProxyKey, number>();
  readonly #taps: ((record: RequestRecord) => void)[] = [];
  readonly #timer: Timer;

  constructor(clock: Clock, thread: ConsoleThread) {
    this.#thread = thread;
    this.#timer = clock.every(FLUSH_MS, () => this.flush());
  }

  opened(proxy: ProxyKey): number {
    const last = this.#streams.get(proxy)?.last ?? this.#known.get(proxy) ?? NEVER;
    this.#streams.set(proxy, { edges: new Map(), last });
    this.#writer.opened(proxy);
    return last;
  }

  edge(proxy: ProxyKey, edge: FlowEdge): void {
    const stream = this.#stream(proxy);
    if (stream.edges.size < STREAM_EDGES_MAX) stream.edges.set(edge.id, edge);
    this.#writer.edge(proxy, edge);
  }

  frame(proxy: ProxyKey, frame: FlowFrame, at: FrameTime): void {
    const stream = this.#stream(proxy);
    if (frame.second <= stream.last) return;
    stream.last = frame.second;
    this.#writer.frame(proxy, frame, at);
    if (this.#writer.length > FLUSH_BYTES) this.flush();
  }

  spans(_proxy: ProxyKey, spans: readonly Span[]): void {
    this.#thread.tell({ kind: 'spans', spans });
  }

  records(_proxy: ProxyKey, records: readonly RequestRecord[]): void {
    for (const tap of this.#taps) for (const record of records) tap(record);
    this.#thread.tell({ kind: 'records', records });
  }

  dropped(_proxy: ProxyKey, dropped: { readonly spans: number; readonly records: number }): void {
    this.#thread.tell({ kind: 'dropped', ...dropped });
  }

  closed(proxy: ProxyKey): void {
    const stream = this.#streams.get(proxy);
    if (stream === undefined) return;
    // Its edges begin anew with the next stream; where it stopped is remembered.
    this.#streams.delete(proxy);
    this.#known.set(proxy, stream.last);
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

  /** A new thread is told of the streams that are open. */
  retell(): void {
    this.#writer.take();
    for (const [proxy, { edges }] of this.#streams) {
      this.#writer.opened(proxy);
      for (const edge of edges.values()) this.#writer.edge(proxy, edge);
    }
    this.flush();
  }

  flush(): void {
    if (this.#writer.length === 0) return;
    const bytes = this.#writer.take();
    this.#thread.tell({ kind: 'sink', bytes }, [bytes.buffer]);
  }

  stop(): void {
    this.flush();
    this.#timer.cancel();
  }

  #stream(proxy: ProxyKey): Stream {
    let stream = this.#streams.get(proxy);
    if (stream === undefined) {
      this.opened(proxy);
      stream = this.#streams.get(proxy) ?? { edges: new Map(), last: NEVER };
    }
    return stream;
  }
}
