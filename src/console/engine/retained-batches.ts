/**
 * What was handed to the console's thread and is not yet known to be booked: should the thread die, the next one is told it again. Holds the bytes as they were
 * sent, and of each stream the edges as they were before the oldest of them, so that ids mean in the first byte what they meant then. Bounded: beyond it the
 * oldest is let go, and counted as lost when a thread dies before it said that it is booked.
 */
import type { FlowEdge } from '#telemetry/flow/flow-frame.ts';
import { STREAM_EDGES_MAX } from '../store/limits.ts';
import type { ProxyKey } from '../telemetry-sink.ts';
import { RETAINED_BYTES_MAX } from './limits.ts';

/** What a batch says of streams, besides its frames. */
type StreamEvent =
  | { readonly kind: 'opened'; readonly proxy: ProxyKey }
  | { readonly kind: 'closed'; readonly proxy: ProxyKey }
  | { readonly kind: 'edge'; readonly proxy: ProxyKey; readonly edge: FlowEdge };

interface Batch {
  readonly bytes: Uint8Array;
  readonly sentMs: number;
  readonly frames: number;
  readonly events: readonly StreamEvent[];
}

/** Where a new thread's picture of the streams is written to. */
export interface StreamTarget {
  opened(proxy: ProxyKey): void;
  edge(proxy: ProxyKey, edge: FlowEdge): void;
}

export class RetainedBatches {
  readonly #bytesMax: number;
  /** Edges of the streams that were open before the oldest batch. */
  readonly #streams = new Map<ProxyKey, Map<number, FlowEdge>>();
  #batches: Batch[] = [];
  #bytes = 0;
  #events: StreamEvent[] = [];
  #frames = 0;
  /** Frames let go for want of room since the thread last said what is booked. */
  #letGo = 0;

  constructor(bytesMax: number = RETAINED_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  opened(proxy: ProxyKey): void {
    this.#events.push({ kind: 'opened', proxy });
  }

  closed(proxy: ProxyKey): void {
    this.#events.push({ kind: 'closed', proxy });
  }

  edge(proxy: ProxyKey, edge: FlowEdge): void {
    this.#events.push({ kind: 'edge', proxy, edge });
  }

  frame(): void {
    this.#frames++;
  }

  /** All that was said since the last call goes with these bytes, which are nobody else's. */
  add(bytes: Uint8Array, sentMs: number): void {
    this.#batches.push({ bytes, sentMs, frames: this.#frames, events: this.#events });
    this.#bytes += bytes.length;
    this.#events = [];
    this.#frames = 0;
    while (this.#bytes > this.#bytesMax) this.#letGo += this.#dropOldest();
  }

  /** What was sent before is on disk. */
  booked(beforeMs: number): void {
    while (this.#batches.length > 0 && this.#batches[0].sentMs < beforeMs) this.#dropOldest();
    this.#letGo = 0;
  }

  /** A thread died: frames of which nothing is left to tell the next one. */
  takeLost(): number {
    const lost = this.#letGo;
    this.#letGo = 0;
    return lost;
  }

  /** None of it is told to another thread: it may be what killed those before. How many frames are lost with it. */
  giveUp(): number {
    let lost = 0;
    while (this.#batches.length > 0) lost += this.#dropOldest();
    return lost;
  }

  /** The streams as they were before the oldest batch; then `each` is called with a copy of every batch. */
  retell(
    target: StreamTarget,
    each: (bytes: Uint8Array<ArrayBuffer>, sentMs: number) => void,
  ): void {
    for (const [proxy, edges] of this.#streams) {
      target.opened(proxy);
      for (const edge of edges.values()) target.edge(proxy, edge);
    }
    for (const { bytes, sentMs } of this.#batches) each(bytes.slice(), sentMs);
  }

  #dropOldest(): number {
    const batch = this.#batches.shift();
    if (batch === undefined) return 0;
    this.#bytes -= batch.bytes.length;
    for (const event of batch.events) this.#apply(event);
    return batch.frames;
  }

  #apply(event: StreamEvent): void {
    const { proxy } = event;
    if (event.kind === 'closed') this.#streams.delete(proxy);
    else if (event.kind === 'opened') this.#streams.set(proxy, new Map());
    else {
      const edges = this.#streams.get(proxy) ?? new Map<number, FlowEdge>();
      if (edges.size < STREAM_EDGES_MAX) edges.set(event.edge.id, event.edge);
      this.#streams.set(proxy, edges);
    }
  }
}
