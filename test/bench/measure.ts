/** One load against one subject's processes: CPU around it, memory after it, one row. */
import { addFailures, failedIn, NO_FAILURES } from './failures.ts';
import { runStreams, type StreamsOptions } from './h2load.ts';
import { type Usage, usageOf } from './process-usage.ts';
import type { BenchRow } from './report.ts';
import { type Direction, runStream } from './stream-load.ts';
import type { BenchContext, Subject } from './subjects/subject.ts';
import { runLoad } from './wrk.ts';

const WARM_UP_SECONDS = 1;
/** Of a short measurement, at most so many times its own length. */
const WARM_UP_SHARE_MAX = 3;
const MEGABYTE = 1e6;

export interface Target {
  case: string;
  subject: Subject;
  pids: readonly number[];
}

export interface HttpTarget extends Target {
  url: string;
  namespace?: string;
  headers?: Record<string, string>;
  /** HTTP/2; undefined: HTTP/1.1. */
  http2?: Pick<StreamsOptions, 'streams' | 'body' | 'directory'>;
}

/** A row of which only the names are known. */
export function emptyRow(target: Target, connections: number, load: string): BenchRow {
  return {
    case: target.case,
    subject: target.subject.name,
    connections,
    load,
    requestsPerSecond: null,
    cpuMicrosPerRequest: null,
    megabytesPerSecond: null,
    megabytesPerCpuSecond: null,
    p50Ms: null,
    p95Ms: null,
    p99Ms: null,
    rssMiB: null,
    privateMiB: null,
    failedRequests: 0,
    failures: NO_FAILURES,
    bytesPerPush: null,
    storedMiB: null,
  };
}

export async function measureHttp(
  target: HttpTarget,
  options: { connections: number; seconds: number; load: string; warmUpSeconds?: number },
): Promise<BenchRow> {
  const { pids } = target;
  const { connections, seconds, load: name, warmUpSeconds = WARM_UP_SECONDS } = options;
  const warmUp = Math.min(warmUpSeconds, seconds * WARM_UP_SHARE_MAX);
  const warm = await loadOnce(target, connections, warmUp);
  const before = usageOf(pids);
  const load = await loadOnce(target, connections, seconds);
  const after = usageOf(pids);
  // A warm-up has no figures, but whoever drops a request then drops it.
  const failures = addFailures(warm.failures, load.failures);
  return {
    ...emptyRow(target, connections, name),
    requestsPerSecond: load.requestsPerSecond,
    cpuMicrosPerRequest:
      pids.length === 0 ? null : ((after.cpuSeconds - before.cpuSeconds) / load.requests) * 1e6,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    ...memoryOf(pids, after),
    failedRequests: failedIn(failures),
    failures,
  };
}

function loadOnce(target: HttpTarget, connections: number, seconds: number) {
  const { url, namespace, headers, http2 } = target;
  const load = { url, namespace, headers, connections, seconds };
  return http2 === undefined ? runLoad(load) : runStreams({ ...load, ...http2 });
}

export async function measureStream(
  context: BenchContext,
  target: Target,
  options: { direction: Direction; seconds: number },
): Promise<BenchRow> {
  const { pids } = target;
  let before = usageOf(pids);
  const result = await runStream(context, options, () => {
    before = usageOf(pids);
  });
  const after = usageOf(pids);
  const megabytes = result.bytes / MEGABYTE;
  return {
    ...emptyRow(target, 1, options.direction),
    megabytesPerSecond: megabytes / result.seconds,
    megabytesPerCpuSecond:
      pids.length === 0 ? null : megabytes / (after.cpuSeconds - before.cpuSeconds),
    ...memoryOf(pids, after),
  };
}

export function memoryOf(pids: readonly number[], { rssMiB, privateMiB }: Usage) {
  return pids.length === 0 ? { rssMiB: null, privateMiB: null } : { rssMiB, privateMiB };
}
