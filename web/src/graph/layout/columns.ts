/**
 * Heights within one namespace: the units of each column in an order with few crossings, each as near to what it talks to as the
 * others let it. Long calls take a place of their own in the columns that they pass.
 */

export interface Unit {
  readonly rank: number;
  readonly height: number;
}

export interface Link {
  readonly from: number;
  readonly to: number;
  readonly weight: number;
}

const SWEEPS = 12;
/** After them the order stays, and only heights are improved. */
const ORDERING_SWEEPS = 8;

/** Middles of the units, the highest 0. Deterministic: equal wishes keep the order of the units. */
export function heightsOf(
  units: readonly Unit[],
  links: readonly Link[],
  gap: number,
): Float64Array {
  const middles = new Float64Array(units.length);
  const columns = columnsOf(units);
  for (const column of columns) stack(column, units, gap, middles);
  const around = neighbours(units.length, links);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForward = sweep % 2 === 0;
    for (const column of isForward ? columns : columns.toReversed()) {
      const wishing = { units, around, middles, isForward: sweep < 2 ? isForward : undefined };
      const wishes = column.map((at) => wish(at, wishing));
      if (sweep < ORDERING_SWEEPS) sortTogether(column, wishes);
      settle(column, wishes, units, gap, middles);
    }
  }
  const top = units.reduce(
    (least, unit, at) => Math.min(least, middles[at] - unit.height / 2),
    Number.POSITIVE_INFINITY,
  );
  return middles.map((middle) => middle - top);
}

function columnsOf(units: readonly Unit[]): number[][] {
  const columns: number[][] = [];
  units.forEach((unit, at) => {
    columns[unit.rank] ??= [];
    columns[unit.rank].push(at);
  });
  return columns.filter((column) => column !== undefined);
}

function stack(
  column: readonly number[],
  units: readonly Unit[],
  gap: number,
  middles: Float64Array,
): void {
  const total = column.reduce((sum, at) => sum + units[at].height + gap, -gap);
  let y = -total / 2;
  for (const at of column) {
    middles[at] = y + units[at].height / 2;
    y += units[at].height + gap;
  }
}

/** What each unit talks to: those of one lie between its start and that of the next. */
interface Around {
  readonly starts: Int32Array;
  readonly others: Int32Array;
  readonly weights: Float64Array;
}

function neighbours(count: number, links: readonly Link[]): Around {
  const starts = new Int32Array(count + 1);
  for (const { from, to } of links) {
    starts[from + 1] += 1;
    starts[to + 1] += 1;
  }
  for (let at = 0; at < count; at += 1) starts[at + 1] += starts[at];
  const next = starts.slice();
  const others = new Int32Array(2 * links.length);
  const weights = new Float64Array(2 * links.length);
  const add = (own: number, other: number, weight: number) => {
    others[next[own]] = other;
    weights[next[own]] = weight;
    next[own] += 1;
  };
  for (const { from, to, weight } of links) {
    add(from, to, weight);
    add(to, from, weight);
  }
  return { starts, others, weights };
}

interface Wishing {
  readonly units: readonly Unit[];
  readonly around: Around;
  readonly middles: Float64Array;
  /** Only what is before, or only what is behind; undefined: both. */
  readonly isForward: boolean | undefined;
}

function wish(at: number, { units, around, middles, isForward }: Wishing): number {
  const { starts, others, weights } = around;
  const { rank } = units[at];
  let sum = 0;
  let total = 0;
  for (let place = starts[at]; place < starts[at + 1]; place += 1) {
    const other = others[place];
    if (isForward !== undefined && units[other].rank < rank !== isForward) continue;
    sum += middles[other] * weights[place];
    total += weights[place];
  }
  return total === 0 ? middles[at] : sum / total;
}

function sortTogether(column: number[], wishes: number[]): void {
  const order = column
    .map((at, index) => ({ at, wish: wishes[index], index }))
    .sort((a, b) => a.wish - b.wish || a.index - b.index);
  order.forEach((each, index) => {
    column[index] = each.at;
    wishes[index] = each.wish;
  });
}

/** Puts a column in its order as near to the wishes as distances allow (least squares, by joining what collides). */
function settle(
  column: readonly number[],
  wishes: readonly number[],
  units: readonly Unit[],
  gap: number,
  middles: Float64Array,
): void {
  const groups: { sum: number; count: number; first: number }[] = [];
  let offset = 0;
  const offsets = column.map((at, index) => {
    if (index > 0) offset += (units[column[index - 1]].height + units[at].height) / 2 + gap;
    return offset;
  });
  for (let index = 0; index < column.length; index += 1) {
    groups.push({ sum: wishes[index] - offsets[index], count: 1, first: index });
    while (groups.length > 1) {
      const last = groups[groups.length - 1];
      const before = groups[groups.length - 2];
      if (before.sum / before.count <= last.sum / last.count) break;
      groups.pop();
      before.sum += last.sum;
      before.count += last.count;
    }
  }
  groups.forEach((group, number) => {
    const end = groups[number + 1]?.first ?? column.length;
    for (let index = group.first; index < end; index += 1)
      middles[column[index]] = group.sum / group.count + offsets[index];
  });
}
