/** Whether one match entry takes a request: every condition of it holds. Pure. */
import type { ClaimMatcher, NamedMatcher, RouteEntry } from './compile.ts';
import { fieldOf, queryValue, type RequestView } from './request-view.ts';

/** `path` is the request's without its query, which begins behind `queryStart` (-1: none). */
export function matchesEntry(
  entry: RouteEntry,
  request: RequestView,
  path: string,
  queryStart: number,
): boolean {
  if (entry.path !== undefined && !entry.path.test(path)) return false;
  if (entry.method !== undefined && !entry.method.test(request.method)) return false;
  if (entry.scheme !== undefined && !entry.scheme.test(request.scheme)) return false;
  if (entry.authority !== undefined && !entry.authority.test(request.authority)) return false;
  for (const condition of entry.headers) if (!hasHeader(condition, request)) return false;
  for (const condition of entry.withoutHeaders) if (!lacksHeader(condition, request)) return false;
  for (const { name, matcher } of entry.queryParams) {
    const value = queryStart === -1 ? undefined : queryValue(request.path, queryStart + 1, name);
    if (value === undefined || !matcher.test(value)) return false;
  }
  for (const condition of entry.claims)
    if (hasClaim(condition, request) === condition.negated) return false;
  return true;
}

/** Any of a list counts (Istio: MetadataMatcherForJWTClaims). */
function hasClaim({ path, matcher }: ClaimMatcher, request: RequestView): boolean {
  const value = request.claim?.(path);
  if (value === undefined) return false;
  return typeof value === 'string' ? matcher.test(value) : value.some((each) => matcher.test(each));
}

function hasHeader({ name, matcher }: NamedMatcher, request: RequestView): boolean {
  const value = fieldOf(name, request);
  return value !== undefined && matcher.test(value);
}

/** A missing header counts as empty, except for the presence test (Envoy's treat_missing_header_as_empty). */
function lacksHeader({ name, matcher }: NamedMatcher, request: RequestView): boolean {
  const value = fieldOf(name, request);
  return matcher.isPresence ? value === undefined : !matcher.test(value ?? '');
}
