/** Localities as `localityLbSetting` writes them: `region/zone/subzone`, a `*` last (Istio: validateLocalities). */

/** What is wrong with a list of localities that may not overlap. As Istio, a wildcard after what it covers is let pass. */
export function localitiesProblem(localities: readonly string[]): string | undefined {
  const seen: string[][] = [];
  for (const locality of localities) {
    const stars = locality.split('*').length - 1;
    if (stars > 1 || (stars === 1 && !locality.endsWith('*')))
      return `locality ${locality}: at most one *, and that at the end`;
    const [region, zone, ...rest] = locality.split('/');
    const subzone = rest.length === 0 ? undefined : rest.join('/');
    const parts = [region, zone, subzone].filter((part) => part !== undefined);
    if (parts.includes('')) return `locality ${locality} has an empty region, zone or subzone`;
    const isWildcard = parts[parts.length - 1] === '*';
    const named = isWildcard ? parts.slice(0, -1) : parts;
    if (seen.some((other) => startsWith(named, other) || (!isWildcard && startsWith(other, named))))
      return `locality ${locality} overlaps with one before it`;
    seen.push(named);
  }
  return undefined;
}

function startsWith(parts: readonly string[], start: readonly string[]): boolean {
  return start.every((part, at) => part === parts[at]);
}
