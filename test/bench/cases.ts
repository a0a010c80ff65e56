/** The cases: what is started, which load runs, what is sampled. Figures only compare within one run. */

import { measureHttp, measureStream } from './measure.ts';
import { runMemory } from './memory.ts';
import { runMeshMemory } from './mesh-memory.ts';
import { runNeighbours } from './neighbours.ts';
import { startOrigin } from './origin.ts';
import type { BenchRow } from './report.ts';
import { startStreamServer } from './stream-load.ts';
import { type BenchContext, noPart, type Subject, startL4 } from './subjects/subject.ts';
import { applyCapture, CLIENT, rebuildTopology, SERVER } from './topology.ts';

export interface CaseOptions {
  seconds: number;
  connections: readonly number[];
  /** Captured pods of one node in the memory case. */
  pods: number;
  idleConnections: number;
  /** Before what is idle is sampled. */
  settleMs: number;
  /** Until a quiet node proxy has given its start's code back. */
  codeSettleMs: number;
}

export interface BenchCase {
  readonly name: string;
  readonly summary: string;
  readonly connections: readonly number[];
  /** Processes of one subject are the context's; they are ended after it. */
  run(context: BenchContext, subject: Subject, options: CaseOptions): Promise<BenchRow[]>;
}

const L7_PORT = 18_080;

function httpCase(name: string, routes: number): BenchCase {
  return {
    name,
    summary: `plain HTTP/1.1 proxy, table of ${routes} routes`,
    connections: [32],
    async run(context, subject, { connections, seconds }) {
      if (subject.startL7 === undefined) throw noPart(subject, name);
      await startOrigin(context);
      const pids = await subject.startL7(context, { port: L7_PORT, routes });
      const port = pids.length === 0 ? context.originPort : L7_PORT;
      const target = { case: name, subject, pids, url: `http://127.0.0.1:${port}/` };
      return inTurn(connections, (count) =>
        measureHttp(target, { connections: count, seconds, load: 'requests' }),
      );
    },
  };
}

async function startPair(context: BenchContext, subject: Subject): Promise<number[]> {
  const pids = await startL4(subject, context, { pods: 1 });
  if (subject.capture === 'bench') await applyCapture();
  return pids;
}

function tunnelCase(
  name: string,
  options: Pick<BenchCase, 'summary' | 'connections'> & {
    load: string;
    headers?: Record<string, string>;
    warmUpSeconds?: number;
  },
): BenchCase {
  const { load, headers, warmUpSeconds, ...rest } = options;
  return {
    name,
    ...rest,
    async run(context, subject, { connections, seconds }) {
      // Namespaces of its own for each subject: rules that one leaves behind must not cost another.
      await rebuildTopology();
      await startOrigin(context, SERVER.name);
      const pids = await startPair(context, subject);
      const url = `http://${SERVER.address}:${context.originPort}/`;
      const target = { case: name, subject, pids, url, namespace: CLIENT.name, headers };
      return inTurn(connections, (count) =>
        measureHttp(target, { connections: count, seconds, load, warmUpSeconds }),
      );
    },
  };
}

async function inTurn(
  connections: readonly number[],
  measure: (count: number) => Promise<BenchRow>,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const count of connections) rows.push(await measure(count));
  return rows;
}

const bulkCase: BenchCase = {
  name: 'l4-bulk',
  summary: 'HBONE pair with capture, one stream as fast as it goes, each direction',
  connections: [1],
  async run(context, subject, { seconds }) {
    await rebuildTopology();
    await startStreamServer(context);
    const pids = await startPair(context, subject);
    const target = { case: 'l4-bulk', subject, pids };
    return [
      await measureStream(context, target, { direction: 'download', seconds }),
      await measureStream(context, target, { direction: 'upload', seconds }),
    ];
  },
};

export const CASES: readonly BenchCase[] = [
  tunnelCase('l4', {
    summary: 'HBONE pair with capture, small HTTP requests on long-lived connections',
    connections: [32, 256],
    load: 'requests',
  }),
  bulkCase,
  tunnelCase('l4-churn', {
    summary: 'HBONE pair with capture, a new connection for each HTTP request',
    connections: [32],
    load: 'connections',
    headers: { Connection: 'close' },
    // Bun compiles what runs often: the code of a connection is compiled after some 20,000 of them, that of bytes at once.
    warmUpSeconds: 10,
  }),
  {
    name: 'l4-neighbours',
    summary: 'a quiet pod next to a noisy one on the same node proxy: bulk, churn, many requests',
    connections: [2],
    run: runNeighbours,
  },
  {
    name: 'memory',
    summary:
      'what the node proxy holds: idle with captured pods, after each load, with idle connections',
    connections: [32, 256],
    run: runMemory,
  },
  {
    name: 'memory-mesh',
    summary:
      'what a node proxy holds in a lab with a control plane, and what such a mesh takes in sum',
    connections: [0],
    run: (_context, subject, options) => runMeshMemory(subject, options),
  },
  httpCase('l7-h1', 100),
  httpCase('l7-h1-one-route', 1),
];
