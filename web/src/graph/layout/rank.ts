/**
 * Which column each unit stands in: left to right by flow. Calls that close a circle are turned round for this, the longest
 * way decides, and what nobody calls stands right before what it calls.
 */

export interface Flow {
  readonly count: number;
  /** Pairs of indices. */
  readonly edges: readonly (readonly [number, number])[];
}

export function ranksOf({ count, edges }: Flow): Int32Array {
  const forward = withoutCircles(count, edges);
  const ranks = longestWays(count, forward);
  tighten(ranks, count, forward);
  return ranks;
}

/** Depth first; an edge back to what is still being visited is turned. Units with fewer callers are visited first. */
function withoutCircles(count: number, edges: Flow['edges']): [number, number][] {
  const targets: number[][] = Array.from({ length: count }, () => []);
  const callers = new Int32Array(count);
  for (const [from, to] of edges) {
    if (from === to) continue;
    targets[from].push(to);
    callers[to] += 1;
  }
  const order = Array.from({ length: count }, (_, at) => at).sort(
    (a, b) => callers[a] - callers[b] || a - b,
  );
  // 0 not seen, 1 on the way, 2 done.
  const state = new Uint8Array(count);
  const next = new Int32Array(count);
  const result: [number, number][] = [];
  for (const start of order) {
    if (state[start] !== 0) continue;
    const way = [start];
    state[start] = 1;
    while (way.length > 0) {
      const at = way[way.length - 1];
      if (next[at] === targets[at].length) {
        state[at] = 2;
        way.pop();
        continue;
      }
      const to = targets[at][next[at]];
      next[at] += 1;
      if (state[to] === 1) result.push([to, at]);
      else result.push([at, to]);
      if (state[to] !== 0) continue;
      state[to] = 1;
      way.push(to);
    }
  }
  return result;
}

function longestWays(count: number, edges: readonly (readonly [number, number])[]): Int32Array {
  const ranks = new Int32Array(count);
  const waiting = new Int32Array(count);
  const targets: number[][] = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    waiting[to] += 1;
    targets[from].push(to);
  }
  const ready: number[] = [];
  for (let at = 0; at < count; at += 1) if (waiting[at] === 0) ready.push(at);
  for (let at = ready.pop(); at !== undefined; at = ready.pop()) {
    for (const to of targets[at]) {
      ranks[to] = Math.max(ranks[to], ranks[at] + 1);
      waiting[to] -= 1;
      if (waiting[to] === 0) ready.push(to);
    }
  }
  return ranks;
}

function tighten(
  ranks: Int32Array,
  count: number,
  edges: readonly (readonly [number, number])[],
): void {
  const callers = new Int32Array(count);
  const nearest = new Int32Array(count).fill(-1);
  for (const [from, to] of edges) {
    callers[to] += 1;
    if (nearest[from] < 0 || ranks[to] < nearest[from]) nearest[from] = ranks[to];
  }
  for (let at = 0; at < count; at += 1)
    if (callers[at] === 0 && nearest[at] > 0) ranks[at] = nearest[at] - 1;
}
