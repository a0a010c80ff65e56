/** Hostnames of listeners and routes: exact, `*.suffix` (any number of labels, at least one) or `*` for all. */
import { hostSpecificity } from '../hosts.ts';

export const ANY_HOST = '*';

/** Whether every host of `inner` is one of `outer`. */
export function covers(outer: string, inner: string): boolean {
  return outer === ANY_HOST || hostSpecificity(outer, inner) !== undefined;
}

/** The narrower of two hostnames that have hosts in common; undefined when they have none. */
export function intersect(left: string, right: string): string | undefined {
  if (covers(left, right)) return right;
  return covers(right, left) ? left : undefined;
}

/**
 * The hosts of a route at a listener: those of the route within the listener's; the listener's when the route names
 * none. Empty: nothing in common.
 */
export function hostnamesAt(
  listener: string | undefined,
  route: readonly string[] | undefined,
): string[] {
  const own = (listener || ANY_HOST).toLowerCase();
  if (route === undefined || route.length === 0) return [own];
  const common = route.flatMap((each) => intersect(own, each.toLowerCase()) ?? []);
  return [...new Set(common)];
}
