import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import { SMALL_MESH, SyntheticMesh } from '#test/bench/graph/synthetic.ts';
import { edge, sample } from '#test/support/flows.ts';
import type { GraphDelta } from '../api/graph.ts';
import type { ConsoleData, GraphRequest } from '../console-data.ts';
import type { PrometheusOptions } from '../prometheus/client.ts';
import type { FrameTime } from '../telemetry-sink.ts';
import { createConsoleData } from './create-console-data.ts';
import { readSink, SinkWriter } from './sink-wire.ts';

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
const PROXY = 'shop/waypoint-1';
const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function start(directory?: string, prometheus?: PrometheusOptions): ConsoleData {
  const mesh = new SyntheticMesh(SMALL_MESH).view();
  const data = createConsoleData({
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    mesh,
    directory,
    prometheus,
  });
  ends.push(() => data.close());
  return data;
}

async function until<Value>(ask: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    await sleep(systemClock, 50);
  }
}

/** A second some time ago: it is closed as soon as it was gathered. */
function send(data: ConsoleData, requests: number): number {
  const second = Math.floor(systemClock.wallTime() / 1000) - 10;
  data.sink.frame(
    PROXY,
    { second, samples: [sample(0, { requests })] },
    { second, receivedMs: systemClock.wallTime() },
  );
  return second;
}

const firstEdge = async (data: ConsoleData) => {
  const { edges } = await data.graph(LIVE);
  return edges.length > 0 ? edges : undefined;
};

describe('createConsoleData', () => {
  test('what carriers deliver is in the graph, followers are told, and another start knows where proxies stopped', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tulle-console-'));
    ends.push(() => rmSync(directory, { recursive: true, force: true }));
    const data = start(directory);
    expect(data.sink.opened(PROXY)).toBe(-1);
    data.sink.edge(PROXY, edge(0));
    const told: string[] = [];
    const stop = data.subscribeGraph(LIVE, {
      graph: (json) =>
        told.push(`graph ${JSON.parse(new TextDecoder().decode(json)).edges.length}`),
      delta: (json) => {
        const { edges } = JSON.parse(new TextDecoder().decode(json)) as GraphDelta;
        told.push(`delta ${edges.length}`);
      },
    });
    const second = send(data, 60);
    const edges = await until(() => firstEdge(data));
    expect(edges.map(({ id }) => id)).toContain('workload/shop/web service/shop/cart http');
    await until(async () => (told.includes('delta 2') ? told : undefined));
    expect(told[0]).toBe('graph 0');
    let joined = '';
    data.subscribeGraph(LIVE, {
      graph: (json) => {
        joined = new TextDecoder().decode(json);
      },
      delta: () => undefined,
    });
    await until(async () => (joined === '' ? undefined : joined));
    expect(JSON.parse(joined).edges).toHaveLength(2);
    stop();
    expect((await data.traffic(60)).get('service/shop/cart')?.inbound.classes['2xx']).toBe(60);
    expect(await data.storeState()).toMatchObject({ isPersistent: true, problem: undefined });
    await data.close();
    const again = start(directory);
    // Before the thread has read its file nothing is known, and what is sent again is passed over.
    await again.storeState();
    expect(again.sink.opened(PROXY)).toBe(second);
    expect(await firstEdge(again)).toHaveLength(2);
  }, 60_000);

  test('graphJson is packed as it is asked for, also for the second who asks', async () => {
    const data = start();
    data.sink.opened(PROXY);
    data.sink.edge(PROXY, edge(0));
    send(data, 5);
    const edges = await until(() => firstEdge(data));
    for (const [packing, unpack] of [
      ['zstd', Bun.zstdDecompressSync],
      ['gzip', Bun.gunzipSync],
    ] as const)
      for (let each = 0; each < 2; each++) {
        const packed = (await data.graphJson(LIVE, packing)) as Uint8Array<ArrayBuffer>;
        const graph = JSON.parse(new TextDecoder().decode(unpack(packed)));
        expect(graph.edges).toHaveLength(edges.length);
      }
  }, 60_000);

  test('the past is asked of Prometheus where one is known, by the thread; now is not, and what the thread books goes on meanwhile', async () => {
    const asked: string[] = [];
    const gate = Promise.withResolvers<void>();
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        asked.push(`${new URL(request.url).pathname} ${await request.text()}`);
        await gate.promise;
        return Response.json({ status: 'success', data: { resultType: 'vector', result: [] } });
      },
    });
    ends.push(() => void server.stop(true));
    const data = start(undefined, { url: `http://127.0.0.1:${server.port}`, match: 'a="b"' });
    data.sink.opened(PROXY);
    data.sink.edge(PROXY, edge(0));
    const atMs = systemClock.wallTime() - 7_200_000;
    const past = data.graph({ ...LIVE, atMs });
    await until(async () => (asked.length > 0 ? true : undefined));
    send(data, 5);
    expect(await until(() => firstEdge(data))).toHaveLength(2);
    gate.resolve();
    expect(await past).toMatchObject({ source: 'prometheus', edges: [], isLive: false });
    const of = { node: 'workload/shop/cart', direction: 'inbound' } as const;
    const range = { fromMs: atMs - 3_600_000, toMs: atMs, visible: undefined };
    expect(await data.series({ ...range, type: 'workload', of })).toMatchObject({
      prometheusUntil: expect.any(String),
    });
    expect(new Set(asked.map((each) => each.split(' ')[0]))).toEqual(
      new Set(['/api/v1/query', '/api/v1/query_range']),
    );
    for (const each of asked) expect(each).toContain(encodeURIComponent('a="b"'));
  }, 60_000);

  test('a question that fails is told to who asked, and to nobody else', async () => {
    const data = start();
    const broken = { ...LIVE, type: undefined, visible: 7 } as unknown as GraphRequest;
    data.sink.opened(PROXY);
    data.sink.edge(PROXY, edge(0));
    send(data, 5);
    await until(() => firstEdge(data));
    const failure = await data.graphJson(broken).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'CONSOLE_STORE_FAILED' });
    expect(await firstEdge(data)).toHaveLength(2);
  }, 60_000);

  test('tap tells each request that fits, as it comes', () => {
    const data = start();
    const rows: string[] = [];
    const filter = {
      visible: undefined,
      namespaces: [],
      workloads: [],
      services: [],
      methods: [],
      pathPrefix: '/cart',
      status: undefined,
      onlyFailed: false,
      node: undefined,
      edge: undefined,
      fromMs: undefined,
      toMs: undefined,
      limit: 1,
    };
    const stop = data.tap(filter, ({ path }) => rows.push(path));
    const { source, destination } = edge(0);
    const record = {
      source,
      destination,
      path: '/cart/1',
      protocol: 'http',
      method: 'GET',
      status: 200,
      startMs: 0,
    };
    data.sink.records(PROXY, [record, { ...record, path: '/other' }] as never);
    stop();
    data.sink.records(PROXY, [record] as never);
    expect(rows).toEqual(['/cart/1']);
  });
});

test('SinkWriter and readSink: what goes in comes out, and what is no count is 0', () => {
  const writer = new SinkWriter();
  const told: FlowEdge = edge(3, {
    source: { ...edge(0).source, workload: `ü"\n${'x'.repeat(70_000)}` },
  });
  const frame: FlowFrame = {
    second: 1_800_000_000,
    samples: [
      sample(3, {
        requests: 7,
        codes: [[503, 2]],
        flags: [['UH', 2]],
        grpcStatuses: [[14, 1]],
        opened: 1,
        sentBytes: 2 ** 45,
      }),
      sample(4, { requests: -1, latency: [[2, Number.NaN]] }),
    ],
  };
  const at: FrameTime = { second: 1_800_000_001, receivedMs: 1_800_000_002_345 };
  writer.opened('a/b');
  writer.edge('a/b', told);
  writer.frame('a/b', frame, at);
  const read: unknown[] = [];
  readSink(writer.take(), {
    opened: (...all) => read.push(all),
    edge: (...all) => read.push(all),
    frame: (...all) => read.push(all),
  });
  expect(read[0]).toEqual(['a/b']);
  expect(read[1]).toEqual(['a/b', told]);
  const [proxy, back, when] = read[2] as [string, FlowFrame, FrameTime];
  expect([proxy, back.second, when]).toEqual(['a/b', frame.second, at]);
  expect(back.samples[0]).toEqual({ ...frame.samples[0], durationMsSum: 0 });
  expect(back.samples[1]).toMatchObject({ requests: 0, latency: [[2, 0]] });
  expect(writer.length).toBe(0);
});
