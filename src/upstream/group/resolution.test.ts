import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { Endpoint, Upstream } from '#model/route/route-table.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ScriptedNames } from '#test/support/scripted-names.ts';
import { DIALLED_ENDPOINTS_MAX, DIALLED_IDLE_MS, RESOLVE_WAIT_MS } from '../limits.ts';
import type { PoolConnection } from '../pool/endpoint-pool.ts';
import { NameCache } from '../resolve/name-cache.ts';
import { UpstreamStore } from './upstream-store.ts';

const named = (address: string, more: Partial<Endpoint> = {}): Endpoint => ({
  uid: `entry/${address}`,
  name: 'entry',
  address,
  ports: { 80: 8080 },
  labels: {},
  locality: { region: '', zone: '', subzone: '' },
  node: '',
  weight: 1,
  healthy: true,
  protocol: 'none',
  principal: '',
  workloadName: '',
  canonicalName: '',
  canonicalRevision: '',
  ...more,
});

function setup(resolution: Upstream['resolution'], endpoints: Endpoint[], more: object = {}) {
  const clock = new FakeClock();
  const service = new ScriptedNames();
  const random = seededRandom(1);
  const store = new UpstreamStore<PoolConnection>({
    clock,
    random,
    dial: () => undefined,
    events: { onHealth: () => undefined, onLearned: () => undefined },
    names: new NameCache({ clock, random, service }),
  });
  const upstream: Upstream = {
    namespace: 'shop',
    hostname: 'db.test',
    ports: [{ port: 80, protocol: 'http' }],
    policy: {
      loadBalancer: 'round-robin',
      connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 60_000, h2Upgrade: 'default' },
    },
    subsets: [],
    resolution,
    endpoints,
    ...more,
  };
  const group = store.resolve(upstream, { port: 80 });
  if (group === undefined) throw new Error('no group');
  const addresses = () => group.states.map(({ address }) => address).sort();
  return { clock, service, store, group, addresses };
}

describe('resolution dns', () => {
  test('every answer is an endpoint; what goes away in an answer is gone, what stays is the same', () => {
    const { clock, service, group, addresses } = setup('dns', [named('db.test')]);
    service.answer('db.test', ['198.18.0.1', '198.18.0.2', '::1']);
    expect(addresses()).toEqual(['198.18.0.1:8080', '198.18.0.2:8080', '[::1]:8080']);
    const [first] = group.states;
    clock.advance(10_000);
    service.answer('db.test', ['198.18.0.1', '198.18.0.3']);
    expect(addresses()).toEqual(['198.18.0.1:8080', '198.18.0.3:8080']);
    expect(group.states[0]).toBe(first);
  });

  test('the first request waits for the first answer, and is told why there is none', () => {
    const { service, group } = setup('dns', [named('db.test')]);
    expect([group.pick(), group.isResolving()]).toEqual([undefined, true]);
    let woken = 0;
    group.whenResolved(undefined, () => {
      woken += 1;
    });
    service.fail('db.test');
    expect([woken, group.isResolving()]).toEqual([1, false]);
    expect(group.unavailableReason()).toBe('cannot resolve db.test: no such name');
  });

  test('waiting has a bound, can be given up, and leaves no timer', () => {
    const { clock, store, group } = setup('dns', [named('db.test')]);
    let woken = 0;
    const wake = () => {
      woken += 1;
    };
    group.whenResolved(undefined, wake)();
    group.whenResolved(undefined, wake);
    clock.advance(RESOLVE_WAIT_MS);
    expect(woken).toBe(1);
    store.close();
    expect(clock.pending).toBe(0);
  });

  test('names and addresses may stand side by side', () => {
    const { service, addresses } = setup('dns', [named('db.test'), named('198.18.0.9')]);
    expect(addresses()).toEqual(['198.18.0.9:8080']);
    service.answer('db.test', ['198.18.0.1']);
    expect(addresses()).toEqual(['198.18.0.1:8080', '198.18.0.9:8080']);
  });
});

test('resolution dns-round-robin: one endpoint, new connections follow the first answer', () => {
  const { clock, service, group, addresses } = setup('dns-round-robin', [named('db.test')]);
  service.answer('db.test', ['198.18.0.1', '198.18.0.2']);
  const [state] = group.states;
  expect(addresses()).toEqual(['198.18.0.1:8080']);
  clock.advance(10_000);
  service.answer('db.test', ['198.18.0.3', '198.18.0.4']);
  expect(group.states).toEqual([state]);
  expect([state.address, state.endpoint.address]).toEqual(['198.18.0.3:8080', '198.18.0.3']);
});

describe('resolution passthrough', () => {
  test('goes where the client dialled, to the mesh’s own endpoint where that is one', () => {
    const own = named('198.18.0.5', { ports: { 80: 80 }, protocol: 'hbone' });
    const { group } = setup('passthrough', [own]);
    const at = (host: string) => group.pick(undefined, { dialled: { host, port: 80 } });
    const first = at('198.18.0.7');
    expect(first?.address).toBe('198.18.0.7:80');
    expect(at('198.18.0.7')).toBe(first);
    expect(at('198.18.0.5')?.endpoint.protocol).toBe('hbone');
  });

  test('has nowhere to go when no client dialled it', () => {
    const { group } = setup('passthrough', []);
    expect(group.pick(undefined, { authority: 'db.test' })).toBeUndefined();
    expect(group.unavailableReason({ authority: 'db.test' })).toContain('clients dial a gateway');
  });

  test('keeps a bounded number of destinations, none that is in use goes', () => {
    const { group } = setup('passthrough', []);
    const at = (index: number) =>
      group.pick(undefined, { dialled: { host: `198.18.${index >> 8}.${index & 255}`, port: 80 } });
    const busy = at(0);
    if (busy === undefined) throw new Error('no endpoint');
    busy.active = 1;
    for (let index = 1; index <= DIALLED_ENDPOINTS_MAX + 5; index += 1)
      expect(at(index)).toBeDefined();
    expect(group.states).toHaveLength(DIALLED_ENDPOINTS_MAX);
    expect(at(0)).toBe(busy);
    for (const state of group.states) state.active = 1;
    expect(at(9999)).toBeUndefined();
    expect(group.unavailableReason({ dialled: { host: '198.18.39.15', port: 80 } })).toContain(
      'other destinations are in use',
    );
  });

  test('forgets what nobody asked for in a while', () => {
    const { clock, group } = setup('passthrough', []);
    group.pick(undefined, { dialled: { host: '198.18.0.7', port: 80 } });
    clock.advance(DIALLED_IDLE_MS + 1000);
    expect(group.states).toHaveLength(0);
  });

  test('a PASSTHROUGH policy takes the dialled endpoint, and any where a virtual address was dialled', () => {
    const endpoints = ['198.18.0.1', '198.18.0.2'].map((each) => named(each));
    const policy = {
      loadBalancer: 'passthrough',
      connectionPool: { connectTimeoutMs: 1, idleTimeoutMs: 1, h2Upgrade: 'default' },
    };
    const { group } = setup(undefined, endpoints, { policy });
    const at = (host: string, port: number) =>
      group.pick(undefined, { dialled: { host, port } })?.address;
    for (let draw = 0; draw < 10; draw += 1) expect(at('198.18.0.2', 8080)).toBe('198.18.0.2:8080');
    expect(at('198.19.0.1', 80)).toMatch(/^198\.18\.0\.[12]:8080$/);
  });
});

describe('resolution dynamic-dns', () => {
  const wild = () => setup('dynamic-dns', [], { hostname: '*.example.test' });

  test('resolves the host of the request, with its own first wait', () => {
    const { service, group } = wild();
    const context = { authority: 'a.example.test:80' };
    expect([group.pick(undefined, context), group.isResolving(context)]).toEqual([undefined, true]);
    let woken = 0;
    group.whenResolved(context, () => {
      woken += 1;
    });
    group.pick(undefined, { authority: 'b.example.test' });
    service.answer('b.example.test', ['198.18.0.2']);
    expect(woken).toBe(0);
    service.answer('a.example.test', ['198.18.0.1']);
    expect(woken).toBe(1);
    const state = group.pick(undefined, context);
    expect([state?.address, state?.endpoint.name]).toEqual(['198.18.0.1:80', 'a.example.test']);
  });

  test.each(['evil.test', 'example.test', 'a.example.test.evil.test', '198.18.0.1', ''])(
    'never resolves %p, which the wildcard does not cover',
    (authority) => {
      const { service, group } = wild();
      expect(group.pick(undefined, { authority })).toBeUndefined();
      expect(service.asked).toEqual([]);
      expect(group.unavailableReason({ authority })).toContain('no host of *.example.test');
    },
  );

  test('a name that fails says why', () => {
    const { service, group } = wild();
    const context = { authority: 'a.example.test' };
    group.pick(undefined, context);
    service.fail('a.example.test');
    expect(group.isResolving(context)).toBe(false);
    expect(group.unavailableReason(context)).toBe('cannot resolve a.example.test: no such name');
  });
});
