/** What a route does to a request: path rewrite, redirect target, header operations. Pure. */
import type { RouteEntry } from './compile.ts';
import type { HeaderOperations } from './route-table.ts';

/** The path (with query) after the route's rewrite; the same string when there is none. */
export function rewritePath(entry: RouteEntry, path: string): string {
  const { rewrite } = entry.route.route;
  if (rewrite === undefined) return path;
  const queryStart = path.indexOf('?');
  const bare = queryStart === -1 ? path : path.slice(0, queryStart);
  const query = queryStart === -1 ? '' : path.slice(queryStart);
  const { rewriteRegex } = entry.route;
  if (rewriteRegex !== undefined) {
    return replaceMatches(rewriteRegex, bare) + query;
  }
  if (rewrite.path === undefined) return path;
  // Only a matched prefix is replaced; exact and regex matches give up the whole path.
  if (entry.pathMatch?.kind === 'prefix') {
    return rewrite.path + bare.slice(entry.pathMatch.value.length) + query;
  }
  if (entry.pathMatch === undefined || entry.pathMatch.kind === 'present') {
    // Without a path condition Istio matches prefix "/", which the rewrite then replaces.
    return rewrite.path + bare.slice(1) + query;
  }
  return rewrite.path + query;
}

/** `Location` of a redirect: default ports are elided, the query is kept (Istio's HTTPRedirect). */
export function redirectLocation(
  action: { path?: string; authority?: string; scheme?: string; port?: number },
  request: { scheme: string; authority: string; path: string },
): string {
  const scheme = action.scheme ?? request.scheme;
  const authority = action.authority ?? request.authority;
  const [host, requestPort] = splitAuthority(authority);
  const port = action.port ?? (action.authority === undefined ? requestPort : undefined);
  const isDefault = (scheme === 'http' && port === 80) || (scheme === 'https' && port === 443);
  const queryStart = request.path.indexOf('?');
  const query = queryStart === -1 ? '' : request.path.slice(queryStart);
  const path = action.path === undefined ? request.path : action.path + query;
  const portText = port === undefined || isDefault ? '' : `:${port}`;
  return `${scheme}://${host}${portText}${path}`;
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
  { regex, replacement }: NonNullable<RouteEntry['route']['rewriteRegex']>,
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
