/**
 * Which column each unit stands in: left to right by flow. Calls that close a circle are turned round for this, the longest
 * way decides, and what nobody calls stands right before what it calls. On arrays of numbers: it is the first thing that is done with a large graph, by code that
 * no engine has warmed up.
 */

export interface Flow {
  readonly count: number;
  /** Units by index: the call at a place goes from one to the other. */
  readonly from: Int32Array;
  readonly to: Int32Array;
}

export function ranksOf(flow: Flow): Int32Array {
  const forward = withoutCircles(flow);
  const ranks = longestWays(forward);
  tighten(ranks, forward);
  return ranks;
}

/** What each unit calls: the targets of one lie between its start and that of the next, in the order of the calls. */
function outgoing({ count, from, to }: Flow): { starts: Int32Array; targets: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (let at = 0; at < from.length; at += 1) starts[from[at] + 1] += 1;
  for (let unit = 0; unit < count; unit += 1) starts[unit + 1] += starts[unit];
  const next = starts.slice();
  const targets = new Int32Array(from.length);
  for (let at = 0; at < from.length; at += 1) {
    targets[next[from[at]]] = to[at];
    next[from[at]] += 1;
  }
  return { starts, targets };
}

/** Depth first; an edge back to what is still being visited is turned. Units with fewer callers are visited first. */
function withoutCircles(flow: Flow): Flow {
  const { count } = flow;
  const { starts, targets } = outgoing(flow);
  const callers = new Int32Array(count);
  for (let at = 0; at < flow.to.length; at += 1)
    if (flow.from[at] !== flow.to[at]) callers[flow.to[at]] += 1;
  const order = Array.from({ length: count }, (_, at) => at).sort(
    (a, b) => callers[a] - callers[b] || a - b,
  );
  // 0 not seen, 1 on the way, 2 done.
  const state = new Uint8Array(count);
  const next = starts.slice();
  const from = new Int32Array(targets.length);
  const to = new Int32Array(targets.length);
  let found = 0;
  const way: number[] = [];
  for (const start of order) {
    if (state[start] !== 0) continue;
    way.push(start);
    state[start] = 1;
    while (way.length > 0) {
      const at = way[way.length - 1];
      if (next[at] === starts[at + 1]) {
        state[at] = 2;
        way.pop();
        continue;
      }
      const target = targets[next[at]];
      next[at] += 1;
      if (target === at) continue;
      const isBack = state[target] === 1;
      from[found] = isBack ? target : at;
      to[found] = isBack ? at : target;
      found += 1;
      if (state[target] !== 0) continue;
      state[target] = 1;
      way.push(target);
    }
  }
  return { count, from: from.subarray(0, found), to: to.subarray(0, found) };
}

function longestWays(flow: Flow): Int32Array {
  const { starts, targets } = outgoing(flow);
  const ranks = new Int32Array(flow.count);
  const waiting = new Int32Array(flow.count);
  for (let at = 0; at < flow.to.length; at += 1) waiting[flow.to[at]] += 1;
  const ready: number[] = [];
  for (let at = 0; at < flow.count; at += 1) if (waiting[at] === 0) ready.push(at);
  for (let at = ready.pop(); at !== undefined; at = ready.pop()) {
    for (let place = starts[at]; place < starts[at + 1]; place += 1) {
      const target = targets[place];
      if (ranks[target] <= ranks[at]) ranks[target] = ranks[at] + 1;
      waiting[target] -= 1;
      if (waiting[target] === 0) ready.push(target);
    }
  }
  return ranks;
}

function tighten(ranks: Int32Array, { count, from, to }: Flow): void {
  const callers = new Int32Array(count);
  const nearest = new Int32Array(count).fill(-1);
  for (let at = 0; at < from.length; at += 1) {
    callers[to[at]] += 1;
    if (nearest[from[at]] < 0 || ranks[to[at]] < nearest[from[at]])
      nearest[from[at]] = ranks[to[at]];
  }
  for (let at = 0; at < count; at += 1)
    if (callers[at] === 0 && nearest[at] > 0) ranks[at] = nearest[at] - 1;
}
