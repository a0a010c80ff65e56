/**
 * Requests one by one: GET /api/v1/tap (server-sent events `request`: RequestRow; `dropped`: { count }), GET /api/v1/requests (the failed ones and
 * some of the others, kept for a while), GET /api/v1/traces, GET /api/v1/traces/{traceId}. Query members of the first three are those of
 * TapFilter: namespaces, workloads, services, methods, pathPrefix, status (`500`, `400-499`, `5xx`), failed=true, and `edge=ID` or `node=ID`.
 */
import type { RequestRecord } from '#telemetry/requests/request-record.ts';

export interface RequestRow extends Omit<RequestRecord, 'source' | 'destination' | 'startMs'> {
  readonly at: string;
  /** Node ids. */
  readonly source: string;
  readonly destination: string;
}

export interface RequestsAnswer {
  readonly requests: readonly RequestRow[];
}

export interface TracesAnswer {
  readonly traces: readonly TraceRow[];
  /** How far back the store reaches. */
  readonly oldest?: string;
}

/** Query also: sort=newest|slowest, from, to, limit. */
export interface TraceRow {
  readonly traceId: string;
  readonly at: string;
  readonly durationMs: number;
  readonly name: string;
  readonly spans: number;
  readonly services: readonly string[];
  readonly status: 'ok' | 'error';
  readonly statusCode?: number;
}

export interface TraceAnswer extends TraceRow {
  readonly spanRows: readonly SpanRow[];
}

/** In order of a depth-first walk; `depth` 0 has no parent here. */
export interface SpanRow {
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly depth: number;
  readonly name: string;
  readonly service: string;
  readonly proxy: string;
  readonly kind: 'server' | 'client' | 'internal';
  /** A hop of the mesh, not of an application. */
  readonly isMesh: boolean;
  readonly startOffsetMs: number;
  readonly durationMs: number;
  readonly status: 'unset' | 'ok' | 'error';
  readonly statusMessage: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}
