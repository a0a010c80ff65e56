/** Versions as `1.2.3`, with or without `v` and a suffix. */

/** Below 0 when `left` is older; what cannot be read is the oldest. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [numbersOf(left), numbersOf(right)];
  for (let index = 0; index < 3; index++) {
    if (a[index] !== b[index]) return a[index] - b[index];
  }
  return 0;
}

function numbersOf(text: string): number[] {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return [match?.[1], match?.[2], match?.[3]].map((part) => Number(part ?? 0));
}
