/** What is wrong with retries, faults, CORS and mirrors of a VirtualService rule, as Istio's webhook judges it. */
import { STATUS_CODES } from 'node:http';
import type { Findings } from './finding.ts';
import { GRPC_STATUS_BY_NAME } from './grpc-status.ts';
import { corsNameProblem } from './header-names.ts';
import { checkedDuration, parseDouble, parseDurationMs, statusProblem } from './scalars.ts';
import { regexProblem } from './text-match.ts';
import { checkDestination } from './validate-destinations.ts';
import type {
  CorsSpec,
  FaultSpec,
  HttpRouteSpec,
  PercentSpec,
  RetrySpec,
} from './virtual-service-kinds.ts';

/** Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on. */
const RETRY_CONDITIONS = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];
const CORS_METHODS = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE'],
  '*',
];
/** A millionth: what proxies draw by. */
const SMALLEST_PERCENT = 0.0001;

export function checkRetries(spec: RetrySpec | undefined, path: string, findings: Findings): void {
  if (spec === undefined) return;
  const { attempts = 0, perTryTimeout, retryOn, retryRemoteLocalities, backoff } = spec;
  if (attempts < 0) findings.invalid(`${path}.attempts`, `${attempts} is negative`);
  const more = perTryTimeout !== undefined || retryOn || typeof retryRemoteLocalities === 'boolean';
  if (attempts === 0 && more)
    findings.invalid(path, 'attempts is 0, which disables retries, and yet there is more');
  checkedDuration(perTryTimeout, `${path}.perTryTimeout`, findings);
  checkedDuration(backoff, `${path}.backoff`, findings);
  for (const condition of (retryOn ?? '').split(',').map((each) => each.trim()))
    if (condition !== '' && !(condition in STATUS_CODES) && !RETRY_CONDITIONS.includes(condition))
      findings.invalid(`${path}.retryOn`, `${JSON.stringify(condition)} is no retry condition`);
}

export function checkFault(spec: FaultSpec | undefined, path: string, findings: Findings): void {
  if (spec === undefined) return;
  const { abort, delay } = spec;
  if (abort === undefined && delay === undefined)
    findings.invalid(path, 'an abort or a delay is required');
  if (abort !== undefined) {
    const at = `${path}.abort`;
    checkFraction(abort.percentage, `${at}.percentage`, findings);
    const { httpStatus, grpcStatus, http2Error } = abort;
    const kinds = [httpStatus, grpcStatus, http2Error].filter((each) => each !== undefined);
    if (kinds.length > 1)
      findings.invalid(at, 'httpStatus, grpcStatus and http2Error exclude each other');
    if (http2Error !== undefined)
      findings.invalid(`${at}.http2Error`, 'aborts by HTTP/2 errors are not supported by Istio');
    if (httpStatus !== undefined) findings.check(`${at}.httpStatus`, statusProblem(httpStatus));
    if (grpcStatus !== undefined && GRPC_STATUS_BY_NAME[grpcStatus] === undefined)
      findings.invalid(`${at}.grpcStatus`, `${JSON.stringify(grpcStatus)} is no gRPC status`);
  }
  if (delay === undefined) return;
  checkFraction(delay.percentage, `${path}.delay.percentage`, findings);
  const { percent = 0 } = delay;
  if (percent < 0 || percent > 100)
    findings.invalid(`${path}.delay.percent`, `${percent} is not within 0 to 100`);
  checkedDuration(delay.fixedDelay, `${path}.delay.fixedDelay`, findings);
  if (delay.exponentialDelay !== undefined)
    findings.invalid(
      `${path}.delay.exponentialDelay`,
      'exponential delays are not supported by Istio',
    );
}

function checkFraction(spec: PercentSpec | undefined, path: string, findings: Findings): void {
  const percent = parseDouble(spec?.value) ?? 0;
  if (percent !== 0 && !(percent >= SMALLEST_PERCENT && percent <= 100))
    findings.invalid(path, `${percent} is neither 0 nor within ${SMALLEST_PERCENT} to 100`);
}

function checkPercent(spec: PercentSpec | undefined, path: string, findings: Findings): void {
  const percent = parseDouble(spec?.value) ?? 0;
  if (!(percent >= 0 && percent <= 100))
    findings.invalid(path, `${percent} is not within 0 to 100`);
}

export function checkCors(spec: CorsSpec | undefined, path: string, findings: Findings): void {
  if (spec === undefined) return;
  for (const [at, origin] of (spec.allowOrigins ?? []).entries()) {
    const here = `${path}.allowOrigins[${at}]`;
    if (!origin?.exact && !origin?.prefix && !origin?.regex)
      findings.invalid(here, 'one of exact, prefix and regex is required');
    else if (origin.regex) findings.check(`${here}.regex`, regexProblem(origin.regex));
  }
  for (const [at, method] of (spec.allowMethods ?? []).entries())
    if (!CORS_METHODS.includes(method))
      findings.invalid(
        `${path}.allowMethods[${at}]`,
        `${JSON.stringify(method)} is no HTTP method`,
      );
  for (const field of ['allowHeaders', 'exposeHeaders'] as const)
    for (const [at, name] of (spec[field] ?? []).entries())
      findings.check(`${path}.${field}[${at}]`, corsNameProblem(name));
  checkedDuration(spec.maxAge, `${path}.maxAge`, findings);
  // What is no duration, or shorter than a millisecond, has been said.
  const maxAgeMs = parseDurationMs(spec.maxAge ?? '0') ?? 0;
  if (maxAgeMs >= 1 && maxAgeMs % 1000 !== 0)
    findings.invalid(`${path}.maxAge`, `${spec.maxAge} is no whole number of seconds`);
}

export function checkMirrors(spec: HttpRouteSpec, path: string, findings: Findings): void {
  const { mirror, mirrors = [], mirrorPercentage } = spec;
  const mirrorPercent = spec.mirrorPercent ?? spec.mirror_percent;
  if (mirror !== undefined && mirrors.length > 0)
    findings.invalid(`${path}.mirrors`, 'mirror and mirrors exclude each other');
  if (mirrorPercent !== undefined && mirrorPercent !== null) {
    if (mirrorPercent < 0 || mirrorPercent > 100)
      findings.invalid(`${path}.mirrorPercent`, `${mirrorPercent} is not within 0 to 100`);
    else findings.deprecated(`${path}.mirrorPercent`, 'mirrorPercentage');
  }
  checkPercent(mirrorPercentage, `${path}.mirrorPercentage`, findings);
  if (mirror !== undefined) checkDestination(mirror, `${path}.mirror`, findings);
  for (const [at, each] of mirrors.entries()) {
    const here = `${path}.mirrors[${at}]`;
    if (!each?.destination) findings.invalid(`${here}.destination`, 'a destination is required');
    else checkDestination(each.destination, `${here}.destination`, findings);
    checkPercent(each?.percentage, `${here}.percentage`, findings);
  }
}
