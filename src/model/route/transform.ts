/** What a route does to a request: path rewrite, redirect target, header operations. Pure. */
import type { RE2JS } from 're2js';
import type { CompiledDestination, RouteEntry } from './compile.ts';
import type { HeaderOperations, Redirect, Rewrite, TextMatch } from './route-table.ts';
import { compileRegex } from './text-matcher.ts';

export interface CompiledRewrite {
  readonly rewrite: Rewrite;
  readonly regex:
    | { readonly regex: RE2JS; readonly replacement: readonly (string | number)[] }
    | undefined;
}

export function compileRewrite(
  rewrite: Rewrite | undefined,
  onProblem: (problem: string) => void,
): CompiledRewrite | undefined {
  if (rewrite === undefined) return undefined;
  const regex = rewrite.regex && compileRegex(rewrite.regex.match, onProblem);
  if (rewrite.regex === undefined || regex === undefined) return { rewrite, regex: undefined };
  // RE2's rewrite syntax: `\\1` is a group, `\\\\` a backslash, all else literal.
  const replacement = rewrite.regex.rewrite
    .split(/(\\[\d\\])/)
    .filter((piece) => piece !== '')
    .map((piece) => {
      if (piece.length !== 2 || piece[0] !== '\\') return piece;
      return piece[1] === '\\' ? '\\' : Number(piece[1]);
    });
  return { rewrite, regex: { regex, replacement } };
}

/**
 * The path (with query) after the rewrite; the same string when there is none. A destination's own path rewrite replaces
 * the route's: both say what becomes of the path that the client sent.
 */
export function rewritePath(
  entry: RouteEntry,
  path: string,
  destination?: CompiledDestination,
): string {
  const own = destination?.rewrite;
  const compiled = own !== undefined && changesPath(own.rewrite) ? own : entry.route.rewrite;
  if (compiled === undefined) return path;
  const { rewrite, regex } = compiled;
  const queryStart = path.indexOf('?');
  const bare = queryStart === -1 ? path : path.slice(0, queryStart);
  const query = queryStart === -1 ? '' : path.slice(queryStart);
  if (regex !== undefined) return replaceMatches(regex, bare) + query;
  if (rewrite.fullPath !== undefined) return rewrite.fullPath + query;
  if (rewrite.prefix !== undefined) {
    return joinPrefix(rewrite.prefix, entry.pathMatch, bare) + query;
  }
  if (rewrite.path === undefined) return path;
  // Only a matched prefix is replaced; exact and regex matches give up the whole path.
  const { pathMatch } = entry;
  if (pathMatch?.kind === 'prefix' || pathMatch?.kind === 'path-prefix') {
    return rewrite.path + bare.slice(pathMatch.value.length) + query;
  }
  if (pathMatch === undefined || pathMatch.kind === 'present') {
    // Without a path condition Istio matches prefix "/", which the rewrite then replaces.
    return rewrite.path + bare.slice(1) + query;
  }
  return rewrite.path + query;
}

function changesPath({ path, fullPath, prefix, regex }: Rewrite): boolean {
  return (path ?? fullPath ?? prefix ?? regex) !== undefined;
}

/** Gateway API's ReplacePrefixMatch: whole segments, and exactly one slash where the two meet. */
function joinPrefix(replacement: string, pathMatch: TextMatch | undefined, path: string): string {
  let matched = 0;
  if (pathMatch !== undefined && pathMatch.kind !== 'present') {
    matched = pathMatch.kind === 'regex' ? path.length : pathMatch.value.replace(/\/+$/, '').length;
  }
  const rest = path.slice(matched);
  const joined = replacement.replace(/\/+$/, '') + rest;
  return joined.startsWith('/') ? joined : `/${joined}`;
}

/**
 * `Location` of a redirect. The query is kept unless the new path brings its own. A configured port that is the scheme's default is
 * elided (Istio's HTTPRedirect); without one the client's port stays, but for the old scheme's default when the scheme
 * changes (Envoy, Http::Utility::newUri).
 */
export function redirectLocation(
  redirect: Omit<Redirect, 'status'>,
  request: { readonly scheme: string; readonly authority: string; readonly path: string },
  pathMatch?: TextMatch,
): string {
  const scheme = redirect.scheme ?? request.scheme;
  const [host, ownPort] = splitAuthority(redirect.authority ?? request.authority);
  const isDefault =
    redirect.port === undefined
      ? scheme !== request.scheme && ownPort === defaultPort(request.scheme)
      : redirect.port === defaultPort(scheme);
  const port = redirect.port ?? ownPort;
  const portText = port === undefined || isDefault ? '' : `:${port}`;
  return `${scheme}://${host}${portText}${redirectPath(redirect, request.path, pathMatch)}`;
}

function redirectPath(
  redirect: Omit<Redirect, 'status'>,
  path: string,
  pathMatch: TextMatch | undefined,
): string {
  const queryStart = path.indexOf('?');
  const bare = queryStart === -1 ? path : path.slice(0, queryStart);
  const query = queryStart === -1 ? '' : path.slice(queryStart);
  if (redirect.path !== undefined) {
    return redirect.path.includes('?') ? redirect.path : redirect.path + query;
  }
  return redirect.prefix === undefined
    ? path
    : joinPrefix(redirect.prefix, pathMatch, bare) + query;
}

function defaultPort(scheme: string): number | undefined {
  if (scheme === 'http') return 80;
  return scheme === 'https' ? 443 : undefined;
}

/** A head that can be changed; HTTP heads satisfy it. `name` is lower case. */
export interface HeaderTarget {
  set(name: string, value: string): void;
  add(name: string, value: string): void;
  remove(name: string): void;
}

/** Order is set, add, remove, as Istio documents for each level. */
export function applyHeaderOperations(target: HeaderTarget, operations: HeaderOperations): void {
  for (const name in operations.set) target.set(name.toLowerCase(), operations.set[name]);
  for (const name in operations.add) target.add(name.toLowerCase(), operations.add[name]);
  for (const name of operations.remove) target.remove(name.toLowerCase());
}

/** Every match is replaced, as RE2's GlobalReplace does. */
function replaceMatches(
  { regex, replacement }: NonNullable<CompiledRewrite['regex']>,
  text: string,
): string {
  const matcher = regex.matcher(text);
  let result = '';
  let copied = 0;
  while (matcher.find()) {
    result += text.slice(copied, matcher.start());
    for (const piece of replacement) {
      if (typeof piece === 'string') result += piece;
      else if (piece <= matcher.groupCount()) result += matcher.group(piece) ?? '';
    }
    copied = matcher.end();
  }
  return result + text.slice(copied);
}

function splitAuthority(authority: string): [string, number | undefined] {
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(authority);
  return match === null ? [authority, undefined] : [match[1], Number(match[2])];
}
