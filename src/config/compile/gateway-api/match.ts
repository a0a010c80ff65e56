/** Matches of HTTPRoutes and GRPCRoutes in the model's words, each with what its precedence is decided by. Pure. */
import type { RouteMatch, TextMatch } from '#model/route/route-table.ts';
import { regexProblem } from '../text-match.ts';
import type { GrpcMatch, HttpMatch } from './kinds.ts';

/** Greater comes first, part by part. */
export interface MatchRank {
  /** Exact 3, prefix 2, regular expression 1, none 0: as Istio, the specification leaves expressions open. */
  readonly pathKind: number;
  readonly pathLength: number;
  readonly method: number;
  readonly headers: number;
  readonly queryParams: number;
}

export interface RankedMatch {
  readonly match: RouteMatch;
  readonly rank: MatchRank;
}

/** Told what is wrong with a field; the match is then left out. */
export type Complain = (field: string, message: string) => void;

const PATH_KIND: Record<TextMatch['kind'], number> = {
  exact: 3,
  prefix: 2,
  'path-prefix': 2,
  regex: 1,
  present: 0,
};

/** HTTPMethod of the specification. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];

export function compileHttpMatch(spec: HttpMatch, complain: Complain): RankedMatch | undefined {
  const path = compilePath(spec, complain);
  const headers = compileValues(spec.headers, 'headers', complain, true);
  const queryParams = compileValues(spec.queryParams, 'queryParams', complain, false);
  const { method } = spec;
  if (method !== undefined && !METHODS.includes(method)) {
    complain('method', `${method} is none of ${METHODS.join(', ')}`);
    return undefined;
  }
  if (path === undefined || headers === undefined || queryParams === undefined) return undefined;
  const match: RouteMatch = {
    path,
    ...(method !== undefined && { method: { kind: 'exact', value: method } }),
    headers,
    withoutHeaders: [],
    queryParams,
  };
  return { match, rank: rankOf(match) };
}

export function compileGrpcMatch(spec: GrpcMatch, complain: Complain): RankedMatch | undefined {
  const headers = compileValues(spec.headers, 'headers', complain, true);
  const path = spec.method === undefined ? undefined : compileGrpcPath(spec.method, complain);
  if (headers === undefined || (spec.method !== undefined && path === undefined)) return undefined;
  const match: RouteMatch = {
    ...(path !== undefined && { path }),
    headers,
    withoutHeaders: [],
    queryParams: [],
  };
  return { match, rank: rankOf(match) };
}

function compilePath(spec: HttpMatch, complain: Complain): TextMatch | undefined {
  const { type = 'PathPrefix', value = '/' } = spec.path ?? {};
  switch (type) {
    case 'PathPrefix':
      return { kind: 'path-prefix', value: value.length > 1 ? value.replace(/\/$/, '') : value };
    case 'Exact':
      return { kind: 'exact', value };
    case 'RegularExpression':
      return compileExpression(value, 'path.value', complain);
    default:
      complain('path.type', `${type} is none of Exact, PathPrefix, RegularExpression`);
      return undefined;
  }
}

function compileExpression(
  value: string,
  field: string,
  complain: Complain,
): TextMatch | undefined {
  const problem = value === '*' ? undefined : regexProblem(value);
  if (problem === undefined) return { kind: 'regex', value };
  complain(field, `not an RE2 expression: ${problem}`);
  return undefined;
}

/** Of entries with one name only the first counts (HTTPHeaderMatch.name). Undefined when one is not understood. */
function compileValues(
  specs: HttpMatch['headers'],
  list: 'headers' | 'queryParams',
  complain: Complain,
  ignoreCase: boolean,
): RouteMatch['headers'] | undefined {
  const seen = new Map<string, TextMatch>();
  let isValid = true;
  for (const [index, { type = 'Exact', name, value }] of (specs ?? []).entries()) {
    const key = ignoreCase ? name.toLowerCase() : name;
    if (seen.has(key)) continue;
    const field = `${list}[${index}]`;
    let match: TextMatch | undefined;
    if (type === 'Exact') match = { kind: 'exact', value };
    else if (type === 'RegularExpression')
      match = compileExpression(value, `${field}.value`, complain);
    else complain(`${field}.type`, `${type} is none of Exact, RegularExpression`);
    if (match === undefined) isValid = false;
    else seen.set(key, match);
  }
  return isValid ? [...seen].map(([name, match]) => ({ name, match })) : undefined;
}

/** A call's path is `/service/method` (gRPC over HTTP/2, "Path"). */
function compileGrpcPath(
  spec: NonNullable<GrpcMatch['method']>,
  complain: Complain,
): TextMatch | undefined {
  const { type = 'Exact', service, method } = spec;
  if (!service && !method) {
    complain('method', 'service or method is required');
    return undefined;
  }
  if (type === 'Exact') {
    if (!method) return { kind: 'prefix', value: `/${service}/` };
    if (service) return { kind: 'exact', value: `/${service}/${method}` };
    return { kind: 'regex', value: `/[^/]+/${method}` };
  }
  if (type !== 'RegularExpression') {
    complain('method.type', `${type} is none of Exact, RegularExpression`);
    return undefined;
  }
  const group = (expression: string | undefined, any: string) =>
    expression ? `(?:${expression})` : any;
  return compileExpression(
    `/${group(service, '[^/]+')}/${group(method, '.+')}`,
    'method',
    complain,
  );
}

function rankOf({ path, method, headers, queryParams }: RouteMatch): MatchRank {
  return {
    pathKind: path === undefined ? 0 : PATH_KIND[path.kind],
    pathLength: path === undefined || path.kind === 'present' ? 0 : path.value.length,
    method: method === undefined ? 0 : 1,
    headers: headers.length,
    queryParams: queryParams.length,
  };
}

/** Negative when `left` comes first; 0 when only age, name and position can tell (HTTPRouteRule.matches). */
export function compareRanks(left: MatchRank, right: MatchRank): number {
  return (
    right.pathKind - left.pathKind ||
    right.pathLength - left.pathLength ||
    right.method - left.method ||
    right.headers - left.headers ||
    right.queryParams - left.queryParams
  );
}
