/**
 * One proxy's reports by one way: its own stream, or that of another replica. Reads what comes, holds it against what a proxy may say, and hands
 * it to the sink. Once another way took over, or it ended, it says nothing more.
 */
import type { FrameTime, ProxyKey, TelemetrySink } from '#console/telemetry-sink.ts';
import type { FlowEdge } from '#telemetry/flow/flow-frame.ts';
import { decodeFrame } from '#telemetry/flow/frame-codec.ts';
import { edgeOf, recordOf, spanOf } from '#telemetry/report/messages.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { ReportMessage } from '#wire/protobuf/telemetry.ts';
import type { ClockOffset } from './clock-offset.ts';
import { EDGE_IDS_MAX, FRAME_AGE_SECONDS_MAX } from './limits.ts';

export interface CarrierDeps {
  readonly sink: TelemetrySink;
  /** What the mesh knows better than the proxy: whether a workload is a waypoint or gateway. */
  readonly refine: (edge: FlowEdge) => FlowEdge;
  readonly onRecords: (records: readonly RequestRecord[]) => void;
}

export interface CarrierOptions {
  readonly proxy: ProxyKey;
  /** When its stream was opened, by our clock. */
  readonly connectedMs: number;
  /** Name of the replica whose proxy it is; empty for ours. */
  readonly replica: string;
  readonly offset: ClockOffset;
}

export class Carrier {
  readonly proxy: ProxyKey;
  readonly connectedMs: number;
  readonly replica: string;
  readonly offset: ClockOffset;
  /** Last second of the proxy's that was known when it began. */
  readonly since: number;
  /** When the last report came, by our clock. */
  reportedMs = 0;
  readonly #deps: CarrierDeps;
  readonly #edges: (FlowEdge | undefined)[] = [];
  #lastSecond: number;
  #over = false;

  constructor(deps: CarrierDeps, options: CarrierOptions) {
    this.#deps = deps;
    this.proxy = options.proxy;
    this.connectedMs = options.connectedMs;
    this.replica = options.replica;
    this.offset = options.offset;
    this.since = deps.sink.opened(options.proxy);
    this.#lastSecond = this.since;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Edges that were said and mean something now, for those who come later. */
  edges(): FlowEdge[] {
    return this.#edges.filter((edge) => edge !== undefined);
  }

  /** A string is the reason why this is no report of a proxy. */
  take(report: ReportMessage, receivedMs: number): string | undefined {
    if (this.#over) return undefined;
    this.reportedMs = receivedMs;
    const problem = this.#takeEdges(report) ?? this.#takeFrames(report, receivedMs);
    if (problem !== undefined) return problem;
    const { proxy } = this;
    const { sink, onRecords } = this.#deps;
    const { dropped } = report;
    if (report.spans.length > 0)
      sink.spans(
        proxy,
        report.spans.map((span) => spanOf(span, proxy)),
      );
    if (report.records.length > 0) {
      const records = report.records.map((record) => recordOf(record, proxy));
      sink.records(proxy, records);
      onRecords(records);
    }
    if (dropped !== undefined) sink.dropped(proxy, dropped);
    return undefined;
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deps.sink.closed(this.proxy);
  }

  #takeEdges({ edges }: ReportMessage): string | undefined {
    for (const message of edges) {
      if (message.id >= EDGE_IDS_MAX) return `edge ${message.id} is beyond ${EDGE_IDS_MAX}`;
      const edge = this.#deps.refine(edgeOf(message));
      this.#edges[edge.id] = edge;
      this.#deps.sink.edge(this.proxy, edge);
    }
    return undefined;
  }

  #takeFrames({ frames, now_ms }: ReportMessage, receivedMs: number): string | undefined {
    for (const bytes of frames) {
      const frame = decodeFrame(bytes);
      if (typeof frame === 'string') return frame;
      const age = now_ms / 1000 - frame.second;
      if (age < 0) return `second ${frame.second} is not over by the proxy's own clock`;
      // Too old to be asked for; nothing is wrong with it.
      if (age > FRAME_AGE_SECONDS_MAX) continue;
      for (const { edge } of frame.samples)
        if (this.#edges[edge] === undefined) return `edge ${edge} was not said`;
      if (frame.second <= this.#lastSecond) continue;
      this.#lastSecond = frame.second;
      const at: FrameTime = { second: frame.second - this.offset.shiftSeconds, receivedMs };
      this.#deps.sink.frame(this.proxy, frame, at);
    }
    return undefined;
  }
}
