/** A row's worth of history: a path as wide as the cell, from 0, broken where nothing was reported. Pure. */

export interface Spark {
  readonly line: string;
  readonly area: string;
  readonly max: number;
  /** Where the line ends, when the last value is known. */
  readonly end?: { readonly x: number; readonly y: number };
}

export interface SparkInput {
  readonly values: readonly (number | null)[];
  readonly width: number;
  readonly height: number;
  /** Shared by rows that are compared with each other. */
  readonly max?: number;
}

export function sparkline({ values, width, height, max }: SparkInput): Spark {
  const most = max ?? values.reduce<number>((top, value) => Math.max(top, value ?? 0), 0);
  const stepWidth = values.length > 1 ? width / (values.length - 1) : 0;
  const place = (index: number) => ({
    x: Math.round(index * stepWidth * 10) / 10,
    // A pixel of air on both sides: the stroke is not cut.
    y: Math.round((height - 1 - ((values[index] ?? 0) / (most || 1)) * (height - 2)) * 10) / 10,
  });
  let line = '';
  let area = '';
  for (let start = 0; start < values.length; start++) {
    if (values[start] === null) continue;
    let end = start;
    while (end + 1 < values.length && values[end + 1] !== null) end++;
    const run = Array.from({ length: end - start + 1 }, (_, index) => place(start + index));
    const text = run.map(({ x, y }) => `${x},${y}`).join('L');
    line += `M${text}`;
    area += `M${run[0].x},${height}L${text}L${run.at(-1)!.x},${height}Z`;
    start = end;
  }
  const isEndKnown = values.length > 0 && values.at(-1) !== null;
  return { line, area, max: most, ...(isEndKnown && { end: place(values.length - 1) }) };
}
