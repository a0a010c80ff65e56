/**
 * How much each priority gets, and which are in panic (Envoy: LoadBalancerBase::recalculatePerPriorityState). A priority keeps
 * all its load while healthy share × 1.4 covers it; what it cannot take spills over to the next.
 */
import { OVERPROVISIONING_PERCENT } from '../limits.ts';

export interface PriorityHealth {
  readonly total: number;
  readonly healthy: number;
}

export interface PriorityLoads {
  /** Percent of the requests, whole numbers that sum to 100; all 0 when there is no endpoint at all. */
  readonly loads: readonly number[];
  /** Too few healthy endpoints: all of the priority are used. */
  readonly panic: readonly boolean[];
}

export function priorityLoads(
  priorities: readonly PriorityHealth[],
  panicPercent: number,
): PriorityLoads {
  const capacity = priorities.map(({ total, healthy }) =>
    total === 0 ? 0 : Math.min(100, Math.floor((OVERPROVISIONING_PERCENT * healthy) / total)),
  );
  const sum = Math.min(
    100,
    capacity.reduce((left, right) => left + right, 0),
  );
  const panic = priorities.map(
    ({ total, healthy }) => total > 0 && sum < 100 && (healthy / total) * 100 < panicPercent,
  );
  // Everywhere too few are healthy: the load goes by size, as if all were.
  const isTotalPanic = priorities.every(({ total }, at) => total === 0 || panic[at]);
  const shares = isTotalPanic ? bySize(priorities) : byCapacity(capacity, sum);
  return { loads: shares, panic };
}

function byCapacity(capacity: readonly number[], sum: number): number[] {
  if (sum === 0) return capacity.map(() => 0);
  let left = 100;
  const loads = capacity.map((each) => {
    const load = Math.min(left, Math.floor((each * 100) / sum));
    left -= load;
    return load;
  });
  return withRemainder(loads, left, (at) => capacity[at] > 0);
}

function bySize(priorities: readonly PriorityHealth[]): number[] {
  const total = priorities.reduce((sum, priority) => sum + priority.total, 0);
  if (total === 0) return priorities.map(() => 0);
  const loads = priorities.map((priority) => Math.floor((100 * priority.total) / total));
  const left = 100 - loads.reduce((sum, load) => sum + load, 0);
  return withRemainder(loads, left, (at) => priorities[at].total > 0);
}

/** What rounding left over goes to the first that can take it. */
function withRemainder(
  loads: readonly number[],
  left: number,
  canTake: (at: number) => boolean,
): number[] {
  const first = loads.findIndex((_, at) => canTake(at));
  return loads.map((load, at) => (at === first ? load + left : load));
}
