/** The cases: what is started, which load runs, what is sampled. Figures only compare within one run. */

import { startOrigin } from './origin.ts';
import { usageOf } from './process-usage.ts';
import type { BenchRow } from './report.ts';
import type { BenchContext, Subject } from './subjects/subject.ts';
import { buildTopology, CLIENT, clearRedirect, redirectOutbound, SERVER } from './topology.ts';
import { runLoad } from './wrk.ts';

export interface CaseOptions {
  seconds: number;
  connections: readonly number[];
}

export interface BenchCase {
  readonly name: string;
  readonly summary: string;
  readonly connections: readonly number[];
  /** Once before the subjects. */
  prepare(context: BenchContext): Promise<void>;
  run(context: BenchContext, subject: Subject, options: CaseOptions): Promise<BenchRow[]>;
}

const L7_PORT = 18_080;
const L7_ROUTES = 100;
const WARM_UP_SECONDS = 2;

interface Measured {
  case: string;
  subject: Subject;
  pids: readonly number[];
  url: string;
  namespace?: string;
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

export const CASES: readonly BenchCase[] = [
  {
    name: 'l4',
    summary: 'HBONE pair with capture, small HTTP requests on long-lived connections',
    connections: [32, 256],
    async prepare(context) {
      await buildTopology();
      await startOrigin(context, SERVER.name);
    },
    async run(context, subject, options) {
      const pids = (await subject.startL4?.(context)) ?? [];
      const captured = subject.name === 'envoy' || subject.name === 'haproxy';
      if (captured) await redirectOutbound(15001);
      try {
        const url = `http://${SERVER.address}:${context.originPort}/`;
        return await measure({ case: 'l4', subject, pids, url, namespace: CLIENT.name }, options);
      } finally {
        if (subject.name !== 'direct') await clearRedirect();
      }
    },
  },
  {
    name: 'l7-h1',
    summary: `plain HTTP/1.1 proxy, table of ${L7_ROUTES} routes`,
    connections: [32],
    async prepare(context) {
      await startOrigin(context);
    },
    async run(context, subject, options) {
      const pids = (await subject.startL7?.(context, { port: L7_PORT, routes: L7_ROUTES })) ?? [];
      return measure(
        { case: 'l7-h1', subject, pids, url: `http://127.0.0.1:${L7_PORT}/` },
        options,
      );
    },
  },
];
