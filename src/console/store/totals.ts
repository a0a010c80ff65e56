/** Sums of one block by the namespace that was called: what the time bar is drawn of, without reading the block. */
import type { Counts } from './counts.ts';
import { OUTCOMES_MAX } from './limits.ts';
import { isErrorOutcome } from './outcome.ts';
import { isTold, type OutcomeTable, type SeriesTable } from './series-table.ts';

export interface Sums {
  requests: number;
  errors: number;
  connections: number;
  failures: number;
}

export function totalsOf(
  counts: Counts,
  second: number,
  { series, outcomes }: { series: SeriesTable; outcomes: OutcomeTable },
): string {
  const sums = new Map<string, Sums>();
  for (let at = 0; at < counts.touchedCount; at++) {
    const row = counts.touched[at];
    const about = series.get(row);
    if (about === undefined || about.isHop || isTold(about, second)) continue;
    const sum = sumsOf(sums, about.destination.namespace || about.service.namespace);
    sum.requests += counts.requests[row];
    sum.connections += counts.opened[row];
    sum.failures += counts.failed[row];
  }
  for (const [key, count] of counts.outcomes) {
    const about = series.get(Math.floor(key / OUTCOMES_MAX));
    const outcome = outcomes.texts[key % OUTCOMES_MAX];
    if (about === undefined || about.isHop || isTold(about, second)) continue;
    if (isErrorOutcome(outcome, about.protocol))
      sumsOf(sums, about.destination.namespace || about.service.namespace).errors += count;
  }
  return JSON.stringify(
    [...sums].map(([namespace, { requests, errors, connections, failures }]) => [
      namespace,
      requests,
      errors,
      connections,
      failures,
    ]),
  );
}

/** Of what a reader may see; undefined when the text is broken. */
export function readTotals(text: string, visible: readonly string[] | undefined): Sums | undefined {
  const total: Sums = { requests: 0, errors: 0, connections: 0, failures: 0 };
  try {
    for (const [namespace, requests, errors, connections, failures] of JSON.parse(text) as [
      string,
      number,
      number,
      number,
      number,
    ][]) {
      if (visible !== undefined && !visible.includes(namespace)) continue;
      total.requests += requests;
      total.errors += errors;
      total.connections += connections;
      total.failures += failures;
    }
    return total;
  } catch (error) {
    // A broken row of the disk is a gap.
    return void error;
  }
}

function sumsOf(sums: Map<string, Sums>, namespace: string): Sums {
  let sum = sums.get(namespace);
  if (sum === undefined) {
    sum = { requests: 0, errors: 0, connections: 0, failures: 0 };
    sums.set(namespace, sum);
  }
  return sum;
}
