/** Variants of a value in which one member, however deep, has a type or a value that does not belong there. */
const WRONG = [null, 5, -1, '', 'x', true, [], [null], {}, { a: null }];

export function* malformed(value: unknown): Generator {
  yield* WRONG;
  for (const path of pathsOf(value))
    for (const wrong of WRONG) {
      const variant = structuredClone(value);
      replace(variant, path, wrong);
      yield variant;
    }
}

function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    [key],
    ...pathsOf(member).map((rest) => [key, ...rest]),
  ]);
}

function replace(target: unknown, [key = '', ...rest]: string[], value: unknown): void {
  const holder = target as Record<string, unknown>;
  if (rest.length === 0) holder[key] = value;
  else replace(holder[key], rest, value);
}
