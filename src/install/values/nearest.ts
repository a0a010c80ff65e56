/** The name that somebody may have meant. */

/** As far as a typing error goes: a third of the letters, at least two. */
function allowance(name: string): number {
  return Math.max(2, Math.floor(name.length / 3));
}

export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = allowance(name) + 1;
  for (const each of known) {
    const distance = editDistance(name.toLowerCase(), each.toLowerCase());
    if (distance >= bestDistance) continue;
    best = each;
    bestDistance = distance;
  }
  return best;
}

/** Levenshtein: letters to insert, delete or replace. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = row[j - 1] + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[right.length];
}
