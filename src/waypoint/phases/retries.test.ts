import { describe, expect, test } from 'bun:test';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { RetryPolicy } from '#model/route/route-table.ts';
import {
  type Behaviour,
  endpoint,
  POLICY,
  RETRIES,
  route,
  to,
  upstream,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';

const FIVE = { ...RETRIES, on: ['5xx', ...RETRIES.on] };
const always = (answer: number) => () => ({ answer });

const { outlier: _outlier, ...PATIENT } = POLICY;

function rig(retries: RetryPolicy = FIVE, kind = 'VirtualService'): WaypointRig {
  const mesh = new WaypointRig();
  const provenance = { kind, namespace: 'shop', name: 'p' };
  const subsets = [{ name: 'canary', labels: { version: 'v2' }, policy: PATIENT }];
  mesh.configure([route('r', [to('canary')], { retries, provenance })], [upstream({ subsets })]);
  return mesh;
}

async function passTime(mesh: WaypointRig, turns = 6): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    mesh.clock.advance(300);
    await mesh.settle();
  }
}

describe('two proxies on the way, both with retries', () => {
  /** The near one’s upstream is the far one, whose upstream is the application. */
  async function ask(far: WaypointRig, near: WaypointRig) {
    near.scripts.set('c1', () => 'hang');
    const client = await near.get();
    for (let turn = 0, served = 0; turn < 40; turn += 1) {
      for (; served < near.seen.length; served += 1) {
        const { request, handler, connection } = near.seen[served];
        const headers: Record<string, string> = {};
        request.forEach((name, value) => {
          headers[name] = value;
        });
        const exchange = await far.get('/', headers);
        await passTime(far);
        const head = MessageHead.response(exchange.status);
        const attempts = exchange.head?.getAll('x-envoy-attempt-count');
        if (attempts !== undefined) head.set('x-envoy-attempt-count', attempts);
        handler.onHead(head, true);
        connection.finish(false);
      }
      await passTime(near, 1);
    }
    return client;
  }

  test('an application that always says 503 is asked as often as one of them asks', async () => {
    const far = rig();
    const near = rig();
    far.scripts.set('c1', always(503));
    const client = await ask(far, near);
    expect(client.status).toBe(503);
    expect(far.seen.length).toBe(RETRIES.attempts + 1);
    expect(near.seen.length).toBe(1);
    expect(near.log).toContain('a proxy behind this one tried 3 times');
  });

  test('where only the near one retries, the far one lets it', async () => {
    const far = rig({ ...RETRIES, attempts: 0 });
    const near = rig();
    far.scripts.set('c1', always(503));
    await ask(far, near);
    expect([near.seen.length, far.seen.length]).toEqual([3, 3]);
    const counts = far.seen.map((seen) => seen.request.getAll('x-envoy-attempt-count'));
    expect(counts).toEqual(['1', '2', '3']);
  });

  test('a request that comes as a retry is not repeated again on a status', async () => {
    const far = rig();
    far.scripts.set('c1', always(503));
    const { status } = await far.get('/', { 'x-envoy-attempt-count': '2' });
    await passTime(far);
    expect([status, far.seen.length]).toEqual([503, 1]);
  });

  test('one that no application saw is', async () => {
    const far = rig();
    far.scripts.set('c1', () => 'refuse');
    await far.get('/', { 'x-envoy-attempt-count': '2' });
    await passTime(far);
    expect(far.dials.length).toBe(3);
  });
});

describe('what a caller asks for', () => {
  /** [title, route's retries, headers, requests that the application sees of an endless 503] */
  const rows: [string, RetryPolicy, Record<string, string>, number][] = [
    ['retries on a token', { ...RETRIES, on: [] }, { 'x-envoy-retry-on': '5xx' }, 3],
    [
      'retries where the route has none: one',
      { ...RETRIES, attempts: 0, on: [] },
      { 'x-envoy-retry-on': '5xx' },
      2,
    ],
    ['a number of retries', FIVE, { 'x-envoy-max-retries': '1' }, 2],
    ['no retries', FIVE, { 'x-envoy-max-retries': '0' }, 1],
    ['more than the bound', FIVE, { 'x-envoy-max-retries': '99' }, 11],
    ['status codes', RETRIES, { 'x-envoy-retriable-status-codes': '500, 503' }, 3],
    [
      'headers',
      { ...RETRIES, on: ['retriable-headers'] },
      { 'x-envoy-retriable-header-names': 'X-Again' },
      3,
    ],
  ];
  test.each(rows)('%s', async (_title, retries, headers, want) => {
    const mesh = rig(retries);
    mesh.scripts.set('c1', () => ({ answer: 503, headers: { 'x-again': '1' } }));
    await mesh.get('/', headers);
    await passTime(mesh, 40);
    expect(mesh.seen.length).toBe(want);
    for (const name in headers) expect(mesh.seen[0].request.has(name)).toBe(false);
  });

  test('is not heard from outside the mesh', async () => {
    const mesh = rig({ ...RETRIES, on: [] });
    mesh.scripts.set('c1', always(503));
    mesh.beginFrom({ security: 'none' }, 'GET', '/', { 'x-envoy-retry-on': '5xx' });
    await passTime(mesh);
    expect(mesh.seen.length).toBe(1);
  });
});

describe('the end of retries', () => {
  test('all used: URX, and the answer says how often', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', always(503));
    const exchange = await mesh.get();
    await passTime(mesh);
    expect(exchange.head?.get('x-envoy-attempt-count')).toBe('3');
    expect(mesh.log).toContain('503 URX via_upstream');
    expect(mesh.log).toContain('not retried: all 2 retries are used');
  });

  test('the budget is used up: UO', async () => {
    const mesh = new WaypointRig();
    const retryBudget = { percent: 0, minRetryConcurrency: 0, intervalMs: 0 };
    const policy = { ...POLICY, retryBudget };
    const subsets = [{ name: 'canary', labels: { version: 'v2' }, policy }];
    mesh.configure([route('r', [to('canary')], { retries: FIVE })], [upstream({ subsets })]);
    mesh.scripts.set('c1', always(503));
    await mesh.get();
    expect(mesh.seen.length).toBe(1);
    expect(mesh.log).toContain('503 UO via_upstream');
    expect(mesh.log).toContain('the retry budget is used up');
  });

  test('POST is repeated when a token asks for it, as Envoy does', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', (_request, count) => ({ answer: count === 1 ? 503 : 200 }));
    const exchange = mesh.begin('POST', '/', {}, true);
    await passTime(mesh);
    expect([exchange.status, mesh.seen.length]).toEqual([200, 2]);
  });

  test('a broken POST is not repeated by the default list: it may have been processed', async () => {
    const mesh = rig(RETRIES);
    mesh.scripts.set('c1', () => 'break');
    mesh.begin('POST', '/', {}, true);
    await passTime(mesh);
    expect(mesh.seen.length).toBe(1);
  });

  test('the share of a backend of a Gateway API route that is not there is not given to others', async () => {
    const mesh = new WaypointRig();
    const destinations = [to('canary', 1_000_000), to('stable', 1)];
    mesh.configure([route('r', destinations, { fixedShares: true })]);
    mesh.scripts.set('c1', () => 'refuse');
    const exchange = await mesh.get();
    await passTime(mesh);
    expect(exchange.status).toBe(503);
  });
});

test('a retry avoids the endpoint that failed unless told otherwise', async () => {
  const second = async (ignorePreviousHosts: boolean | undefined, seed: number) => {
    const mesh = new WaypointRig(seed);
    const subsets = [
      { name: 'stable', labels: { version: 'v1' }, policy: { ...PATIENT, loadBalancer: 'random' } },
    ] as const;
    const retries = { ...FIVE, ignorePreviousHosts };
    mesh.configure([route('r', [to('stable')], { retries })], [upstream({ subsets })]);
    for (const name of ['s1', 's2']) mesh.scripts.set(name, always(503));
    await mesh.get();
    await passTime(mesh, 1);
    return mesh.seen[0].endpoint === mesh.seen[1].endpoint;
  };
  const seeds = Array.from({ length: 20 }, (_, seed) => seed);
  const same = async (setting: boolean | undefined) =>
    (await Promise.all(seeds.map((seed) => second(setting, seed)))).includes(true);
  expect([await same(undefined), await same(true), await same(false)]).toEqual([
    false,
    false,
    true,
  ]);
});

test('a retry keeps to the endpoint of its key, unless it cannot be reached or the route says otherwise', async () => {
  const hash = {
    keys: [{ kind: 'header', name: 'user' }],
    algorithm: 'ring-hash',
    size: 1024,
  } as const;
  const endpoints = async (behaviour: Behaviour, ignorePreviousHosts?: boolean) => {
    const mesh = new WaypointRig();
    const subsets = [{ name: 'stable', labels: { version: 'v1' }, policy: { ...PATIENT, hash } }];
    const retries = { ...FIVE, ignorePreviousHosts };
    mesh.configure([route('r', [to('stable')], { retries })], [upstream({ subsets })]);
    const asked = new Set<string>();
    for (const name of ['s1', 's2']) {
      mesh.scripts.set(name, () => {
        asked.add(name);
        return behaviour;
      });
    }
    await mesh.get('/', { user: 'ann' });
    await passTime(mesh, 1);
    return asked.size;
  };
  expect(await endpoints({ answer: 503 })).toBe(1);
  expect(await endpoints('refuse')).toBe(2);
  expect(await endpoints({ answer: 503 }, true)).toBe(2);
  expect(await endpoints('refuse', false)).toBe(1);
});

test('a hashed destination sends the same client to the same endpoint and hands out its cookie', async () => {
  const mesh = new WaypointRig();
  const hash = {
    keys: [{ kind: 'cookie', name: 'sticky', ttlSeconds: 60 }],
    algorithm: 'ring-hash',
    size: 1024,
  } as const;
  const subsets = [{ name: 'stable', labels: { version: 'v1' }, policy: { ...POLICY, hash } }];
  mesh.configure([route('r', [to('stable')])], [upstream({ subsets })]);
  const first = await mesh.get();
  const cookie = first.head?.get('set-cookie') ?? '';
  expect(cookie).toStartWith('sticky="');
  const bodies = new Set<string>();
  for (let count = 0; count < 20; count += 1) {
    const again = await mesh.get('/', { cookie: cookie.split(';')[0] });
    expect(again.head?.has('set-cookie')).toBe(false);
    bodies.add(again.body);
  }
  expect([...bodies]).toEqual([first.body]);
});

describe('retryRemoteLocalities', () => {
  async function tries(part: Partial<RetryPolicy>): Promise<string[]> {
    const mesh = new WaypointRig();
    const at = (region: string) => ({ locality: { region, zone: '', subzone: '' } });
    const near = ['n1', 'n2', 'n3', 'n4'].map((name) => endpoint(name, 'v1', at('')));
    const far = ['f1', 'f2'].map((name) => endpoint(name, 'v1', at('far')));
    const policy = { ...PATIENT, locality: {} };
    const subsets = [{ name: 'stable', labels: { version: 'v1' }, policy }];
    const retries = { ...FIVE, attempts: 3, ...part };
    mesh.configure(
      [route('r', [to('stable')], { retries })],
      [upstream({ subsets, endpoints: [...far, ...near] })],
    );
    for (const { name } of [...near, ...far]) mesh.scripts.set(name, always(503));
    await mesh.get();
    await passTime(mesh, 12);
    return mesh.seen.map(({ endpoint: name }) => name[0]);
  }

  test('leaves the locality once two tries failed there', async () => {
    expect(await tries({ remoteLocalities: true })).toEqual(['n', 'n', 'f', 'n']);
    expect(await tries({ remoteLocalities: true, ignorePreviousHosts: false })).toEqual([
      'n',
      'n',
      'f',
      'n',
    ]);
  });

  test('is not done without being asked for', async () => {
    expect(await tries({})).toEqual(['n', 'n', 'n', 'n']);
  });
});
