/**
 * One span of a distributed trace: a hop of the mesh. Names of attributes are OpenTelemetry's and Istio's. Exported as OTLP
 * and kept for a while by the control plane.
 */

export interface Span {
  /** 32 and 16 hexadecimal digits, lower case. */
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly kind: 'server' | 'client' | 'internal';
  /** `METHOD route` by low cardinality, or `tcp service`. */
  readonly name: string;
  /** Nanoseconds since the epoch. */
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly status: 'unset' | 'ok' | 'error';
  readonly statusMessage: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Spans of other traces that belong to it: the HBONE connection beneath a request. */
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** Who made it: `service.name` of the resource, and its pod `namespace/name`. */
  readonly service: string;
  readonly proxy: string;
}
