/** Slow start: a new endpoint's share of its weight grows with its age (Envoy's slow_start_config). Pure. */
import type { WarmupPolicy } from '#model/route/route-table.ts';

/** Above 0, at most 1. */
export function warmupShare(policy: WarmupPolicy, ageMs: number): number {
  if (ageMs >= policy.durationMs) return 1;
  // As Envoy, the first second counts as a whole one: a share of nothing would never be picked.
  const elapsed = Math.max(1000, ageMs) / policy.durationMs;
  const grown = Math.min(1, elapsed) ** (1 / policy.aggression);
  return Math.max(policy.minimumPercent / 100, grown);
}

/** When the last of the candidates is warm, on the monotonic clock; undefined when there are none. */
export function warmUntil(
  policy: WarmupPolicy,
  candidates: readonly { readonly since: number }[],
): number | undefined {
  let latest: number | undefined;
  for (const { since } of candidates) if (latest === undefined || since > latest) latest = since;
  return latest === undefined ? undefined : latest + policy.durationMs;
}
