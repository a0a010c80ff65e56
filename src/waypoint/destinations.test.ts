/** What DestinationRules and ServiceEntries make of a request: which endpoint it gets, what it waits for, what it is refused for. */
import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { ConsistentHash, TrafficPolicy, Upstream } from '#model/route/route-table.ts';
import {
  endpoint,
  HOST,
  POLICY,
  route,
  upstream,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';
import { RESOLVE_WAIT_MS } from '#upstream/limits.ts';

const OUTLIER = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 0,
  intervalMs: 30_000,
  baseEjectionTimeMs: 60_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};
const TO = { upstream: `shop/${HOST}`, host: 'p', port: 80, weight: 1 };
const FIVE = ['a', 'b', 'c', 'd', 'e'].map((name, at) =>
  endpoint(name, 'v1', { address: `198.18.1.${at + 10}` }),
);

function rigWith(policy: Partial<TrafficPolicy>, part: Partial<Upstream> = {}): WaypointRig {
  const rig = new WaypointRig();
  const given = upstream({
    endpoints: FIVE,
    subsets: [],
    policy: { ...POLICY, ...policy },
    ...part,
  });
  rig.configure([route('r', [TO])], [given]);
  return rig;
}

describe('consistent hashing', () => {
  const hash = (key: ConsistentHash['keys'][number]): Partial<TrafficPolicy> => ({
    hash: { keys: [key], algorithm: 'maglev', size: 65_537 },
  });

  test('the same header leads to the same endpoint, others are spread', async () => {
    const rig = rigWith(hash({ kind: 'header', name: 'x-user' }));
    const owner = async (user: string) => (await rig.get('/', { 'x-user': user })).body;
    const users = Array.from({ length: 40 }, (_, at) => `user-${at}`);
    const first = await Promise.all(users.map(owner));
    expect(await Promise.all(users.map(owner))).toEqual(first);
    expect(new Set(first).size).toBe(5);
  });

  test('a cookie is handed out once, and brings its bearer back', async () => {
    const rig = rigWith(hash({ kind: 'cookie', name: 'sticky', ttlSeconds: 60, path: '/' }));
    const first = await rig.get();
    const cookie = first.head?.get('set-cookie') ?? '';
    expect(cookie).toMatch(/^sticky="[0-9a-f]{14}"; Max-Age=60; Path=\/; HttpOnly$/);
    for (let turn = 0; turn < 10; turn += 1) {
      const next = await rig.get('/', { cookie: cookie.split(';')[0] });
      expect(next.body).toBe(first.body);
      expect(next.head?.has('set-cookie')).toBe(false);
    }
  });

  test('while its endpoint is ejected a key has another, always the same', async () => {
    const rig = rigWith(hash({ kind: 'header', name: 'x-user' }));
    const get = () => rig.get('/', { 'x-user': 'ann' });
    const home = (await get()).body;
    rig.scripts.set(home, () => ({ answer: 500 }));
    for (let count = 0; count < 3; count += 1) await get();
    const refuge = (await get()).body;
    expect(refuge).not.toBe(home);
    for (let count = 0; count < 5; count += 1) expect((await get()).body).toBe(refuge);
  });
});

describe('names', () => {
  const named = [endpoint('db', 'v1', { address: 'db.test', protocol: 'none' })];

  test('the first request waits for the name, later ones do not', async () => {
    const rig = rigWith({}, { resolution: 'dns', endpoints: named });
    const waiting = rig.begin('GET', '/', {}, true);
    await rig.settle();
    expect(waiting.status).toBe(0);
    rig.names.answer('db.test', ['198.18.2.1']);
    await rig.settle();
    expect(waiting.status).toBe(200);
    expect((await rig.get()).status).toBe(200);
    expect(rig.names.asked).toEqual(['db.test']);
  });

  test('a name without address is 503 UH with the reason', async () => {
    const rig = rigWith({}, { resolution: 'dns', endpoints: named });
    const exchange = rig.begin('GET', '/', {}, true);
    rig.names.fail('db.test');
    await rig.settle();
    expect([exchange.status, exchange.body]).toEqual([
      503,
      'no healthy upstream: cannot resolve db.test: no such name\n',
    ]);
  });

  test('a silent name service is waited for within bounds; a client that goes ends the wait', async () => {
    const rig = rigWith({}, { resolution: 'dns', endpoints: named });
    const gone = rig.begin('GET', '/', {}, true);
    const exchange = rig.begin('GET', '/', {}, true);
    gone.handler.onAbort(
      new MeshError('H1_UNEXPECTED_CLOSE', 'gone', { side: 'downstream', hint: 'h' }),
      0,
    );
    rig.clock.advance(RESOLVE_WAIT_MS);
    await rig.settle();
    expect([gone.status, exchange.status]).toEqual([0, 503]);
    expect(rig.engine.active).toBe(0);
  });
});

test('a range of addresses is one service, and goes where each client dialled', async () => {
  const rig = new WaypointRig();
  const outside = upstream({ resolution: 'passthrough', endpoints: [], subsets: [] });
  rig.configure([route('r', [TO])], [outside], { addresses: ['198.18.64.0/18', '198.18.65.1'] });
  const to = (host: string) => {
    const exchange = rig.beginFrom({ host }, 'GET', '/', {});
    return rig.settle().then(() => exchange);
  };
  expect((await to('198.18.70.1')).status).toBe(200);
  expect((await to('198.18.70.2')).status).toBe(200);
  expect(rig.dials).toEqual(['198.18.70.1', '198.18.70.2']);
  expect((await to('198.18.1.1')).status).toBe(404);
});

test('a policy that this proxy cannot carry out is refused with its reason', async () => {
  const rig = rigWith({ refusal: 'DestinationRule shop/p asks for a tunnel' });
  const { status, body } = await rig.get();
  expect([status, body]).toEqual([
    503,
    'no destination: DestinationRule shop/p asks for a tunnel\n',
  ]);
});

describe('localities', () => {
  const at = (name: string, zone: string) =>
    endpoint(name, 'v1', {
      address: `198.18.3.${name.charCodeAt(0)}`,
      locality: { region: 'r1', zone, subzone: '' },
    });
  const endpoints = [at('a', 'z1'), at('b', 'z1'), at('x', 'z2'), at('y', 'z2')];
  const place = {
    locality: { region: 'r1', zone: 'z1', subzone: '' },
    node: '',
    network: '',
    labels: {},
  };
  async function served(rig: WaypointRig, count = 200): Promise<Set<string>> {
    const names = new Set<string>();
    for (let turn = 0; turn < count; turn += 1) names.add((await rig.get()).body);
    return names;
  }

  test('the own zone first, once the proxy knows where it is', async () => {
    const rig = rigWith({ locality: {} }, { endpoints });
    expect((await served(rig)).size).toBe(4);
    rig.engine.relocate(place);
    expect(await served(rig)).toEqual(new Set(['a', 'b']));
  });

  test('half of the zone out: some spills over; all out: everything', async () => {
    const rig = rigWith(
      { locality: {}, outlier: { ...OUTLIER, maxEjectionPercent: 100 } },
      { endpoints },
    );
    rig.engine.relocate(place);
    const eject = async (name: string) => {
      rig.scripts.set(name, () => ({ answer: 500 }));
      for (let count = 0; count < 20; count += 1) await rig.get();
    };
    await eject('a');
    expect(await served(rig)).toEqual(new Set(['b', 'x', 'y']));
    await eject('b');
    expect(await served(rig)).toEqual(new Set(['x', 'y']));
  });
});

test('an endpoint that is not ready any more gets nothing new at once, and finishes what it has', async () => {
  const rig = rigWith({});
  rig.scripts.set('a', () => 'hang');
  const running = [];
  for (let turn = 0; turn < 5; turn += 1) running.push(await rig.get());
  const [held] = rig.seen.filter((seen) => seen.endpoint === 'a');
  const endpoints = FIVE.map((each) => (each.name === 'a' ? { ...each, healthy: false } : each));
  rig.configure([route('r', [TO])], [upstream({ endpoints, subsets: [], policy: POLICY })]);
  const after = new Set<string>();
  for (let turn = 0; turn < 20; turn += 1) after.add((await rig.get()).body);
  expect(after).toEqual(new Set(['b', 'c', 'd', 'e']));
  expect([held.aborted, running.filter(({ status }) => status === 0).length]).toEqual([false, 1]);
  held.handler.onHead(MessageHead.response(200), true);
  await rig.settle();
  expect(running.every(({ status }) => status === 200)).toBe(true);
  expect(rig.engine.active).toBe(0);
});

test('the limit that refuses is named', async () => {
  const rig = rigWith({ connectionPool: { ...POLICY.connectionPool, maxPendingRequests: 1 } });
  // Nobody answers the dial: the first waits, the second is one too many.
  rig.holdDials = true;
  rig.begin('GET', '/', {}, true);
  const { status, body } = await rig.get();
  expect([status, body]).toEqual([
    503,
    'upstream connect error or disconnect before headers: overflow: connection pool overflow: 1 requests wait for a connection (limit 1)\n',
  ]);
});
