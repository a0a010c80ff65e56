/**
 * What is known of a request or a connection when it is over: the one record that telemetry reads (metrics, access log, and whoever
 * subscribes at the recorder: spans, statistics, replay). Valid during the call: heads are the connection's.
 */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { RouteEntry } from '#model/route/compile.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import type { Tunnel } from '../tunnel.ts';

export interface FinishedRequest {
  readonly tunnel: Tunnel;
  /** As it was sent on; `originalPath` is what came. */
  readonly request: MessageHead;
  readonly originalPath: string;
  readonly isGrpc: boolean;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  /** 0 when no answer was sent. */
  readonly status: number;
  /** Of gRPC, from head or trailers; '' for none. */
  readonly grpcStatus: string;
  /** Envoy's response flags, `-` for none. */
  readonly flags: string;
  readonly details: string;
  readonly note: string;
  /** `Kind namespace/name` of the policy that refused it, or empty. */
  readonly policy: string;
  /** Its `exemplar` is what an exemplar may say. */
  readonly trace: RequestTrace | undefined;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Until the upstream's head; -1 when none came. */
  readonly upstreamMs: number;
  /** Tries. */
  readonly attempt: number;
  readonly entry: RouteEntry | undefined;
  /** The last try. */
  readonly current: { readonly endpoint: HttpEndpoint; readonly group: HttpGroup } | undefined;
}

/** Called once for each request, on the request path: it must not throw, wait or keep the record. */
export type RequestObserver = (request: FinishedRequest) => void;
