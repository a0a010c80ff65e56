/**
 * Where the parts of a proxy hand in what is told one by one: spans, and the requests and connections that somebody wants to see. The
 * reporter implements it and sends them to the control plane. Calls are made on the request path: none waits, throws or keeps more than
 * its bounds; what is too much is dropped, and counted.
 */
import type { RequestRecord } from '../requests/request-record.ts';
import type { Span } from '../tracing/span.ts';

export interface SpanSink {
  /** Once it is over: its members must not change any more. */
  offerSpan(span: Span): void;
}

export interface RecordSink {
  /** Whether a record is worth making. Asked for every request and connection, before anything is built. Milliseconds from its begin. */
  wantsRecord(hasFailed: boolean, durationMs: number): boolean;
  /** After `wantsRecord` said yes: which of the filters it fits is looked up here. */
  offerRecord(record: RequestRecord): void;
}

export interface TelemetryReport extends SpanSink, RecordSink {
  /** `namespace/name` of our pod: `proxy` in spans and records. */
  readonly proxy: string;
}

/** Of a proxy that runs without a control plane: nobody asks. */
export function unreported(proxy: string): TelemetryReport {
  return {
    proxy,
    offerSpan: () => undefined,
    wantsRecord: () => false,
    offerRecord: () => undefined,
  };
}
