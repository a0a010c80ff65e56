/** The console's thread dies, by an error of its own or by somebody else's hand: another one goes on, with all that proxies said. */
import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { SMALL_MESH, SyntheticMesh } from '#test/bench/graph/synthetic.ts';
import { edge, sample } from '#test/support/flows.ts';
import { caughtWorkers } from '#test/support/workers.ts';
import type { ConsoleData, GraphRequest } from '../console-data.ts';
import type { MeshView } from '../mesh-view.ts';
import { createConsoleData } from './create-console-data.ts';

const LIVE: GraphRequest = {
  windowSeconds: 600,
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
const EACH = 7;
const TEST_MS = 60_000;
const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function start(mesh: MeshView = new SyntheticMesh(SMALL_MESH).view()) {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-thread-death-'));
  const lines: string[] = [];
  const log = createLogger('test', { clock: systemClock, write: (line) => void lines.push(line) });
  const data = createConsoleData({
    clock: systemClock,
    random: systemRandom,
    log,
    mesh,
    directory,
  });
  ends.push(async () => {
    await data.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { data, lines };
}

async function until<Value>(ask: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    // Between two threads there is no answer.
    const value = await ask().catch(() => undefined);
    if (value !== undefined) return value;
    await sleep(systemClock, 50);
  }
}

/** So many seconds, which ended some time ago, as a proxy that was away sends them. */
function report(data: ConsoleData, from: number, seconds: number): void {
  for (let second = from; second < from + seconds; second++)
    data.sink.frame(
      PROXY,
      { second, samples: [sample(0, { requests: EACH })] },
      { second, receivedMs: systemClock.wallTime() },
    );
}

const requests = async (data: ConsoleData) => {
  const { edges } = await data.graph(LIVE);
  return edges.find(({ target }) => target === 'service/shop/cart')?.responseCodes['200'] ?? 0;
};

const has = (data: ConsoleData, seconds: number) =>
  until(async () => ((await requests(data)) === EACH * seconds ? true : undefined));

const begin = (data: ConsoleData) => {
  data.sink.opened(PROXY);
  data.sink.edge(PROXY, edge(0));
  return Math.floor(systemClock.wallTime() / 1000) - 80;
};

describe('createConsoleData', () => {
  const deaths: [how: string, kill: (data: ConsoleData, workers: Worker[]) => void][] = [
    // No carrier hands in such a thing: it stands for a bug of ours.
    ['an error that nobody catches', ({ sink }) => sink.spans(PROXY, [undefined as never])],
    ['an end from outside', (_data, workers) => workers.at(-1)?.terminate()],
  ];
  test.each(deaths)(
    'starts another thread after %s, and nothing that was reported is missing',
    async (_how, kill) => {
      using workers = caughtWorkers();
      const { data, lines } = start();
      const first = begin(data);
      report(data, first, 10);
      await has(data, 10);
      let told = 0;
      const stop = data.subscribeGraph(LIVE, { graph: () => told++, delta: () => undefined });
      await until(async () => (told > 0 ? true : undefined));
      // Handed over, perhaps read, surely not booked.
      report(data, first + 10, 10);
      await sleep(systemClock, 300);
      kill(data, workers.all);
      report(data, first + 20, 10);
      await until(async () => (data.thread().deaths === 1 ? true : undefined));
      // While none runs.
      expect(await data.storeState().catch((error: unknown) => error)).toMatchObject({
        code: 'CONSOLE_STORE_STOPPED',
      });
      report(data, first + 30, 10);
      await has(data, 40);
      expect(workers.all).toHaveLength(2);
      expect(told).toBeGreaterThan(1);
      expect(data.thread()).toEqual({ deaths: 1, lostSeconds: 0 });
      expect(lines.filter((line) => line.includes('another is started'))).toHaveLength(1);
      expect(await data.storeState()).toMatchObject({
        isPersistent: true,
        problem: expect.stringContaining('was started again'),
      });
      stop();
    },
    TEST_MS,
  );

  test(
    'changes of configuration that come while no thread runs are told to the next one',
    async () => {
      using workers = caughtWorkers();
      const mesh = new SyntheticMesh(SMALL_MESH).view();
      let change: Parameters<MeshView['onChange']>[0] = () => undefined;
      const onChange: MeshView['onChange'] = (listener) => {
        change = listener;
        return () => undefined;
      };
      const { data } = start({ ...mesh, onChange });
      await data.storeState();
      workers.all[0].terminate();
      await until(async () => (data.thread().deaths === 1 ? true : undefined));
      change({
        atMs: systemClock.wallTime(),
        kind: 'config',
        resource: 'HTTPRoute shop/cart',
        change: 'changed',
        summary: 'weights',
        before: 'a',
        after: 'b',
      });
      const nowMs = systemClock.wallTime();
      const range = { fromMs: nowMs - 60_000, toMs: nowMs + 60_000, limit: 5, visible: undefined };
      const [told] = await until(async () => {
        const changes = await data.changes(range);
        return changes.length > 0 ? changes : undefined;
      });
      expect(told.summary).toBe('weights');
    },
    TEST_MS,
  );
});
