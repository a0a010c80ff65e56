import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { Endpoint, TrafficPolicy, Upstream } from '#model/route/route-table.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import type { PoolConnection } from '../pool/endpoint-pool.ts';
import { UpstreamStore } from './upstream-store.ts';

const POLICY: TrafficPolicy = {
  loadBalancer: 'least-request',
  connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 60_000, h2Upgrade: 'upgrade' },
  outlier: {
    consecutive5xx: 3,
    consecutiveGatewayErrors: 0,
    intervalMs: 30_000,
    baseEjectionTimeMs: 60_000,
    maxEjectionPercent: 10,
    minHealthPercent: 0,
  },
};
function endpoint(name: string, version: string, part: Partial<Endpoint> = {}): Endpoint {
  return {
    uid: `c//Pod/shop/${name}`,
    name,
    address: '198.18.1.9',
    ports: { 80: 8080 },
    labels: { version },
    locality: { region: '', zone: '', subzone: '' },
    node: 'node1',
    weight: 1,
    healthy: true,
    protocol: 'hbone',
    principal: 'spiffe://cluster.local/ns/shop/sa/p',
    workloadName: 'p',
    canonicalName: 'p',
    canonicalRevision: version,
    ...part,
  };
}
function upstream(endpoints: Endpoint[], policy = POLICY): Upstream {
  return {
    namespace: 'shop',
    hostname: 'p.shop.svc.cluster.local',
    ports: [{ port: 80, protocol: 'http' }],
    policy,
    subsets: [
      { name: 'stable', labels: { version: 'v1' }, policy },
      { name: 'canary', labels: { version: 'v2' }, policy },
    ],
    endpoints,
  };
}
function setup() {
  const clock = new FakeClock();
  const events: string[] = [];
  const store = new UpstreamStore<PoolConnection>({
    clock,
    random: seededRandom(1),
    dial: () => undefined,
    events: {
      onHealth: (event, group, state) =>
        events.push(`${event} ${state.endpoint.name} of ${group.key}`),
      onLearned: () => undefined,
    },
  });
  return { clock, events, store };
}
const ALL = [endpoint('a', 'v1'), endpoint('b', 'v1'), endpoint('c', 'v2')];
const names = (states: readonly { endpoint: Endpoint }[]) =>
  states.map((state) => state.endpoint.name);

describe('UpstreamStore.resolve', () => {
  test('selects a subset by labels, and only endpoints that are healthy and have the port', () => {
    const { store } = setup();
    const all = [
      ...ALL,
      endpoint('d', 'v1', { healthy: false }),
      endpoint('e', 'v1', { ports: {} }),
    ];
    const stable = store.resolve(upstream(all), { subset: 'stable', port: 80 });
    expect(names(stable?.states ?? [])).toEqual(['a', 'b']);
    expect(stable?.key).toBe('outbound|80|stable|p.shop.svc.cluster.local');
    expect(store.resolve(upstream(all), { subset: 'nope', port: 80 })).toBeUndefined();
    expect(store.resolve(upstream(all), { port: 81 })).toBeUndefined();
  });

  test('a configuration push keeps ejections, learned protocol and counters of endpoints that stay', () => {
    const { store } = setup();
    const name = { subset: 'canary', port: 80 };
    const before = store.resolve(upstream(ALL), name);
    const state = before?.states[0];
    if (before === undefined || state === undefined) throw new Error('no canary');
    for (let count = 0; count < 3; count += 1) before.reportStatus(state, 500);
    state.pool.protocol = 'h1';
    const after = store.resolve(upstream([...ALL, endpoint('f', 'v2')]), name);
    expect(after).toBe(before);
    expect(after?.states[0]).toBe(state);
    expect([state.health.state, state.pool.protocol]).toEqual(['ejected', 'h1']);
    expect(after?.pick()?.endpoint.name).toBe('f');
  });

  test('an endpoint that comes back with another address starts afresh', () => {
    const { store } = setup();
    const name = { subset: 'canary', port: 80 };
    const before = store.resolve(upstream(ALL), name)?.states[0];
    const moved = [endpoint('c', 'v2', { address: '198.18.1.10' })];
    expect(store.resolve(upstream(moved), name)?.states[0]).not.toBe(before);
  });

  test('retain closes the groups that no snapshot names, and close leaves no timer', () => {
    const { clock, store } = setup();
    const kept = store.resolve(upstream(ALL), { subset: 'stable', port: 80 });
    store.resolve(upstream(ALL), { subset: 'canary', port: 80 });
    store.retain(new Set(kept === undefined ? [] : [kept]));
    expect([...store.groups]).toEqual(kept === undefined ? [] : [kept]);
    store.close();
    expect(clock.pending).toBe(0);
  });
});

describe('EndpointGroup.pick', () => {
  test('passes over ejected endpoints, says why none is left, and takes them back later', () => {
    const { clock, events, store } = setup();
    const canary = store.resolve(upstream(ALL), { subset: 'canary', port: 80 });
    const state = canary?.states[0];
    if (canary === undefined || state === undefined) throw new Error('no canary');
    for (let count = 0; count < 3; count += 1) canary.reportStatus(state, 500);
    expect(canary.pick()).toBeUndefined();
    expect(canary.unavailableReason()).toBe(
      'all 1 endpoints of subset canary are ejected (3 consecutive 5xx errors (last: answered 500))',
    );
    clock.advance(60_000);
    expect(canary.pick()).toBe(state);
    expect(state.health.state).toBe('probing');
    expect(events).toEqual([`ejected c of ${canary.key}`, `restored c of ${canary.key}`]);
  });

  test('panic: with fewer admitting endpoints than minHealthPercent all are used', () => {
    const { store } = setup();
    const outlier = { ...POLICY.outlier, minHealthPercent: 60 } as TrafficPolicy['outlier'];
    const group = store.resolve(upstream(ALL, { ...POLICY, outlier }), {
      subset: 'stable',
      port: 80,
    });
    const state = group?.states[0];
    if (group === undefined || state === undefined) throw new Error('no stable');
    for (let count = 0; count < 3; count += 1) group.reportStatus(state, 500);
    expect(state.health.state).toBe('ejected');
    const picked = new Set(names(Array.from({ length: 40 }, () => group.pick() ?? state)));
    expect(picked).toEqual(new Set(['a', 'b']));
  });

  test('avoids what was tried when there is a choice', () => {
    const { store } = setup();
    const group = store.resolve(upstream(ALL), { subset: 'stable', port: 80 });
    const [first, second] = group?.states ?? [];
    for (let draw = 0; draw < 20; draw += 1) expect(group?.pick([first])).toBe(second);
  });

  test('an upstream without endpoints says so', () => {
    const { store } = setup();
    expect(store.resolve(upstream([]), { port: 80 })?.unavailableReason()).toBe(
      'p.shop.svc.cluster.local has no endpoints',
    );
  });
});

test('useClientProtocol keeps connections of both protocols apart, and ends those of HTTP/2 with itself', () => {
  const { store } = setup();
  const connectionPool = { ...POLICY.connectionPool, useClientProtocol: true };
  const name = { port: 80 };
  const group = store.resolve(upstream(ALL, { ...POLICY, connectionPool }), name);
  const state = group?.states[0];
  if (state === undefined) throw new Error('no endpoint');
  const h2 = state.poolFor({ isH2: true });
  const h1 = state.poolFor({ isH2: false });
  expect([h1.protocol, h2.protocol]).toEqual(['h1', 'h2']);
  expect(state.poolFor({ isH2: true })).toBe(h2);
  const failed: string[] = [];
  h2.acquire({ onConnection: () => undefined, onFail: ({ code }) => failed.push(code) });
  store.resolve(upstream(ALL), name);
  expect(failed).toEqual(['UPSTREAM_ENDPOINT_GONE']);
  expect(state.poolFor({ isH2: true })).toBe(state.poolFor({ isH2: false }));
});
