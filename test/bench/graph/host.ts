/**
 * A process that holds the console's data as a control plane does, is told a mesh's traffic second by second, and asks of itself. Prints what it measured as JSON. What
 * making up the traffic costs is measured first and taken away.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { ConsoleData, GraphRequest } from '#console/console-data.ts';
import { createConsoleData } from '#console/engine/create-console-data.ts';
import type { TelemetrySink } from '#console/telemetry-sink.ts';
import { usageOf } from '../process-usage.ts';
import { LARGE_MESH, SMALL_MESH, SyntheticMesh } from './synthetic.ts';

export interface HostReport {
  readonly edges: number;
  readonly ingestMicrosPerEdge: number;
  readonly followedMicrosPerEdge: number;
  /** Of whole graphs that nobody asked for before. */
  readonly onceMs: Percentiles;
  /** Of what is asked each second: whole graphs, one namespace, one node. */
  readonly eachSecondMs: Percentiles;
  /** Of the first such questions: views that nobody had open. */
  readonly firstMs: Percentiles;
  /** Of the whole graph. */
  readonly packedBytes: number;
  readonly deltaBytes: number;
  readonly loopHeldMs: Percentiles;
  readonly rssMiB: number;
  readonly privateMiB: number;
  readonly graphEdges: number;
}

interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

const LIVE: GraphRequest = {
  windowSeconds: 60,
  namespaces: [],
  type: 'workload',
  atMs: undefined,
  focus: undefined,
  idle: false,
  waypoints: false,
  visible: undefined,
  form: 'objects',
};
/** Seconds of the past that the store is told first, so that the window is full. */
const FILLED_SECONDS = 62;
const LOOP_CHECK_MS = 5;
/** As browsers and the command line take it. */
const PACKING = 'zstd';
/** Another time of the second each: now and then it falls upon the closing of one. */
const ONCE_A_SECOND = 3;

const [size = 'large', secondsText = '10'] = process.argv.slice(2);
const seconds = Number(secondsText);
const mesh = new SyntheticMesh(size === 'large' ? LARGE_MESH : SMALL_MESH);
const directory = mkdtempSync(join(tmpdir(), 'tulle-graph-'));

function tell(sink: TelemetrySink | undefined, second: number): void {
  const samples = Array.from(
    { length: mesh.size.proxies },
    () => [] as ReturnType<SyntheticMesh['sample']>[],
  );
  mesh.edges.forEach(({ proxy }, index) => {
    const list = samples[proxy];
    list.push({ ...mesh.sample(index, 1), edge: list.length });
  });
  const at = { second, receivedMs: systemClock.wallTime() };
  for (const [proxy, list] of samples.entries())
    sink?.frame(mesh.proxyName(proxy), { second, samples: list }, at);
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Milliseconds of CPU a second, of the whole process, while each second is told. */
async function measure(sink: TelemetrySink | undefined, count: number): Promise<number> {
  const start = cpuMs();
  const begin = systemClock.now();
  for (let each = 0; each < count; each++) {
    await sleep(systemClock, Math.max(0, begin + each * 1000 - systemClock.now()));
    tell(sink, Math.floor(systemClock.wallTime() / 1000) - 1);
  }
  await sleep(systemClock, Math.max(0, begin + count * 1000 - systemClock.now()));
  return (cpuMs() - start) / count;
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

async function main(): Promise<HostReport> {
  const madeUpMs = await measure(undefined, Math.min(seconds, 4));
  Bun.gc(true);
  const before = usageOf([process.pid]);
  const data = createConsoleData({
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    mesh: mesh.view(),
    directory,
  });
  const counts = new Map<number, number>();
  for (let proxy = 0; proxy < mesh.size.proxies; proxy++) data.sink.opened(mesh.proxyName(proxy));
  for (const { proxy, edge } of mesh.edges) {
    const id = counts.get(proxy) ?? 0;
    counts.set(proxy, id + 1);
    data.sink.edge(mesh.proxyName(proxy), { ...edge, id });
  }
  const now = Math.floor(systemClock.wallTime() / 1000);
  for (let back = FILLED_SECONDS; back > 1; back--) {
    tell(data.sink, now - back);
    await sleep(systemClock, 0);
  }
  // Its length alone: a graph that is held here would be marked with each collection, and no control plane holds one.
  const firstEdges = (await data.graph(LIVE)).edges.length;
  await measure(data.sink, Math.min(seconds * 2, 5));
  const ingestMs = (await measure(data.sink, seconds)) - madeUpMs;

  let deltaBytes = 0;
  let deltas = 0;
  // As the console follows it.
  const stop = data.subscribeGraph(
    { ...LIVE, form: 'table' },
    {
      graph: () => undefined,
      delta: (json) => {
        deltaBytes += json.length;
        deltas++;
      },
    },
  );
  await measure(data.sink, 2);
  deltaBytes = 0;
  deltas = 0;
  const followedMs = (await measure(data.sink, seconds)) - madeUpMs;
  stop();

  const held: number[] = [];
  let last = systemClock.now();
  const watch = systemClock.every(LOOP_CHECK_MS, () => {
    const at = systemClock.now();
    held.push(Math.max(0, at - last - LOOP_CHECK_MS));
    last = at;
  });
  const feeding = feed(data.sink);
  const onceMs = await asked(data, seconds * ONCE_A_SECOND, ONCE_A_SECOND, onceQuery);
  const firstMs = await asked(data, QUERIES.length, QUERIES.length, eachSecondQuery);
  const eachSecondMs = await asked(data, seconds * QUERIES.length, QUERIES.length, eachSecondQuery);
  watch.cancel();
  feeding.cancel();
  const after = usageOf([process.pid]);
  const graph = await data.graph(LIVE);
  const packedBytes = (await data.graphJson(LIVE, PACKING)).length;
  await data.close();
  const { edges } = mesh.size;
  return {
    edges,
    ingestMicrosPerEdge: (ingestMs * 1000) / edges,
    followedMicrosPerEdge: (followedMs * 1000) / edges,
    onceMs,
    eachSecondMs,
    firstMs,
    packedBytes,
    deltaBytes: deltas === 0 ? 0 : deltaBytes / deltas,
    loopHeldMs: percentiles(held),
    // The traffic that is made up is not the console's.
    rssMiB: after.rssMiB - before.rssMiB,
    privateMiB: after.privateMiB - before.privateMiB,
    graphEdges: Math.max(graph.edges.length, firstEdges),
  };
}

/** Frames of a second, a proxy a turn as they come from sockets: what the loop is held by is the console's, not the bench's. */
function feed(sink: TelemetrySink) {
  const byProxy = Map.groupBy(mesh.edges.keys(), (index) => mesh.edges[index].proxy);
  let proxy = 0;
  return systemClock.every(1000 / mesh.size.proxies, () => {
    const second = Math.floor(systemClock.wallTime() / 1000) - 1;
    const samples = (byProxy.get(proxy) ?? []).map((index, edge) => ({
      ...mesh.sample(index, 1),
      edge,
    }));
    sink.frame(
      mesh.proxyName(proxy),
      { second, samples },
      { second, receivedMs: systemClock.wallTime() },
    );
    proxy = (proxy + 1) % mesh.size.proxies;
  });
}

/** Times of so many questions, so many a second. */
async function asked(
  data: ConsoleData,
  count: number,
  perSecond: number,
  queryOf: (each: number) => GraphRequest,
): Promise<Percentiles> {
  const times: number[] = [];
  for (let each = 0; each < count; each++) {
    const begin = systemClock.now();
    await data.graphJson(queryOf(each), PACKING);
    times.push(systemClock.now() - begin);
    await sleep(systemClock, 1000 / perSecond);
  }
  return percentiles(times);
}

/** All namespaces, each time in another order: the whole graph, and none is answered from before. */
function onceQuery(each: number): GraphRequest {
  const { namespaces } = mesh.size;
  const first = each % namespaces;
  const names = Array.from({ length: namespaces }, (_, at) => `ns-${(first + at) % namespaces}`);
  return { ...LIVE, namespaces: names };
}

const QUERIES: readonly GraphRequest[] = [
  LIVE,
  { ...LIVE, type: 'app' },
  { ...LIVE, namespaces: ['ns-1'] },
  { ...LIVE, focus: 'workload/ns-1/workload-1' },
];

function eachSecondQuery(each: number): GraphRequest {
  return QUERIES[each % QUERIES.length];
}

try {
  process.stdout.write(`${JSON.stringify(await main())}\n`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
