/** The cases: what is started, which load runs, what is sampled. Figures only compare within one run. */

import { runConfig } from './config/case.ts';
import { runGraph } from './graph/case.ts';
import { runL7Memory } from './l7-memory.ts';
import { measureHttp, measureStream } from './measure.ts';
import { runMemory } from './memory.ts';
import { runMeshMemory } from './mesh-memory.ts';
import { runNeighbours } from './neighbours.ts';
import { grpcPort, startOrigin } from './origin.ts';
import type { BenchRow } from './report.ts';
import { startStreamServer } from './stream-load.ts';
import {
  type BenchContext,
  type L7Options,
  noPart,
  type Subject,
  startL4,
} from './subjects/subject.ts';
import { runTelemetry } from './telemetry.ts';
import { applyCapture, CLIENT, rebuildPath, rebuildTopology, SERVER } from './topology.ts';

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

/** Requests under way on each HTTP/2 connection. */
const STREAMS = 4;
/** A gRPC message of five bytes. */
const GRPC_MESSAGE = Buffer.from('\0\0\0\0\x05hello', 'latin1');
const GRPC_FIELDS = { 'content-type': 'application/grpc', te: 'trailers' };

function httpCase(name: string, summary: string, l7: Omit<L7Options, 'port'>): BenchCase {
  return {
    name,
    summary,
    connections: [32, 256],
    async run(context, subject, { connections, seconds }) {
      if (subject.startL7 === undefined) throw noPart(subject, name);
      await startOrigin(context);
      const { protocol } = l7;
      const pids = await subject.startL7(context, { ...l7, port: L7_PORT });
      const origin = protocol === 'grpc' ? grpcPort(context) : context.originPort;
      const port = pids.length === 0 ? origin : L7_PORT;
      const isGrpc = protocol === 'grpc';
      const target = {
        case: name,
        subject,
        pids,
        url: `http://127.0.0.1:${port}/${isGrpc ? 'bench.Echo/Say' : ''}`,
        headers: isGrpc ? GRPC_FIELDS : undefined,
        http2:
          protocol === 'h1'
            ? undefined
            : {
                streams: STREAMS,
                body: isGrpc ? GRPC_MESSAGE : undefined,
                directory: context.directory,
              },
      };
      return inTurn(connections, (count) =>
        measureHttp(target, { connections: count, seconds, load: 'requests' }),
      );
    },
  };
}

const pathCase: BenchCase = {
  name: 'path',
  summary: 'client, node proxy, waypoint, node proxy, app; of peers a pair of sidecars with mTLS',
  connections: [32, 256],
  async run(context, subject, { connections, seconds }) {
    if (subject.startPath === undefined) throw noPart(subject, 'path');
    const star = await rebuildPath();
    await startOrigin(context, SERVER.name);
    const { pids, url } = await subject.startPath(context, star);
    if (subject.capture === 'bench') await applyCapture();
    const target = { case: 'path', subject, pids, url, namespace: CLIENT.name };
    return inTurn(connections, (count) =>
      measureHttp(target, { connections: count, seconds, load: 'requests' }),
    );
  },
};

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
  httpCase('l7-h1', 'HTTP/1.1 proxy, table of 100 routes', { routes: 100, protocol: 'h1' }),
  httpCase('l7-h2', 'HTTP/2 to HTTP/1.1 proxy, table of 100 routes', {
    routes: 100,
    protocol: 'h2',
  }),
  httpCase('l7-grpc', 'gRPC over HTTP/2 proxy, table of 100 routes', {
    routes: 100,
    protocol: 'grpc',
  }),
  httpCase('l7-routes-10', 'HTTP/1.1 proxy, table of 10 routes', { routes: 10, protocol: 'h1' }),
  httpCase('l7-routes-10000', 'HTTP/1.1 proxy, table of 10,000 routes', {
    routes: 10_000,
    protocol: 'h1',
  }),
  pathCase,
  {
    name: 'l7-memory',
    summary:
      'what an HTTP proxy holds: idle, after loads, with large bodies, with idle connections',
    connections: [32, 256],
    run: runL7Memory,
  },
  {
    name: 'telemetry',
    summary:
      'what metrics, access log and traces cost: a waypoint and a pair of node proxies with all of it and without',
    connections: [32],
    run: runTelemetry,
  },
  {
    name: 'config',
    summary:
      'a control plane of 10,000 pods: from a change to the last ACK, what it holds, how it starts',
    connections: [0],
    run: runConfig,
  },
  {
    name: 'graph',
    summary:
      "the console's graph of 2,000 workloads and 20,000 edges: booking, following, asking, memory, a day on disk",
    connections: [0],
    run: runGraph,
  },
];
