/**
 * Compiles a `RouteTable` to the form the request path reads: matchers with their regexes, the reason of each match, cumulative
 * weights. Done once per snapshot, off the path. Problems (an unreadable regex) are collected: the entry they sit in
 * then matches nothing, and the caller reports them.
 */
import type { RE2JS } from 're2js';
import type { AppProtocol } from '../service/service.ts';
import type { Route, RouteDestination, RouteMatch, RouteTable, TextMatch } from './route-table.ts';
import { compileRegex, describeMatch, TextMatcher } from './text-matcher.ts';

export interface NamedMatcher {
  readonly name: string;
  readonly matcher: TextMatcher;
}

/** One match entry of one route. Also the answer of `matchRoute`: nothing is allocated to decide. */
export interface RouteEntry {
  readonly route: CompiledRoute;
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
}

export interface CompiledDestination {
  readonly destination: RouteDestination;
  /** Sum of the weights up to and including this one. */
  readonly weightEnd: number;
}

export interface CompiledRoute {
  readonly route: Route;
  readonly destinations: readonly CompiledDestination[];
  readonly weightTotal: number;
  readonly rewriteRegex:
    | { readonly regex: RE2JS; readonly replacement: readonly (string | number)[] }
    | undefined;
}

export interface CompiledPort {
  readonly port: number;
  readonly protocol: AppProtocol;
  /** In order; the first entry that matches wins. */
  readonly entries: readonly RouteEntry[];
}

export interface CompiledTable {
  readonly table: RouteTable;
  readonly ports: ReadonlyMap<number, CompiledPort>;
  readonly problems: readonly string[];
}

export function compileRouteTable(table: RouteTable): CompiledTable {
  const problems: string[] = [];
  const ports = new Map<number, CompiledPort>();
  for (const { port, protocol, routes } of table.ports) {
    const entries = routes.flatMap((route) => {
      const { kind, namespace, name } = route.provenance;
      return compileRoute(route, (problem) =>
        problems.push(`${kind} ${namespace}/${name}, route ${route.name}: ${problem}`),
      );
    });
    ports.set(port, { port, protocol, entries });
  }
  return { table, ports, problems };
}

function compileRoute(route: Route, onProblem: (problem: string) => void): RouteEntry[] {
  const all = route.action.kind === 'forward' ? route.action.destinations : [];
  // A single destination takes everything whatever its weight; of several, zero weights drop out.
  const used = all.length === 1 ? all : all.filter((destination) => destination.weight > 0);
  let weightTotal = 0;
  const destinations = used.map((destination) => {
    weightTotal += Math.max(destination.weight, all.length === 1 ? 1 : 0);
    return { destination, weightEnd: weightTotal };
  });
  const rewriteRegex = compileRewrite(route, onProblem);
  const compiled: CompiledRoute = { route, destinations, weightTotal, rewriteRegex };
  if (route.matches.length === 0) return [compileEntry(compiled, ANY, onProblem)];
  return route.matches.map((match) => compileEntry(compiled, match, onProblem));
}

const ANY: RouteMatch = { headers: [], withoutHeaders: [], queryParams: [] };

function compileEntry(
  route: CompiledRoute,
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
    reason: describeEntry(match),
    pathMatch: match.path,
    path: text(match.path, match.ignorePathCase),
    method: text(match.method),
    scheme: text(match.scheme),
    authority: text(match.authority),
    headers: named(match.headers),
    withoutHeaders: named(match.withoutHeaders),
    queryParams: named(match.queryParams),
  };
}

function compileRewrite(
  route: Route,
  onProblem: (problem: string) => void,
): CompiledRoute['rewriteRegex'] {
  const regexRewrite = route.rewrite?.regex;
  if (regexRewrite === undefined) return undefined;
  const regex = compileRegex(regexRewrite.match, onProblem);
  if (regex === undefined) return undefined;
  // RE2's rewrite syntax: `\\1` is a group, `\\\\` a backslash, all else literal.
  const replacement = regexRewrite.rewrite
    .split(/(\\[\d\\])/)
    .filter((piece) => piece !== '')
    .map((piece) => {
      if (piece.length !== 2 || piece[0] !== '\\') return piece;
      return piece[1] === '\\' ? '\\' : Number(piece[1]);
    });
  return { regex, replacement };
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
  return parts.length === 0 ? 'it matches every request' : parts.join(' and ');
}
