/**
 * One `http` rule of a VirtualService, checked and in the model's words, but not yet bound to services: hosts are
 * full names, destinations are not looked up, port conditions stand beside each match. See virtual-service.ts.
 */
import type { HeaderOperations, RetryPolicy, Route, RouteMatch } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import { resolveHost } from './hosts.ts';
import type {
  HeaderOperationsSpec,
  HeadersSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  RedirectSpec,
  RetrySpec,
  RouteDestinationSpec,
} from './istio-kinds.ts';
import { parseDurationMs } from './scalars.ts';
import { compileTextMatch, compileTextMatches, regexProblem } from './text-match.ts';

export interface PendingMatch {
  readonly match: RouteMatch;
  /** Only for requests to this service port. */
  readonly port: number | undefined;
  readonly sourceNamespace: string | undefined;
}

export interface PendingDestination {
  readonly host: string;
  readonly subset: string | undefined;
  readonly port: number | undefined;
  readonly weight: number;
  readonly headers: Route['headers'];
}

export type PendingAction =
  | { readonly kind: 'forward'; readonly destinations: readonly PendingDestination[] }
  | { readonly kind: 'redirect'; readonly redirect: RedirectSpec; readonly status: number }
  | { readonly kind: 'respond'; readonly status: number; readonly body: string | undefined }
  /** Nothing that we can do: every request is answered 503. */
  | { readonly kind: 'broken'; readonly reason: string };

export interface PendingRoute {
  readonly name: string | undefined;
  readonly index: number;
  /** Empty: every request. */
  readonly matches: readonly PendingMatch[];
  /** It had conditions, and none of them can ever hold here. */
  readonly unreachable: boolean;
  readonly action: PendingAction;
  readonly rewrite: Route['rewrite'];
  readonly headers: Route['headers'];
  readonly timeoutMs: number | undefined;
  readonly retries: RetryPolicy;
}

interface Context {
  namespace: string;
  domain: string;
  findings: Findings;
}

const REDIRECT_STATUSES = [301, 302, 303, 307, 308];

/** Istio's default policy (pilot/pkg/networking/core/route/retry/retry.go): two retries, and no status codes. */
export const DEFAULT_RETRIES: RetryPolicy = {
  attempts: 2,
  on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
  statusCodes: [],
  backoffBaseMs: 25,
};

/** Accepted fields that the waypoint does not act on. */
const INEFFECTIVE = ['fault', 'mirror', 'mirrors', 'corsPolicy'] as const;

export function compileHttpRoute(
  spec: HttpRouteSpec,
  index: number,
  context: Context,
): PendingRoute {
  const { findings } = context;
  const path = `spec.http[${index}]`;
  for (const field of INEFFECTIVE)
    if (spec[field] !== undefined)
      findings.ineffective(`${path}.${field}`, `${field} is not enforced by this version`);
  const specified = spec.match ?? [];
  const matches = specified.flatMap((match, at) =>
    compileMatch(match, `${path}.match[${at}]`, findings),
  );
  return {
    name: spec.name,
    index,
    matches,
    unreachable: specified.length > 0 && matches.length === 0,
    action: compileAction(spec, path, context),
    ...compileRewriteAndHeaders(spec, path, findings),
    timeoutMs: duration(spec.timeout, `${path}.timeout`, findings) || undefined,
    retries: compileRetries(spec.retries, `${path}.retries`, findings),
  };
}

function compileMatch(spec: HttpMatchSpec, path: string, findings: Findings): PendingMatch[] {
  const text = (name: 'uri' | 'scheme' | 'method' | 'authority') => {
    const value = spec[name];
    if (value === undefined || Object.keys(value).length === 0) return undefined;
    return compileTextMatch(value, `${path}.${name}`, findings);
  };
  const headers = (name: 'headers' | 'withoutHeaders') =>
    compileTextMatches(spec[name], `${path}.${name}`, findings).map(({ name, match }) => ({
      name: name.toLowerCase(),
      match,
    }));
  const match: RouteMatch = {
    path: text('uri'),
    ignorePathCase: spec.ignoreUriCase,
    method: text('method'),
    scheme: text('scheme'),
    authority: text('authority'),
    headers: headers('headers'),
    withoutHeaders: headers('withoutHeaders'),
    queryParams: compileTextMatches(spec.queryParams, `${path}.queryParams`, findings),
  };
  for (const { name } of [...match.headers, ...match.withoutHeaders])
    if (['uri', 'scheme', 'method', 'authority'].includes(name))
      findings.invalid(
        `${path}.headers[${name}]`,
        `${name} has a field of its own and is no header`,
      );
  // A match bound to gateways is not for mesh traffic; source labels are known to the client's proxy only.
  if (spec.gateways?.length && !spec.gateways.includes('mesh')) return [];
  if (Object.keys(spec.sourceLabels ?? {}).length > 0) {
    findings.ineffective(
      `${path}.sourceLabels`,
      'a waypoint cannot see client labels: never matches',
    );
    return [];
  }
  return [{ match, port: spec.port, sourceNamespace: spec.sourceNamespace || undefined }];
}

function compileAction(spec: HttpRouteSpec, path: string, context: Context): PendingAction {
  const { findings } = context;
  const actions = (['route', 'redirect', 'directResponse', 'delegate'] as const).filter(
    (name) => spec[name] !== undefined,
  );
  if (actions.length !== 1)
    findings.invalid(
      path,
      'exactly one of route, redirect, directResponse and delegate must be set',
    );
  if (spec.delegate !== undefined) {
    findings.ineffective(`${path}.delegate`, 'delegation is not supported: requests get 503');
    return { kind: 'broken', reason: 'delegation is not supported' };
  }
  if (spec.redirect !== undefined) {
    const status = spec.redirect.redirectCode || 301;
    if (!REDIRECT_STATUSES.includes(status))
      findings.invalid(
        `${path}.redirect.redirectCode`,
        `${status} is none of ${REDIRECT_STATUSES}`,
      );
    return { kind: 'redirect', redirect: spec.redirect, status };
  }
  if (spec.directResponse !== undefined) {
    const { status = 0, body } = spec.directResponse;
    if (status < 200 || status > 599)
      findings.invalid(`${path}.directResponse.status`, `${status} is not within 200 to 599`);
    const bytes = body?.bytes === undefined ? undefined : Buffer.from(body.bytes, 'base64');
    return { kind: 'respond', status, body: body?.string ?? bytes?.toString('utf8') };
  }
  return compileDestinations(spec.route ?? [], `${path}.route`, context);
}

function compileDestinations(
  specs: readonly RouteDestinationSpec[],
  path: string,
  context: Context,
): PendingAction {
  const { findings } = context;
  if (specs.length === 0) findings.invalid(path, 'a rule needs at least one destination');
  const destinations = specs.map((spec, at): PendingDestination => {
    const { destination, weight = 0 } = spec;
    if (!destination?.host)
      findings.invalid(`${path}[${at}].destination.host`, 'a host is required');
    if (weight < 0) findings.invalid(`${path}[${at}].weight`, `${weight} is negative`);
    return {
      host: resolveHost(destination?.host ?? '', context),
      subset: destination?.subset || undefined,
      port: destination?.port?.number,
      // Istio ignores the weight of a single destination.
      weight: specs.length === 1 ? 1 : weight,
      headers: compileHeaders(spec.headers),
    };
  });
  const weighted = destinations.filter((destination) => destination.weight > 0);
  if (weighted.length > 0 || destinations.length === 0)
    return { kind: 'forward', destinations: weighted };
  const message = 'the weights of all destinations are 0';
  findings.missing(path, `${message}: requests get 503`, 'give at least one destination a weight');
  return { kind: 'broken', reason: message };
}

function compileRewriteAndHeaders(
  spec: HttpRouteSpec,
  path: string,
  findings: Findings,
): Pick<PendingRoute, 'rewrite' | 'headers'> {
  const { rewrite } = spec;
  const regex = rewrite?.uriRegexRewrite;
  if (regex !== undefined) {
    const problem = regexProblem(regex.match ?? '');
    if (problem !== undefined)
      findings.invalid(
        `${path}.rewrite.uriRegexRewrite.match`,
        `not an RE2 expression: ${problem}`,
      );
    if (rewrite?.uri)
      findings.invalid(`${path}.rewrite`, 'uri and uriRegexRewrite exclude each other');
  }
  // Istio: setting Host on a request is an authority rewrite (route.go TranslateRoute).
  const { host, headers } = splitHost(compileHeaders(spec.headers));
  const authority = host ?? (rewrite?.authority || undefined);
  const compiled = {
    path: rewrite?.uri || undefined,
    authority,
    regex: regex && { match: regex.match ?? '', rewrite: regex.rewrite ?? '' },
  };
  const empty = compiled.path === undefined && authority === undefined && regex === undefined;
  return { rewrite: empty ? undefined : compiled, headers };
}

function splitHost(headers: Route['headers']): { host?: string; headers: Route['headers'] } {
  const set = headers?.request?.set;
  const host = set?.host ?? set?.[':authority'];
  if (headers?.request === undefined || set === undefined || host === undefined) return { headers };
  const rest = Object.entries(set).filter(([name]) => name !== 'host' && name !== ':authority');
  const request = { ...headers.request, set: Object.fromEntries(rest) };
  return { host, headers: { ...headers, request } };
}

export function compileHeaders(spec: HeadersSpec | undefined): Route['headers'] {
  if (spec?.request === undefined && spec?.response === undefined) return undefined;
  return { request: operations(spec.request), response: operations(spec.response) };
}

function operations(spec: HeaderOperationsSpec | undefined): HeaderOperations | undefined {
  if (spec === undefined) return undefined;
  const lower = (values: Record<string, string> | undefined) =>
    Object.fromEntries(
      Object.entries(values ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]),
    );
  const remove = (spec.remove ?? []).map((name) => name.toLowerCase());
  return { set: lower(spec.set), add: lower(spec.add), remove };
}

export function compileRetries(
  spec: RetrySpec | undefined,
  path: string,
  findings: Findings,
): RetryPolicy {
  if (spec === undefined) return DEFAULT_RETRIES;
  const attempts = spec.attempts ?? 0;
  if (attempts < 0) findings.invalid(`${path}.attempts`, `${attempts} is negative`);
  const perTryTimeoutMs = duration(spec.perTryTimeout, `${path}.perTryTimeout`, findings);
  const backoffMs = duration(spec.backoff, `${path}.backoff`, findings);
  const on: string[] = [];
  const statusCodes: number[] = [];
  for (const token of (spec.retryOn ?? '').split(',')) {
    const name = token.trim();
    if (/^\d{3}$/.test(name)) statusCodes.push(Number(name));
    else if (name !== '') on.push(name);
  }
  if (statusCodes.length > 0 && !on.includes('retriable-status-codes'))
    on.push('retriable-status-codes');
  return {
    attempts,
    perTryTimeoutMs: perTryTimeoutMs || undefined,
    on: on.length === 0 ? DEFAULT_RETRIES.on : on,
    statusCodes,
    backoffBaseMs: backoffMs || DEFAULT_RETRIES.backoffBaseMs,
  };
}

/** Undefined when absent or malformed, the latter with a finding. */
export function duration(
  text: string | undefined,
  path: string,
  findings: Findings,
): number | undefined {
  if (text === undefined || text === '') return undefined;
  const valueMs = parseDurationMs(text);
  if (valueMs === undefined)
    findings.invalid(path, `${JSON.stringify(text)} is not a duration such as 1.5s or 200ms`);
  return valueMs;
}
