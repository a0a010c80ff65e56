/**
 * Rules of a delegate under the rule that delegates to it: a delegate may narrow what its root lets through, never
 * widen it (Istio: pilot/pkg/model/virtualservice.go MergeHTTPRoutes).
 */
import type { HttpMatchSpec, HttpRouteSpec, StringMatchSpec } from './virtual-service-kinds.ts';

/** The rule that results, or why the delegate's rule is dropped. */
export type MergedRule = { readonly rule: HttpRouteSpec } | { readonly conflict: string };

/** Names in both are full. What the delegate's rule leaves out it takes from the root's. */
export function mergeRule(root: HttpRouteSpec, leaf: HttpRouteSpec): MergedRule {
  const merged = mergeMatches(root.match ?? [], leaf.match ?? []);
  if (typeof merged === 'string') return { conflict: merged };
  const { delegate: _, ...own } = root;
  return {
    rule: {
      ...own,
      ...withoutUndefined(leaf),
      match: merged,
      name: joined(root.name, leaf.name),
    },
  };
}

function mergeMatches(
  roots: readonly (HttpMatchSpec | null)[],
  leaves: readonly (HttpMatchSpec | null)[],
): (HttpMatchSpec | null)[] | string {
  if (roots.length === 0) return [...leaves];
  if (leaves.length === 0) return [...roots];
  const merged: HttpMatchSpec[] = [];
  for (const [at, leaf] of leaves.entries()) {
    const own = leaf ?? {};
    const conflicts = roots.map((root) => matchConflict(root ?? {}, own));
    const fitting = roots.filter((_, index) => conflicts[index] === undefined);
    if (fitting.length === 0)
      return `match ${at} is not within a match of the root: ${conflicts[0]}`;
    for (const root of fitting) merged.push(mergeMatch(root ?? {}, own));
  }
  return merged;
}

function mergeMatch(root: HttpMatchSpec, leaf: HttpMatchSpec): HttpMatchSpec {
  return {
    ...root,
    ...withoutUndefined(leaf),
    name: joined(root.name, leaf.name),
    headers: { ...root.headers, ...leaf.headers },
    withoutHeaders: { ...root.withoutHeaders, ...leaf.withoutHeaders },
    queryParams: { ...root.queryParams, ...leaf.queryParams },
    sourceLabels: { ...root.sourceLabels, ...leaf.sourceLabels },
    port: leaf.port || root.port,
    sourceNamespace: leaf.sourceNamespace || root.sourceNamespace,
    gateways: leaf.gateways?.length ? leaf.gateways : root.gateways,
    statPrefix: leaf.statPrefix || root.statPrefix,
  };
}

/** Which condition of the leaf lets more through than the root's; undefined when none does. */
function matchConflict(root: HttpMatchSpec, leaf: HttpMatchSpec): string | undefined {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const)
    if (isWider(root[field], leaf[field])) return field;
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const)
    for (const [name, match] of Object.entries(leaf[field] ?? {})) {
      const its = root[field]?.[name];
      // Istio judges what must be absent like what must be there, and so lets a delegate exclude less: both ways here.
      if (isWider(its, match) || (field === 'withoutHeaders' && isWider(match, its)))
        return `${field}[${name}]`;
    }
  if ((root.ignoreUriCase ?? false) !== (leaf.ignoreUriCase ?? false)) return 'ignoreUriCase';
  if (root.port && leaf.port && root.port !== leaf.port) return 'port';
  if (root.sourceNamespace && leaf.sourceNamespace !== root.sourceNamespace)
    return 'sourceNamespace';
  for (const [key, value] of Object.entries(leaf.sourceLabels ?? {}))
    if (root.sourceLabels?.[key] !== undefined && root.sourceLabels[key] !== value)
      return `sourceLabels[${key}]`;
  const wanted = leaf.gateways ?? [];
  if (root.gateways?.length && !wanted.every((name) => root.gateways?.includes(name)))
    return 'gateways';
  return undefined;
}

function isWider(
  root: StringMatchSpec | null | undefined,
  leaf: StringMatchSpec | null | undefined,
): boolean {
  if (!root || !leaf) return false;
  // Whether a regex is within another match nobody can tell, so it goes with none.
  if (root.regex || leaf.regex) return true;
  if (root.exact) return leaf.exact !== root.exact;
  if (root.prefix) return !(leaf.prefix || leaf.exact || '').startsWith(root.prefix);
  // As Istio: presence in the root goes with no condition of the leaf.
  return true;
}

function joined(root: string | undefined, leaf: string | undefined): string | undefined {
  return root && leaf ? `${root}-${leaf}` : leaf || root;
}

function withoutUndefined<T extends object>(spec: T): Partial<T> {
  const given = Object.entries(spec).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(given) as Partial<T>;
}
