/**
 * Over time: GET /api/v1/timeline (the time bar), GET /api/v1/series (charts of one node or edge), GET /api/v1/history (what
 * changed). `from` and `to` are RFC 3339; `stepSeconds` is chosen by the server so that at most POINTS_MAX points come.
 */

export interface TimelineAnswer {
  readonly from: string;
  readonly to: string;
  readonly stepSeconds: number;
  /** From the first report to where all proxies had time to report. Counts of a step that reaches beyond are of the part of it that lies between. */
  readonly observedFrom: string;
  readonly observedTo: string;
  /** How many in each step; null where no proxy reported. */
  readonly requests: readonly (number | null)[];
  readonly errors: readonly (number | null)[];
  /** TCP connections opened, and those that failed. */
  readonly connections: readonly (number | null)[];
  readonly failures: readonly (number | null)[];
  readonly marks: readonly Change[];
}

/** One change of configuration, endpoints or deployments. */
export interface Change {
  readonly at: string;
  readonly kind: 'config' | 'endpoints' | 'deployment';
  /** `Kind namespace/name`. */
  readonly resource: string;
  readonly change: 'added' | 'changed' | 'removed';
  /** One line: which fields, or `2 → 3 endpoints`. */
  readonly summary: string;
  /** Version to read it back: GET /api/v1/history/{version}. */
  readonly version: number;
}

/** GET /api/v1/history: `from`, `to`, `resource`, `namespaces`, `limit`; the youngest first. */
export interface HistoryAnswer {
  readonly changes: readonly Change[];
}

/** GET /api/v1/history/{version}: the object before and after, as YAML. */
export interface ChangeAnswer extends Change {
  readonly before: string;
  readonly after: string;
}

/** Query: `node=ID` with `direction=inbound|outbound`, or `edge=ID`; `from`, `to`, `type`. */
export interface SeriesAnswer {
  readonly from: string;
  readonly to: string;
  readonly stepSeconds: number;
  /** Null where no proxy reported. */
  readonly requestsPerSecond: readonly (number | null)[];
  readonly errorRate: readonly (number | null)[];
  readonly p50Ms: readonly (number | null)[];
  readonly p95Ms: readonly (number | null)[];
  readonly p99Ms: readonly (number | null)[];
  readonly connectionsPerSecond: readonly (number | null)[];
  readonly bytesPerSecond: readonly (number | null)[];
  /** Rows as steps, columns as `bounds` and one above: how many requests took so long. */
  readonly heat: readonly (readonly number[])[];
  readonly bounds: readonly number[];
  /** Requests by code in the whole of it. */
  readonly responseCodes: Readonly<Record<string, number>>;
  readonly flags: Readonly<Record<string, number>>;
  /** Steps before this time are told by an external Prometheus. */
  readonly prometheusUntil?: string;
  /** That Prometheus could not be asked, and why. */
  readonly notice?: string;
}
