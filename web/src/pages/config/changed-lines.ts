/** Which lines of an object are others than those in force: what applying would change. Pure. */

export interface ChangedLine {
  readonly kind: 'removed' | 'added';
  /** From 1, in the text that it stands in. */
  readonly line: number;
  readonly text: string;
}

/** Comparisons of lines with each other; a text with more is told as replaced from the first line that differs to the last one. */
const COMPARED_MAX = 1_000_000;

export function changedLines(base: string, text: string): ChangedLine[] {
  const [before, after] = [base.split('\n'), text.split('\n')];
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let [beforeEnd, afterEnd] = [before.length, after.length];
  while (beforeEnd > start && afterEnd > start && before[beforeEnd - 1] === after[afterEnd - 1]) {
    beforeEnd--;
    afterEnd--;
  }
  const kept = longestKept(before.slice(start, beforeEnd), after.slice(start, afterEnd));
  const changed: ChangedLine[] = [];
  let [old, own] = [start, start];
  const upTo = (oldEnd: number, ownEnd: number) => {
    for (; old < oldEnd; old++) changed.push({ kind: 'removed', line: old + 1, text: before[old] });
    for (; own < ownEnd; own++) changed.push({ kind: 'added', line: own + 1, text: after[own] });
  };
  for (const [oldAt, ownAt] of kept) {
    upTo(start + oldAt, start + ownAt);
    old++;
    own++;
  }
  upTo(beforeEnd, afterEnd);
  return changed;
}

/** Places of the lines that stay, in both: a longest common subsequence. */
function longestKept(before: readonly string[], after: readonly string[]): [number, number][] {
  if (before.length * after.length > COMPARED_MAX) return [];
  const width = after.length + 1;
  // By place in both: how many can stay from there on.
  const lengths = new Uint32Array((before.length + 1) * width);
  for (let at = before.length - 1; at >= 0; at--)
    for (let other = after.length - 1; other >= 0; other--)
      lengths[at * width + other] =
        before[at] === after[other]
          ? lengths[(at + 1) * width + other + 1] + 1
          : Math.max(lengths[(at + 1) * width + other], lengths[at * width + other + 1]);
  const kept: [number, number][] = [];
  let [at, other] = [0, 0];
  while (at < before.length && other < after.length) {
    if (before[at] === after[other]) {
      kept.push([at, other]);
      at++;
      other++;
    } else if (lengths[(at + 1) * width + other] >= lengths[at * width + other + 1]) at++;
    else other++;
  }
  return kept;
}
