/** The cases: what is started, which load runs, what is sampled. Figures only compare within one run. */

import { MeshError } from '#base/errors.ts';
import { startOrigin } from './origin.ts';
import { usageOf } from './process-usage.ts';
import type { BenchRow } from './report.ts';
import type { BenchContext, Subject } from './subjects/subject.ts';
import { applyCapture, CLIENT, rebuildTopology, SERVER } from './topology.ts';
import { runLoad } from './wrk.ts';

export interface CaseOptions {
  seconds: number;
  connections: readonly number[];
}

export interface BenchCase {
  readonly name: string;
  readonly summary: string;
  readonly connections: readonly number[];
  /** Processes of one subject are the context's; they are ended after it. */
  run(context: BenchContext, subject: Subject, options: CaseOptions): Promise<BenchRow[]>;
}

const L7_PORT = 18_080;
const WARM_UP_SECONDS = 2;

interface Measured {
  case: string;
  subject: Subject;
  pids: readonly number[];
  url: string;
  namespace?: string;
}

async function start(
  subject: Subject,
  name: string,
  started: Promise<number[]> | undefined,
): Promise<number[]> {
  if (started !== undefined) return started;
  throw new MeshError('BENCH_SUBJECT_FAILED', `${subject.name} has no part in ${name}`, {
    side: 'self',
    hint: 'name another peer in --against',
  });
}

/** Warms up, then samples CPU around the load and memory after it. */
async function measure(target: Measured, options: CaseOptions): Promise<BenchRow[]> {
  const { url, namespace, pids } = target;
  const rows: BenchRow[] = [];
  for (const connections of options.connections) {
    await runLoad({ url, namespace, connections, seconds: WARM_UP_SECONDS });
    const before = usageOf(pids);
    const load = await runLoad({ url, namespace, connections, seconds: options.seconds });
    const after = usageOf(pids);
    const sampled = pids.length > 0;
    rows.push({
      case: target.case,
      subject: target.subject.name,
      connections,
      requestsPerSecond: load.requestsPerSecond,
      cpuMicrosPerRequest: sampled
        ? ((after.cpuSeconds - before.cpuSeconds) / load.requests) * 1e6
        : null,
      megabytesPerCpuSecond: null,
      p50Ms: load.p50Ms,
      p99Ms: load.p99Ms,
      rssMiB: sampled ? after.rssMiB : null,
      privateMiB: sampled ? after.privateMiB : null,
    });
    if (load.errors > 0)
      process.stderr.write(
        `${target.subject.name}: ${load.errors} failed requests at ${connections} connections\n`,
      );
  }
  return rows;
}

function httpCase(name: string, routes: number): BenchCase {
  return {
    name,
    summary: `plain HTTP/1.1 proxy, table of ${routes} routes`,
    connections: [32],
    async run(context, subject, options) {
      await startOrigin(context);
      const pids = await start(
        subject,
        name,
        subject.startL7?.(context, { port: L7_PORT, routes }),
      );
      const port = pids.length === 0 ? context.originPort : L7_PORT;
      return measure({ case: name, subject, pids, url: `http://127.0.0.1:${port}/` }, options);
    },
  };
}

export const CASES: readonly BenchCase[] = [
  {
    name: 'l4',
    summary: 'HBONE pair with capture, small HTTP requests on long-lived connections',
    connections: [32, 256],
    async run(context, subject, options) {
      // Namespaces of its own for each subject: rules that one leaves behind must not cost another.
      await rebuildTopology();
      await startOrigin(context, SERVER.name);
      const pids = await start(subject, 'l4', subject.startL4?.(context));
      if (subject.capture === 'bench') await applyCapture();
      const url = `http://${SERVER.address}:${context.originPort}/`;
      return measure({ case: 'l4', subject, pids, url, namespace: CLIENT.name }, options);
    },
  },
  httpCase('l7-h1', 100),
  httpCase('l7-h1-one-route', 1),
];
