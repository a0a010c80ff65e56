/**
 * The memory case. One pair of proxies lives through idling, the three L4 loads and many idle connections; each row has
 * the heavier process of the pair some seconds after the load is over, one its peak over the loads. Tulle's processes
 * hold all the pods of a node, a peer's hold one, as a sidecar does.
 */
import { sleep, systemClock } from '#base/clock.ts';
import type { CaseOptions } from './cases.ts';
import { emptyRow, measureStream, type Target } from './measure.ts';
import { startOrigin } from './origin.ts';
import { peakMiBOf, usageOf } from './process-usage.ts';
import type { BenchRow } from './report.ts';
import { holdConnections, startStreamServer } from './stream-load.ts';
import { type BenchContext, endAll, noPart, type Subject, startL4 } from './subjects/subject.ts';
import { addPods, applyCapture, CLIENT, rebuildTopology, SERVER } from './topology.ts';
import { runLoad } from './wrk.ts';

const NAME = 'memory';
const WAYPOINT_PORT = 18_080;
const CONNECTIONS = 32;
/** The sum of a mesh: 2 nodes and 1 waypoint, all at their largest after a load; or as many idle sidecars as pods. */
const MESH_PODS = 100;
const MESH_NODES = 2;
const MESH = 'mesh of 100 pods';

export async function runMemory(
  context: BenchContext,
  subject: Subject,
  options: CaseOptions,
): Promise<BenchRow[]> {
  if (subject.capture === 'own') return ownMemory(context, subject, options);
  if (subject.capture === undefined) throw noPart(subject, NAME);
  const rows = await pairMemory(context, subject, { ...options, pods: 1 });
  const [idle] = rows;
  return [...rows, sum(idle, MESH, times(idle, MESH_PODS))];
}

async function ownMemory(
  context: BenchContext,
  subject: Subject,
  options: CaseOptions,
): Promise<BenchRow[]> {
  const { pods } = options;
  const alone = await onePod(context, subject, options);
  const rows = await pairMemory(context, subject, options);
  const [idle] = rows;
  const added = times(minus(idle, alone), 1 / (pods - 1));
  await endAll(context.children);
  const waypoint = await waypointAfterLoad(context, subject, options);
  const loaded = rows
    .filter((row) => row.load.startsWith('after'))
    .toSorted((a, b) => (b.rssMiB ?? 0) - (a.rssMiB ?? 0))[0];
  const nodes = times(loaded, MESH_NODES);
  return [
    alone,
    ...rows,
    sum(alone, 'each added pod', added),
    waypoint,
    sum(alone, MESH, {
      rssMiB: nodes.rssMiB + (waypoint.rssMiB ?? 0),
      privateMiB: nodes.privateMiB + (waypoint.privateMiB ?? 0),
    }),
  ];
}

async function pairMemory(
  context: BenchContext,
  subject: Subject,
  options: CaseOptions,
): Promise<BenchRow[]> {
  const { pods, seconds, settleMs } = options;
  await rebuildTopology();
  await addPods(pods - 1);
  const pids = await startL4(subject, context, { pods });
  if (subject.capture === 'bench') await applyCapture();
  const target: Target = { case: NAME, subject, pids };
  const rows: BenchRow[] = [];
  const settled = async (load: string, connections = 0) => {
    await sleep(systemClock, settleMs);
    rows.push(sample(target, load, connections));
  };
  await settled(pods === 1 ? 'idle, 1 pod' : `idle, ${pods} pods`);
  const origin = await startOrigin(context, SERVER.name);
  const url = `http://${SERVER.address}:${context.originPort}/`;
  const http = { url, namespace: CLIENT.name };
  for (const connections of options.connections) {
    await runLoad({ ...http, connections, seconds });
    await settled('after l4', connections);
  }
  const headers = { Connection: 'close' };
  await runLoad({ ...http, headers, connections: CONNECTIONS, seconds });
  await settled('after l4-churn', CONNECTIONS);
  await endAll([origin]);
  await startStreamServer(context);
  for (const direction of ['download', 'upload'] as const) {
    await measureStream(context, target, { direction, seconds });
    await settled(`after l4-bulk ${direction}`, 1);
  }
  const peak = Math.max(...pids.map(peakMiBOf));
  rows.push({ ...emptyRow(target, 0, 'peak of these loads'), rssMiB: peak });
  const { connectionsMax = options.idleConnections } = subject;
  const held = Math.min(options.idleConnections, connectionsMax);
  const release = await holdConnections(context, held);
  await settled('idle connections', held);
  await release();
  return rows;
}

/** The other end of "a pod adds": the same processes with nothing but the pair itself. */
async function onePod(
  context: BenchContext,
  subject: Subject,
  { settleMs }: CaseOptions,
): Promise<BenchRow> {
  await rebuildTopology();
  const pids = await startL4(subject, context, { pods: 1 });
  await sleep(systemClock, settleMs);
  const found = sample({ case: NAME, subject, pids }, 'idle, 1 pod', 0);
  await endAll(context.children);
  return found;
}

async function waypointAfterLoad(
  context: BenchContext,
  subject: Subject,
  { seconds }: CaseOptions,
): Promise<BenchRow> {
  if (subject.startL7 === undefined) throw noPart(subject, NAME);
  await startOrigin(context);
  const pids = await subject.startL7(context, {
    port: WAYPOINT_PORT,
    routes: 100,
    protocol: 'h1',
  });
  const url = `http://127.0.0.1:${WAYPOINT_PORT}/`;
  await runLoad({ url, connections: CONNECTIONS, seconds });
  return sample({ case: NAME, subject, pids }, 'waypoint after l7-h1', CONNECTIONS);
}

function sample(target: Target, load: string, connections: number): BenchRow {
  const [heaviest] = target.pids
    .map((pid) => usageOf([pid]))
    .toSorted((a, b) => b.rssMiB - a.rssMiB);
  const { rssMiB, privateMiB } = heaviest;
  return { ...emptyRow(target, connections, load), rssMiB, privateMiB };
}

type Memory = Pick<BenchRow, 'rssMiB' | 'privateMiB'>;

const times = ({ rssMiB, privateMiB }: Memory, factor: number) => ({
  rssMiB: (rssMiB ?? 0) * factor,
  privateMiB: (privateMiB ?? 0) * factor,
});

const minus = (a: Memory, b: Memory) => ({
  rssMiB: (a.rssMiB ?? 0) - (b.rssMiB ?? 0),
  privateMiB: (a.privateMiB ?? 0) - (b.privateMiB ?? 0),
});

/** A row that is reckoned from measured ones. */
const sum = (like: BenchRow, load: string, memory: Memory): BenchRow => ({
  ...like,
  connections: 0,
  load,
  ...memory,
});
