/**
 * Frames to bytes and back, column by column: one varint a row and figure, so that a control plane takes tens of thousands of edges a
 * second. Pure; the layout is FrameMessage's (wire/protobuf/telemetry.ts).
 */
import { countPacked, PackedWriter, packedReason, readPacked } from '#wire/protobuf/packed.ts';
import { FrameMessage } from '#wire/protobuf/telemetry.ts';
import { DEFAULT_BOUNDS } from '../metrics/istio.ts';
import type { FlowFrame, FlowSample } from './flow-frame.ts';
import { FLOW_EDGES_MAX, FRAME_ENTRIES_PER_EDGE_MAX, FRAME_FLAGS_MAX } from './limits.ts';

type Pairs = readonly (readonly [number, number])[];
const NO_PAIRS: Pairs = [];
const NO_FLAGS: FlowSample['flags'] = [];

/** The columns of a list in each row: how many, then all of them. */
class PairWriter {
  readonly #rows = new PackedWriter();
  readonly #keys = new PackedWriter();
  readonly #counts = new PackedWriter();

  row(pairs: Pairs): void {
    this.#rows.add(pairs.length);
    for (const [key, count] of pairs) {
      this.#keys.add(key);
      this.#counts.add(count);
    }
  }

  take(): [Uint8Array, Uint8Array, Uint8Array] {
    return [this.#rows.take(), this.#keys.take(), this.#counts.take()];
  }
}

const FIGURES = ['requests', 'opened', 'closed', 'failed'] as const;
const columns = {
  edge: new PackedWriter(),
  requests: new PackedWriter(),
  duration_us: new PackedWriter(),
  opened: new PackedWriter(),
  closed: new PackedWriter(),
  failed: new PackedWriter(),
  sent: new PackedWriter(),
  received: new PackedWriter(),
};
const codes = new PairWriter();
const grpc = new PairWriter();
const flagged = new PairWriter();
const buckets = new PairWriter();

export function encodeFrame({ second, samples }: FlowFrame): Uint8Array {
  const flags: string[] = [];
  let before = 0;
  for (const sample of [...samples].sort((left, right) => left.edge - right.edge)) {
    columns.edge.add(sample.edge - before);
    before = sample.edge;
    for (const figure of FIGURES) columns[figure].add(sample[figure]);
    columns.duration_us.add(Math.round(sample.durationMsSum * 1000));
    columns.sent.add(sample.sentBytes);
    columns.received.add(sample.receivedBytes);
    codes.row(sample.codes);
    grpc.row(sample.grpcStatuses);
    buckets.row(sample.latency);
    flagged.row(sample.flags.map(([flag, count]) => [indexOf(flags, flag), count]));
  }
  const value = FrameMessage.create({ second, flags });
  // The first edge may be the one with id 0, and nothing else says how many rows there are.
  value.edge = takeEdges(samples.length);
  for (const name of ['requests', 'duration_us', 'opened', 'closed', 'failed'] as const)
    value[name] = columns[name].take();
  value.sent = columns.sent.take();
  value.received = columns.received.take();
  [value.code_rows, value.code, value.code_count] = codes.take();
  [value.grpc_rows, value.grpc, value.grpc_count] = grpc.take();
  [value.flag_rows, value.flag, value.flag_count] = flagged.take();
  [value.bucket_rows, value.bucket, value.bucket_count] = buckets.take();
  return FrameMessage.encode(value);
}

function takeEdges(count: number): Uint8Array {
  const bytes = columns.edge.take();
  return bytes.length === 0 && count === 1 ? new Uint8Array(1) : bytes;
}

function indexOf(texts: string[], text: string): number {
  const known = texts.indexOf(text);
  return known === -1 ? texts.push(text) - 1 : known;
}

/** Rows of one column; the arrays are used again for the next frame. */
class Column {
  values = new Float64Array(256);

  /** Why not, or undefined. */
  read(name: string, bytes: Uint8Array, count: number): string | undefined {
    if (count > this.values.length) this.values = new Float64Array(2 * count);
    const reason = readPacked(bytes, count, this.values);
    return reason === 0 ? undefined : `Frame.${name} ${packedReason(reason)}`;
  }
}

class PairReader {
  readonly #rows = new Column();
  readonly #keys = new Column();
  readonly #counts = new Column();
  #at = 0;

  read(
    name: string,
    [rows, keys, counts]: readonly [Uint8Array, Uint8Array, Uint8Array],
    { count, keysMax }: { count: number; keysMax: number },
  ): string | undefined {
    this.#at = 0;
    const refusal = this.#rows.read(`${name}_rows`, rows, count);
    if (refusal !== undefined) return refusal;
    let total = 0;
    for (let row = 0; row < count; row++) total += this.#rows.values[row];
    if (total > count * FRAME_ENTRIES_PER_EDGE_MAX) return `Frame.${name}_rows are too many`;
    const problem =
      this.#keys.read(name, keys, total) ?? this.#counts.read(`${name}_count`, counts, total);
    if (problem !== undefined) return problem;
    for (let at = 0; at < total; at++)
      if (this.#keys.values[at] > keysMax) return `Frame.${name} holds ${this.#keys.values[at]}`;
    return undefined;
  }

  /** Of the rows in order. */
  next(row: number): Pairs {
    const count = this.#rows.values[row];
    if (count === 0) return NO_PAIRS;
    const pairs: [number, number][] = [];
    for (const end = this.#at + count; this.#at < end; this.#at++)
      pairs.push([this.#keys.values[this.#at], this.#counts.values[this.#at]]);
    return pairs;
  }
}

const read = {
  edge: new Column(),
  requests: new Column(),
  duration_us: new Column(),
  opened: new Column(),
  closed: new Column(),
  failed: new Column(),
  sent: new Column(),
  received: new Column(),
};
const readCodes = new PairReader();
const readGrpc = new PairReader();
const readFlags = new PairReader();
const readBuckets = new PairReader();
const COLUMNS = Object.keys(read) as (keyof typeof read)[];

const CODE_MAX = 999;
const GRPC_STATUS_MAX = 255;

/** A string is the reason why the bytes are no frame. Never throws. */
export function decodeFrame(bytes: Uint8Array): FlowFrame | string {
  const frame = FrameMessage.decode(bytes);
  if (typeof frame === 'string') return frame;
  const { second, flags } = frame;
  const count = countPacked(frame.edge);
  const problem = readColumns(frame, count);
  if (problem !== undefined) return problem;
  const samples: FlowSample[] = [];
  let edge = 0;
  for (let row = 0; row < count; row++) {
    const step = read.edge.values[row];
    if (step === 0 && row > 0) return 'Frame.edge names one edge twice';
    edge += step;
    samples.push({
      edge,
      requests: read.requests.values[row],
      codes: readCodes.next(row),
      grpcStatuses: readGrpc.next(row),
      flags: flagsOf(readFlags.next(row), flags),
      latency: readBuckets.next(row),
      durationMsSum: read.duration_us.values[row] / 1000,
      opened: read.opened.values[row],
      closed: read.closed.values[row],
      failed: read.failed.values[row],
      sentBytes: read.sent.values[row],
      receivedBytes: read.received.values[row],
    });
  }
  return { second, samples };
}

function readColumns(frame: FrameMessage, count: number): string | undefined {
  if (count > FLOW_EDGES_MAX) return `Frame has ${count} edges, more than ${FLOW_EDGES_MAX}`;
  if (frame.flags.length > FRAME_FLAGS_MAX) return 'Frame.flags are too many';
  for (const name of COLUMNS) {
    const problem = read[name].read(name, frame[name], count);
    if (problem !== undefined) return problem;
  }
  const { code_rows, grpc_rows, flag_rows, bucket_rows } = frame;
  const keysMax = { flag: frame.flags.length - 1, bucket: DEFAULT_BOUNDS.length };
  return (
    readCodes.read('code', [code_rows, frame.code, frame.code_count], {
      count,
      keysMax: CODE_MAX,
    }) ??
    readGrpc.read('grpc', [grpc_rows, frame.grpc, frame.grpc_count], {
      count,
      keysMax: GRPC_STATUS_MAX,
    }) ??
    readFlags.read('flag', [flag_rows, frame.flag, frame.flag_count], {
      count,
      keysMax: keysMax.flag,
    }) ??
    readBuckets.read('bucket', [bucket_rows, frame.bucket, frame.bucket_count], {
      count,
      keysMax: keysMax.bucket,
    })
  );
}

function flagsOf(pairs: Pairs, texts: readonly string[]): FlowSample['flags'] {
  return pairs.length === 0 ? NO_FLAGS : pairs.map(([flag, count]) => [texts[flag], count]);
}
