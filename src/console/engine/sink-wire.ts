/**
 * What proxies report, from the control loop to the console's thread, as bytes that change hands without being copied: a structured clone of frames costs the
 * control loop ten times as much. `SinkWriter` at one end, `readSink` at the other, of one program: nothing here is read from strangers.
 *
 *   OPENED proxy · EDGE proxy text · FRAME proxy, its second, ours, received, samples { edge counts … }
 */
import type { FlowEdge, FlowFrame, FlowSample } from '#telemetry/flow/flow-frame.ts';
import type { FrameTime } from '../telemetry-sink.ts';

const OPENED = 1;
const EDGE = 2;
const FRAME = 3;
const BYTES_AT_FIRST = 64 * 1024;
/** What a flush of a busy mesh needs stays; what was needed once, for all edges of a stream that was opened, does not. */
const BYTES_KEPT_MAX = 1024 * 1024;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;
const NO_FLAGS: FlowSample['flags'] = [];

export class SinkWriter {
  #bytes = new Uint8Array(BYTES_AT_FIRST);
  #length = 0;
  readonly #encoder = new TextEncoder();

  get length(): number {
    return this.#length;
  }

  opened(proxy: string): void {
    this.#put(OPENED);
    this.#text(proxy);
  }

  edge(proxy: string, edge: FlowEdge): void {
    this.#put(EDGE);
    this.#text(proxy);
    this.#text(JSON.stringify(edge));
  }

  frame(proxy: string, { second, samples }: FlowFrame, at: FrameTime): void {
    this.#put(FRAME);
    this.#text(proxy);
    this.#put(second);
    this.#put(at.second);
    this.#put(at.receivedMs);
    this.#put(samples.length);
    for (const sample of samples) this.#sample(sample);
  }

  /** What was written so far; the writer begins anew. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length > BYTES_KEPT_MAX) this.#bytes = new Uint8Array(BYTES_AT_FIRST);
    this.#length = 0;
    return taken;
  }

  #sample(sample: FlowSample): void {
    this.#put(sample.edge);
    this.#put(sample.requests);
    this.#put(sample.opened);
    this.#put(sample.failed);
    this.#put(sample.sentBytes);
    this.#put(sample.receivedBytes);
    this.#pairs(sample.codes);
    this.#pairs(sample.grpcStatuses);
    this.#pairs(sample.latency);
    this.#put(sample.flags.length);
    for (const [flag, count] of sample.flags) {
      this.#text(flag);
      this.#put(count);
    }
  }

  #pairs(pairs: readonly (readonly [number, number])[]): void {
    this.#put(pairs.length);
    for (const [key, count] of pairs) {
      this.#put(key);
      this.#put(count);
    }
  }

  /** Proxies may send what is no count: it is 0 from here on. */
  #put(value: number): void {
    if (this.#length + 8 > this.#bytes.length) this.#grow(8);
    let rest = value > 0 && value <= COUNT_MAX ? Math.floor(value) : 0;
    while (rest > 0x7fffffff) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #text(text: string): void {
    const room = text.length * 3;
    if (this.#length + room + 8 > this.#bytes.length) this.#grow(room + 8);
    // The length in bytes comes first, in three bytes: it is known only afterwards.
    const at = this.#length + 3;
    const { written } = this.#encoder.encodeInto(text, this.#bytes.subarray(at));
    this.#bytes[this.#length] = written & 255;
    this.#bytes[this.#length + 1] = (written >> 8) & 255;
    this.#bytes[this.#length + 2] = (written >> 16) & 255;
    this.#length = at + written;
  }

  #grow(room: number): void {
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + room));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

export interface SinkReader {
  opened(proxy: string): void;
  edge(proxy: string, edge: FlowEdge): void;
  /** Its samples are valid during the call: the next frame is written over them. */
  frame(proxy: string, frame: FlowFrame, at: FrameTime): void;
}

export function readSink(bytes: Uint8Array, reader: SinkReader): void {
  const input = new Input(bytes);
  const samples = new ReusedList(() => new ReusedSample());
  while (!input.isAtEnd) {
    const kind = input.take();
    const proxy = input.text();
    if (kind === OPENED) reader.opened(proxy);
    else if (kind === EDGE) reader.edge(proxy, JSON.parse(input.text()) as FlowEdge);
    else {
      const second = input.take();
      const at = { second: input.take(), receivedMs: input.take() };
      samples.resize(input.take());
      for (const sample of samples.list) sample.read(input);
      reader.frame(proxy, { second, samples: samples.list }, at);
    }
  }
}

/** Of objects that are written over: a mesh's second would be 200,000 new ones. */
class ReusedList<T> {
  readonly list: T[] = [];
  readonly #spare: T[] = [];
  readonly #make: () => T;

  constructor(make: () => T) {
    this.#make = make;
  }

  resize(length: number): void {
    const { list } = this;
    while (list.length > length) this.#spare.push(list.pop() as T);
    while (list.length < length) list.push(this.#spare.pop() ?? this.#make());
  }
}

type Pair = [key: number, count: number];

const newPair = (): Pair => [0, 0];

class ReusedSample implements FlowSample {
  readonly #codes = new ReusedList(newPair);
  readonly #grpcStatuses = new ReusedList(newPair);
  readonly #latency = new ReusedList(newPair);
  readonly codes = this.#codes.list;
  readonly grpcStatuses = this.#grpcStatuses.list;
  readonly latency = this.#latency.list;
  edge = 0;
  requests = 0;
  opened = 0;
  failed = 0;
  sentBytes = 0;
  receivedBytes = 0;
  flags: FlowSample['flags'] = NO_FLAGS;
  /** Nobody asks for them. */
  readonly closed = 0;
  readonly durationMsSum = 0;

  read(input: Input): void {
    this.edge = input.take();
    this.requests = input.take();
    this.opened = input.take();
    this.failed = input.take();
    this.sentBytes = input.take();
    this.receivedBytes = input.take();
    input.pairs(this.#codes);
    input.pairs(this.#grpcStatuses);
    input.pairs(this.#latency);
    this.flags = input.flags();
  }
}

class Input {
  readonly #bytes: Uint8Array;
  readonly #decoder = new TextDecoder();
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  text(): string {
    const [low, middle, high] = [
      this.#bytes[this.#at],
      this.#bytes[this.#at + 1],
      this.#bytes[this.#at + 2],
    ];
    const start = this.#at + 3;
    this.#at = start + low + (middle << 8) + (high << 16);
    return this.#decoder.decode(this.#bytes.subarray(start, this.#at));
  }

  pairs(into: ReusedList<Pair>): void {
    into.resize(this.take());
    for (const pair of into.list) {
      pair[0] = this.take();
      pair[1] = this.take();
    }
  }

  flags(): FlowSample['flags'] {
    const count = this.take();
    if (count === 0) return NO_FLAGS;
    const flags: (readonly [string, number])[] = [];
    for (let each = 0; each < count; each++) flags.push([this.text(), this.take()]);
    return flags;
  }
}
