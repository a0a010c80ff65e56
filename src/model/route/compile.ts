/**
 * Compiles routes to the form the request path reads: matchers with their regexes, an index over them, the reason of each match,
 * cumulative weights. Done once per snapshot, off the path. Problems (an unreadable regex) are collected: the entry they sit
 * in then matches nothing, and the caller reports them.
 */
import type { AppProtocol } from '../service/service.ts';
import { compileDestinations, problemsOf, type WeightedDestinations } from './destinations.ts';
import { type CompiledL4Routes, compileL4Routes } from './l4-routes.ts';
import { RouteIndex } from './route-index.ts';
import type { Route, RouteMatch, RouteTable, TextMatch } from './route-table.ts';
import { describeMatch, TextMatcher } from './text-matcher.ts';
import { type CompiledRewrite, compileRewrite } from './transform.ts';

export type { CompiledDestination, WeightedDestinations } from './destinations.ts';

export interface NamedMatcher {
  readonly name: string;
  readonly matcher: TextMatcher;
}

export interface ClaimMatcher {
  readonly path: readonly string[];
  readonly matcher: TextMatcher;
  readonly negated: boolean;
}

/** One match entry of one route. Also the answer of `matchRoutes`: nothing is allocated to decide. */
export interface RouteEntry {
  readonly route: CompiledRoute;
  /** Place among all entries of its table: the lowest that matches wins. */
  readonly order: number;
  /** Why this entry was taken, as a sentence part. */
  readonly reason: string;
  /** The path condition as configured, for rewrites that replace the matched prefix. */
  readonly pathMatch: TextMatch | undefined;
  readonly path: TextMatcher | undefined;
  readonly method: TextMatcher | undefined;
  readonly scheme: TextMatcher | undefined;
  readonly authority: TextMatcher | undefined;
  readonly headers: readonly NamedMatcher[];
  readonly withoutHeaders: readonly NamedMatcher[];
  readonly queryParams: readonly NamedMatcher[];
  readonly claims: readonly ClaimMatcher[];
}

export interface CompiledRoute extends WeightedDestinations {
  readonly route: Route;
  readonly rewrite: CompiledRewrite | undefined;
}

export interface CompiledRoutes {
  /** In order; the first entry that matches wins. */
  readonly entries: readonly RouteEntry[];
  readonly index: RouteIndex;
}

export interface CompiledPort extends CompiledRoutes {
  readonly port: number;
  readonly protocol: AppProtocol;
  /** Undefined: bytes go to the service itself. */
  readonly l4: CompiledL4Routes | undefined;
}

export interface CompiledTable {
  readonly table: RouteTable;
  readonly ports: ReadonlyMap<number, CompiledPort>;
  readonly problems: readonly string[];
}

export function compileRouteTable(table: RouteTable): CompiledTable {
  const problems: string[] = [];
  const onProblem = (problem: string) => problems.push(problem);
  const ports = new Map<number, CompiledPort>();
  for (const { port, protocol, routes, l4Routes } of table.ports) {
    const l4 = l4Routes && compileL4Routes(l4Routes, onProblem);
    ports.set(port, { port, protocol, l4, ...compileRoutes(routes, onProblem) });
  }
  return { table, ports, problems };
}

/** The routes of one service port or of one virtual host. */
export function compileRoutes(
  routes: readonly Route[],
  onProblem: (problem: string) => void,
): CompiledRoutes {
  const entries: RouteEntry[] = [];
  const matches: RouteMatch[] = [];
  for (const route of routes) {
    const report = problemsOf(route, onProblem);
    const compiled = compileRoute(route, report);
    for (const match of route.matches.length === 0 ? [ANY] : route.matches) {
      entries.push(compileEntry(compiled, entries.length, match, report));
      matches.push(match);
    }
  }
  return { entries, index: new RouteIndex(entries, matches) };
}

function compileRoute(route: Route, onProblem: (problem: string) => void): CompiledRoute {
  const all = route.action.kind === 'forward' ? route.action.destinations : [];
  const rewrite = compileRewrite(route.rewrite, onProblem);
  return { route, ...compileDestinations(all, onProblem), rewrite };
}

const ANY: RouteMatch = { headers: [], withoutHeaders: [], queryParams: [] };

function compileEntry(
  route: CompiledRoute,
  order: number,
  match: RouteMatch,
  onProblem: (problem: string) => void,
): RouteEntry {
  const text = (condition: TextMatch | undefined, ignoreCase = false) =>
    condition && TextMatcher.compile(condition, onProblem, ignoreCase);
  const named = (conditions: RouteMatch['headers']): NamedMatcher[] =>
    conditions.map(({ name, match: condition }) => ({
      name,
      matcher: TextMatcher.compile(condition, onProblem),
    }));
  return {
    route,
    order,
    reason: describeEntry(match),
    pathMatch: match.path,
    path: text(match.path, match.ignorePathCase),
    method: text(match.method),
    scheme: text(match.scheme),
    authority: text(match.authority),
    headers: named(match.headers),
    withoutHeaders: named(match.withoutHeaders),
    queryParams: named(match.queryParams),
    claims: (match.claims ?? []).map(({ path, match: condition, negated }) => ({
      path,
      matcher: TextMatcher.compile(condition, onProblem),
      negated,
    })),
  };
}

function describeEntry(match: RouteMatch): string {
  const parts: string[] = [];
  if (match.method) parts.push(`method ${describeMatch(match.method)}`);
  if (match.scheme) parts.push(`scheme ${describeMatch(match.scheme)}`);
  if (match.authority) parts.push(`authority ${describeMatch(match.authority)}`);
  if (match.path) {
    parts.push(`path ${describeMatch(match.path)}${match.ignorePathCase ? ' (any case)' : ''}`);
  }
  for (const { name, match: condition } of match.headers) {
    parts.push(`header ${name} ${describeMatch(condition)}`);
  }
  for (const { name, match: condition } of match.withoutHeaders) {
    parts.push(`header ${name} not: ${describeMatch(condition)}`);
  }
  for (const { name, match: condition } of match.queryParams) {
    parts.push(`query ${name} ${describeMatch(condition)}`);
  }
  for (const { path, match: condition, negated } of match.claims ?? []) {
    parts.push(`claim ${path.join('.')}${negated ? ' not:' : ''} ${describeMatch(condition)}`);
  }
  return parts.length === 0 ? 'it matches every request' : parts.join(' and ');
}
