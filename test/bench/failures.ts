/** Requests that failed, by the kinds that the load's own program tells apart. */
export type Failures = Readonly<Record<string, number>>;

export const NO_FAILURES: Failures = {};

export function addFailures(one: Failures, two: Failures): Failures {
  const kinds = [...Object.keys(one), ...Object.keys(two)];
  return Object.fromEntries(kinds.map((kind) => [kind, (one[kind] ?? 0) + (two[kind] ?? 0)]));
}

export function failedIn(failures: Failures): number {
  return Object.values(failures).reduce((sum, count) => sum + count, 0);
}

/** All kinds: which one there was none of says as much. */
export function formatFailures(failures: Failures): string {
  return Object.entries(failures)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');
}
