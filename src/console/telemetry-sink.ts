/**
 * Where the telemetry of proxies arrives, whoever carried it: their own stream to this control plane, the stream of another replica, or a
 * scrape of a proxy that is not ours. The store implements it, the carriers call it. Nothing here may wait or throw on what proxies send.
 */
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';

/** `namespace/name` of the proxy's pod. */
export type ProxyKey = string;

/** When a frame is from, by our clock. */
export interface FrameTime {
  /** Second since the epoch that it is booked in: the proxy's own, put right by the offset between the clocks. */
  readonly second: number;
  /** When it came, milliseconds since the epoch. */
  readonly receivedMs: number;
}

export interface TelemetrySink {
  /** Its ids of edges begin anew. Returns the last second, by its clock, that is known of it: only later frames are sent again; -1 for none. */
  opened(proxy: ProxyKey): number;
  /** An id that is said again means something else in the frames that follow: edges that are long idle leave theirs to others. */
  edge(proxy: ProxyKey, edge: FlowEdge): void;
  /** A second of the proxy's that was booked already (`frame.second`, what `opened` returns) is passed over. */
  frame(proxy: ProxyKey, frame: FlowFrame, at: FrameTime): void;
  spans(proxy: ProxyKey, spans: readonly Span[]): void;
  records(proxy: ProxyKey, records: readonly RequestRecord[]): void;
  /** What the proxy threw away because nobody took it in time. */
  dropped(proxy: ProxyKey, dropped: { readonly spans: number; readonly records: number }): void;
  closed(proxy: ProxyKey): void;
}
