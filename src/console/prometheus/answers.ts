/** What Prometheus answers, read: its HTTP API's JSON to rows of labels and values. Pure; what is not as it should be is a reason, not a guess. */

export interface Row {
  readonly labels: Readonly<Record<string, string>>;
  /** One of a query; of a range those that there are. */
  readonly values: readonly (readonly [second: number, value: number])[];
}

/** A string is why it is no answer. */
export function readAnswer(text: string): Row[] | string {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return 'its answer is no JSON';
  }
  if (!isRecord(answer)) return 'its answer is no object';
  if (answer.status !== 'success')
    return typeof answer.error === 'string' ? answer.error : 'it says no success';
  const { data } = answer;
  if (!isRecord(data) || !Array.isArray(data.result)) return 'its answer has no result';
  if (data.resultType !== 'vector' && data.resultType !== 'matrix')
    return `its result is a ${String(data.resultType)}`;
  const rows: Row[] = [];
  for (const each of data.result as unknown[]) {
    const row = readRow(each);
    if (row === undefined) return 'its result has rows that are none';
    rows.push(row);
  }
  return rows;
}

function readRow(each: unknown): Row | undefined {
  if (!isRecord(each) || !isRecord(each.metric)) return undefined;
  const labels = each.metric as Record<string, string>;
  if (!Object.values(labels).every((value) => typeof value === 'string')) return undefined;
  const points = each.values === undefined ? [each.value] : each.values;
  if (!Array.isArray(points)) return undefined;
  const values: [number, number][] = [];
  for (const point of points as unknown[]) {
    if (!Array.isArray(point) || typeof point[0] !== 'number') return undefined;
    const value = Number(point[1]);
    // `NaN` and `+Inf` are values of Prometheus', and no counts.
    if (Number.isFinite(value)) values.push([point[0], value]);
  }
  return { labels, values };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
