/** Requests and connections a second that came in at each node, over the last minutes: the small lines in lists. */
import type { GraphSums } from './graph-sums.ts';

export const SPARK_POINTS = 30;
/** Five minutes in all. */
export const SPARK_STEP_SECONDS = 10;

/** Values of the newest step are in slot `#step % SPARK_POINTS`. */
export class Sparks {
  readonly #lines = new Map<string, Float64Array>();
  readonly #isReported = new Uint8Array(SPARK_POINTS);
  #step = -1;

  /** `sums` of the last SPARK_STEP_SECONDS, by workload. */
  add(sums: GraphSums, isReported: boolean): void {
    this.#step++;
    const at = this.#step % SPARK_POINTS;
    this.#isReported[at] = isReported ? 1 : 0;
    for (const line of this.#lines.values()) line[at] = 0;
    for (let each = 0; each < sums.nodesIn.touchedCount; each++) {
      const index = sums.nodesIn.touched[each];
      const { name } = sums.shape.nodes[index];
      const count = sums.nodesIn.requests[index] + sums.nodesIn.opened[index];
      for (const id of idsOf(name)) this.#line(id)[at] += count / SPARK_STEP_SECONDS;
    }
    if (at === 0) this.#forgetSilent();
  }

  /** Oldest first; null where nothing was reported. */
  of(id: string): (number | null)[] {
    const line = this.#lines.get(id);
    return Array.from({ length: SPARK_POINTS }, (_, index) => {
      const step = this.#step - SPARK_POINTS + 1 + index;
      if (step < 0 || this.#isReported[step % SPARK_POINTS] === 0) return null;
      return line === undefined ? 0 : Math.round(line[step % SPARK_POINTS] * 100) / 100;
    });
  }

  #line(id: string): Float64Array {
    let line = this.#lines.get(id);
    if (line === undefined) {
      line = new Float64Array(SPARK_POINTS);
      this.#lines.set(id, line);
    }
    return line;
  }

  #forgetSilent(): void {
    for (const [id, line] of this.#lines)
      if (line.every((value) => value === 0)) this.#lines.delete(id);
  }
}

/** A node counts for itself, its app and its namespace (workloads alone, so that nothing counts twice). */
export function idsOf({
  id,
  kind,
  namespace,
  app,
}: {
  id: string;
  kind: string;
  namespace: string;
  app: string;
}): string[] {
  if (kind === 'workload' || kind === 'gateway' || kind === 'waypoint')
    return [id, `app/${namespace}/${app}`, `namespace/${namespace}`];
  return [id];
}
