/** Counts what was put back; the main thread and the data workers each count their own. */
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';

export function countRepairs(registry: MetricRegistry): (what: string) => void {
  const repairs = registry.counter({
    name: 'tulle_capture_repairs_total',
    help: 'Rules, routes and listeners of captured pods, and parts of the CNI installation, that somebody else took away and that were put back.',
    labels: ['what'],
  });
  return (what) => repairs.with([what]).add(1);
}
