/**
 * How many failures are borne: Kiali's defaults (facts of its `config.go`), and its annotation `health.kiali.io/rate` on workloads and services, as people have it:
 * `code,degraded,failing,protocol,direction` in percent, several separated by `;`. Pure.
 */

/** What ended how, of what came in (or went out) in a window. Shares are judged of their own protocol's. */
export interface Outcomes {
  readonly http: number;
  readonly http4xx: number;
  readonly http5xx: number;
  /** Not answered. */
  readonly httpNone: number;
  readonly grpc: number;
  /** Any status but OK, or no status at all. */
  readonly grpcFailed: number;
  readonly connections: number;
  readonly failures: number;
  /** Connections and requests, where there were connections at all: one that failed is one of all that came, and those that carried requests through a waypoint are not among the connections. */
  readonly attempts: number;
}

export const NO_OUTCOMES: Outcomes = {
  http: 0,
  http4xx: 0,
  http5xx: 0,
  httpNone: 0,
  grpc: 0,
  grpcFailed: 0,
  connections: 0,
  failures: 0,
  attempts: 0,
};

/** `attempts` follows from the others. */
export function outcomesFrom(some: Partial<Omit<Outcomes, 'attempts'>>): Outcomes {
  const all = { ...NO_OUTCOMES, ...some };
  const attempts = all.connections === 0 ? 0 : all.connections + all.http + all.grpc;
  return { ...all, attempts };
}

export interface Tolerance {
  readonly count: 'http4xx' | 'http5xx' | 'httpNone' | 'grpcFailed' | 'failures';
  readonly of: 'http' | 'grpc' | 'attempts';
  /** Shares, 0 to 1. Degraded at 0: at more than none. */
  readonly degraded: number;
  readonly failing: number;
  /** `requests were answered with 5xx`. */
  readonly words: string;
}

/**
 * Kiali's: 5xx more than 0 % and 10 %, 4xx 10 % and 20 %, gRPC more than 0 % and 10 %, no answer 10 %. Connections that fail, which Kiali does not
 * judge, as 5xx.
 */
export const DEFAULT_TOLERANCES: readonly Tolerance[] = [
  { count: 'httpNone', of: 'http', degraded: 0, failing: 0.1, words: 'requests were not answered' },
  { count: 'http5xx', of: 'http', degraded: 0, failing: 0.1, words: 'requests failed with 5xx' },
  { count: 'grpcFailed', of: 'grpc', degraded: 0, failing: 0.1, words: 'gRPC calls failed' },
  { count: 'failures', of: 'attempts', degraded: 0, failing: 0.1, words: 'connections failed' },
  {
    count: 'http4xx',
    of: 'http',
    degraded: 0.1,
    failing: 0.2,
    words: 'requests were refused with 4xx',
  },
];

/** The defaults as the annotation changes them; parts that cannot be understood change nothing. Codes are whole classes (`4xx`, `5XX`, `-`). */
export function tolerancesOf(
  annotation: string,
  direction: 'inbound' | 'outbound',
): readonly Tolerance[] {
  if (annotation === '') return DEFAULT_TOLERANCES;
  const changed = new Map(DEFAULT_TOLERANCES.map((tolerance) => [tolerance.count, tolerance]));
  for (const part of annotation.split(';')) {
    const [code = '', degraded = '', failing = '', protocol = '.*', way = '.*'] = part
      .split(',')
      .map((text) => text.trim().toLowerCase());
    const count = countOf(code, protocol);
    const known = count && changed.get(count);
    const [low, high] = [Number(degraded), Number(failing)];
    if (!known || degraded === '' || failing === '' || !(low >= 0 && high >= 0)) continue;
    if (way !== '.*' && way !== direction) continue;
    changed.set(known.count, { ...known, degraded: low / 100, failing: high / 100 });
  }
  return [...changed.values()];
}

function countOf(code: string, protocol: string): Tolerance['count'] | undefined {
  if (protocol === 'grpc') return 'grpcFailed';
  if (protocol === 'tcp') return 'failures';
  if (code.startsWith('4')) return 'http4xx';
  if (code.startsWith('5')) return 'http5xx';
  return code === '-' ? 'httpNone' : undefined;
}
