/** Retries, faults, CORS and mirrors of a VirtualService rule in the model's words. */
import type { Cors, Fault, RetryPolicy } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import { GRPC_STATUS_BY_NAME } from './grpc-status.ts';
import { duration, parseDouble } from './scalars.ts';
import type { PendingTarget } from './target.ts';
import { targetOf } from './target.ts';
import { textMatchOf } from './text-match.ts';
import type {
  CorsSpec,
  FaultSpec,
  HttpRouteSpec,
  PercentSpec,
  RetrySpec,
} from './virtual-service-kinds.ts';

export interface PendingMirror extends PendingTarget {
  readonly percent: number;
}

/** Istio's default policy (pilot/pkg/networking/core/route/retry/retry.go): two retries, and no status codes. */
export const DEFAULT_RETRIES: RetryPolicy = {
  attempts: 2,
  on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
  statusCodes: [],
  backoffBaseMs: 25,
};

export function compileRetries(spec: RetrySpec, path: string, findings: Findings): RetryPolicy {
  const on: string[] = [];
  const statusCodes: number[] = [];
  for (const token of (spec.retryOn ?? '').split(',')) {
    const name = token.trim();
    if (/^\d{3}$/.test(name)) statusCodes.push(Number(name));
    else if (name !== '') on.push(name);
  }
  if (statusCodes.length > 0 && !on.includes('retriable-status-codes'))
    on.push('retriable-status-codes');
  const { retryRemoteLocalities: remote, retryIgnorePreviousHosts: ignore } = spec;
  return {
    attempts: Math.max(0, spec.attempts ?? 0),
    perTryTimeoutMs: duration(spec.perTryTimeout, `${path}.perTryTimeout`, findings) || undefined,
    on: on.length === 0 ? DEFAULT_RETRIES.on : on,
    statusCodes,
    backoffBaseMs:
      duration(spec.backoff, `${path}.backoff`, findings) || DEFAULT_RETRIES.backoffBaseMs,
    ...(remote === true && { remoteLocalities: true }),
    ...(typeof ignore === 'boolean' && { ignorePreviousHosts: ignore }),
  };
}

/** To a millionth, cut off as Istio does (translatePercentToFractionalPercent). */
function percentOf(spec: PercentSpec): number {
  return Math.floor((parseDouble(spec.value) ?? 0) * 10_000) / 10_000;
}

export function compileFault(
  spec: FaultSpec | undefined,
  path: string,
  findings: Findings,
): Fault | undefined {
  if (spec === undefined) return undefined;
  const delay = compileDelay(spec.delay, `${path}.delay`, findings);
  const abort = compileAbort(spec.abort, `${path}.abort`, findings);
  if (delay === undefined && abort === undefined) return undefined;
  return { ...(delay && { delay }), ...(abort && { abort }) };
}

function compileDelay(
  spec: FaultSpec['delay'],
  path: string,
  findings: Findings,
): Fault['delay'] | undefined {
  if (spec === undefined) return undefined;
  const percent = spec.percentage ? percentOf(spec.percentage) : (spec.percent ?? 0);
  if (spec.percent !== undefined) findings.deprecated(`${path}.percent`, 'percentage');
  const ms = duration(spec.fixedDelay, `${path}.fixedDelay`, findings) ?? 0;
  if (percent > 0 && ms > 0) return { ms, percent };
  const missing = ms > 0 ? 'percentage' : 'fixedDelay';
  findings.ineffective(`${path}.${missing}`, `no request is delayed without ${missing}`, {
    hint: `set ${missing}, or remove the delay`,
  });
  return undefined;
}

function compileAbort(
  spec: FaultSpec['abort'],
  path: string,
  findings: Findings,
): Fault['abort'] | undefined {
  if (spec === undefined) return undefined;
  const percent = spec.percentage ? percentOf(spec.percentage) : 0;
  const grpcStatus = GRPC_STATUS_BY_NAME[spec.grpcStatus ?? ''];
  if (percent > 0 && spec.httpStatus !== undefined) return { percent, httpStatus: spec.httpStatus };
  if (percent > 0 && grpcStatus !== undefined) return { percent, grpcStatus };
  const missing = percent > 0 ? 'httpStatus' : 'percentage';
  // As Istio: without a percentage Envoy aborts nothing.
  findings.ineffective(`${path}.${missing}`, `no request is aborted without ${missing}`, {
    hint: `set ${missing}, or remove the abort`,
  });
  return undefined;
}

export function compileCors(
  spec: CorsSpec | undefined,
  path: string,
  findings: Findings,
): Cors | undefined {
  if (spec === undefined) return undefined;
  if (spec.allowOrigin !== undefined) findings.deprecated(`${path}.allowOrigin`, 'allowOrigins');
  const origins = spec.allowOrigins ?? spec.allowOrigin?.map((exact) => ({ exact })) ?? [];
  const maxAgeMs = duration(spec.maxAge, `${path}.maxAge`, findings);
  return {
    // Envoy's CORS filter takes the exact origin `*` for any.
    allowOrigins: origins.map((each) =>
      each.exact === '*' ? { kind: 'present' } : textMatchOf(each),
    ),
    allowMethods: spec.allowMethods ?? [],
    allowHeaders: spec.allowHeaders ?? [],
    exposeHeaders: spec.exposeHeaders ?? [],
    ...(maxAgeMs !== undefined && { maxAgeSeconds: Math.floor(maxAgeMs / 1000) }),
    allowCredentials: spec.allowCredentials ?? false,
    unmatchedPreflights: spec.unmatchedPreflights === 'IGNORE' ? 'ignore' : 'forward',
  };
}

/** `mirror` and `mirrors` add up; none that takes no request. */
export function compileMirrors(spec: HttpRouteSpec, path: string): PendingMirror[] {
  const { mirror, mirrors = [], mirrorPercentage, mirrorPercent } = spec;
  const all: PendingMirror[] = [];
  if (mirror !== undefined) {
    const percent = mirrorPercentage ? percentOf(mirrorPercentage) : (mirrorPercent ?? 100);
    all.push({ ...targetOf(mirror, `${path}.mirror`), percent });
  }
  for (const [at, { destination, percentage }] of mirrors.entries()) {
    const percent = percentage ? percentOf(percentage) : 100;
    all.push({ ...targetOf(destination, `${path}.mirrors[${at}].destination`), percent });
  }
  return all.filter(({ percent }) => percent > 0);
}
