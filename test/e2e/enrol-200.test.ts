/**
 * Two hundred pods are let into the mesh and out of it by one label, while connections are opened and streams run between
 * pods that stay as they are and from them to those that change. Nobody's request fails.
 */
import { describe, expect, test } from 'bun:test';
import { CaptureCluster } from '#test/support/capture-cluster.ts';
import type { RigPod } from '#test/support/capture-rig.ts';
import { eventually, missingFor } from '#test/support/lab.ts';
import { call, dial, serveApp, type Talk } from '#test/support/talk.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;
const PODS = 200;
/** Pods in the mesh from the start, and some that never are: they do not change. */
const INSIDE = 8;
const OUTSIDE = 4;
/** Of each kind of load; each has one connection at a time. */
const WORKERS = 4;
const PORT = 8080;
const MODE = 'istio.io/dataplane-mode';
const CHANGE_MS = 60_000;

interface Load extends AsyncDisposable {
  requests: number;
  readonly failures: string[];
}

/** Calls without a pause, each a connection of its own, until disposed. */
function startLoad(pairs: () => [from: RigPod, to: RigPod]): Load {
  let running = true;
  const load: Load = {
    requests: 0,
    failures: [],
    async [Symbol.asyncDispose]() {
      running = false;
      await done;
    },
  };
  const work = async () => {
    while (running) {
      const [from, to] = pairs();
      const outcome = await call(from.namespace.handle, { address: to.ipv4, port: PORT });
      load.requests++;
      if (outcome !== from.ipv4) load.failures.push(`${from.name} to ${to.name}: ${outcome}`);
    }
  };
  const done = Promise.all(Array.from({ length: WORKERS }, work));
  return load;
}

/** Each call gives the next pair, around and around. */
function rotate(from: readonly RigPod[], to: readonly RigPod[]): () => [RigPod, RigPod] {
  let turn = 0;
  return () => {
    turn++;
    return [from[turn % from.length], to[turn % to.length]];
  };
}

/** Answers once more, so that what it shares with nobody still works. */
async function ping(talk: Talk): Promise<boolean> {
  const before = talk.receivedBytes;
  talk.send('again');
  await eventually('the echo', async () => (talk.receivedBytes > before ? true : undefined));
  return true;
}

describe.skipIf(skip)('two hundred pods', () => {
  test(
    'enter and leave the mesh under load, and no request fails',
    async () => {
      await using cluster = await CaptureCluster.start({});
      const { rig } = cluster;
      const pods = await rig.addPods(INSIDE + OUTSIDE + PODS);
      const inside = pods.slice(0, INSIDE);
      const outside = pods.slice(INSIDE, INSIDE + OUTSIDE);
      const changing = pods.slice(INSIDE + OUTSIDE);
      using _apps = new DisposableStack();
      for (const pod of pods) _apps.use(serveApp(pod.namespace.handle, PORT));
      for (const pod of inside) await cluster.create(pod, { labels: { [MODE]: 'ambient' } });
      for (const pod of outside) await cluster.create(pod, { labels: { [MODE]: 'none' } });
      for (const pod of changing) await cluster.create(pod);
      const before = changing
        .map(({ namespace }) => namespace)
        .at(-1)
        ?.listing();
      cluster.follow();
      await eventually('the first pods', async () =>
        inside.every(({ captured }) => captured) ? true : undefined,
      );

      const steady = startLoad(rotate([...inside.slice(0, 4), ...outside], inside.slice(4)));
      const towards = startLoad(rotate([...inside, ...outside], changing));
      const away = startLoad(rotate(changing, [...inside, ...outside]));
      const among = startLoad(rotate(changing, [...changing].reverse()));
      const loads = [steady, towards, away, among];
      await using _loads = new AsyncDisposableStack();
      for (const load of loads) _loads.use(load);
      const streams = await Promise.all(
        changing
          .slice(0, 20)
          .map((pod, index) =>
            dial(inside[index % INSIDE].namespace.handle, { address: pod.ipv4, port: PORT }),
          ),
      );

      await cluster.label({ [MODE]: 'ambient' });
      await eventually(
        'all inside',
        async () => (changing.every(({ captured }) => captured) ? true : undefined),
        CHANGE_MS,
      );
      const atMost = loads.map(({ requests }) => requests);
      expect(await Promise.all(streams.map(ping))).not.toContain(false);
      const through = await Promise.all(
        changing
          .slice(0, 20)
          .map((pod, index) =>
            dial(inside[index % INSIDE].namespace.handle, { address: pod.ipv4, port: PORT }),
          ),
      );
      await eventually('load on all inside', async () =>
        loads.every(({ requests }, index) => requests > atMost[index] + 200) ? true : undefined,
      );
      await cluster.label({ [MODE]: null });
      await eventually(
        'all outside',
        async () => (changing.some(({ captured }) => captured) ? undefined : true),
        CHANGE_MS,
      );
      expect(await Promise.all([...streams, ...through].map(ping))).not.toContain(false);
      for (const { connection } of [...streams, ...through]) connection.end();
      await eventually(
        'all gone',
        async () => (changing.every(({ uid }) => rig.agent.isStranger(uid)) ? true : undefined),
        CHANGE_MS,
      );
      await _loads.disposeAsync();
      for (const load of loads) {
        expect(load.failures).toEqual([]);
        expect(load.requests).toBeGreaterThan(PODS);
      }
      expect(changing.at(-1)?.namespace.listing()).toBe(before ?? '');
      expect(inside.every(({ captured }) => captured)).toBe(true);
    },
    3 * CHANGE_MS,
  );
});
