import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import type { Mirror, Route } from '#model/route/route-table.ts';
import { HOST, POLICY, route, to, upstream, WaypointRig } from '#test/support/waypoint-rig.ts';
import { MIRROR_BODY_BYTES_MAX, MIRROR_TIMEOUT_MS, MIRRORS_IN_FLIGHT_MAX } from '../limits.ts';
import { shadowHost } from './mirror.ts';

const mirrorTo = (subset: string, percent = 100): Mirror => {
  const { weight: _weight, ...place } = to(subset);
  return { ...place, percent };
};

function rig(part: Partial<Route> = {}): WaypointRig {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [to('stable')], { mirrors: [mirrorTo('canary')], ...part })]);
  return mesh;
}
const copies = (mesh: WaypointRig) => mesh.seen.filter((seen) => seen.endpoint === 'c1');
const counted = (mesh: WaypointRig, outcome: string) =>
  mesh.registry.expose().includes(`outcome="${outcome}"`);

test.each([
  ['p.shop', 'p.shop-shadow'],
  ['p.shop:8080', 'p.shop-shadow:8080'],
  ['[::1]:80', '[::1]-shadow:80'],
  ['', '-shadow'],
])('shadowHost(%j) is %j', (authority, want) => {
  expect(shadowHost(authority)).toBe(want);
});

describe('a route with mirrors', () => {
  test('a copy with the rewritten head goes to the mirror, under the shadow name; its answer goes nowhere', async () => {
    const mesh = rig({ rewrite: { fullPath: '/v2' } as Route['rewrite'] });
    mesh.scripts.set('c1', () => ({ answer: 500, body: 'never shown' }));
    const { status, body } = await mesh.get('/v1', { 'x-user': 'ada' });
    expect([status, body.startsWith('s')]).toEqual([200, true]);
    const [copy] = copies(mesh);
    expect(copy.request.authority).toBe('product-service-shadow');
    expect(copy.request.get('x-user')).toBe('ada');
    expect(counted(mesh, 'answered')).toBe(true);
    expect(mesh.engine.mirrors.active).toBe(0);
    expect(mesh.log.split('\n').filter((line) => line !== '').length).toBe(1);
  });

  test('mirrors of the destination are added to the route’s', async () => {
    const mesh = new WaypointRig();
    const destination = { ...to('stable'), mirrors: [mirrorTo('canary')] };
    mesh.configure([route('r', [destination], { mirrors: [mirrorTo('canary')] })]);
    await mesh.get();
    expect(copies(mesh).length).toBe(2);
  });

  test('the share of copies is kept', async () => {
    const mesh = rig({ mirrors: [mirrorTo('canary', 25)] });
    for (let count = 0; count < 1000; count += 1) await mesh.get();
    expect(Math.abs(copies(mesh).length / 1000 - 0.25)).toBeLessThan(0.05);
  });

  test('a body goes to both, piece by piece', async () => {
    const mesh = rig();
    const exchange = mesh.begin('POST', '/', {}, false);
    exchange.handler.onBody(Buffer.from('hello '));
    exchange.handler.onBody(Buffer.from('world'));
    exchange.handler.onEnd(undefined);
    await mesh.settle();
    expect(exchange.status).toBe(200);
    expect(mesh.seen.map((seen) => seen.body)).toEqual(['hello world', 'hello world']);
  });

  test('a mirror that takes nothing holds nothing up, and its copy is dropped at the bound', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', () => 'hang');
    const exchange = mesh.begin('POST', '/', {}, false);
    const [copy] = copies(mesh);
    copy.paused = true;
    const piece = Buffer.alloc(64 * 1024);
    for (let sent = 0; sent <= MIRROR_BODY_BYTES_MAX + 2 * piece.length; sent += piece.length) {
      exchange.handler.onBody(piece);
      expect(exchange.paused).toBe(false);
    }
    expect(copy.aborted).toBe(true);
    expect(counted(mesh, 'dropped')).toBe(true);
    exchange.handler.onEnd(undefined);
    await mesh.settle();
    expect(exchange.status).toBe(200);
  });

  test('what waited goes out when the mirror has room again', async () => {
    const mesh = rig();
    const exchange = mesh.begin('POST', '/', {}, false);
    const [copy] = copies(mesh);
    copy.paused = true;
    exchange.handler.onBody(Buffer.from('a'));
    exchange.handler.onBody(Buffer.from('b'));
    exchange.handler.onEnd(undefined);
    expect([copy.body, copy.ended]).toEqual(['a', false]);
    copy.paused = false;
    copy.handler.onDrain();
    expect([copy.body, copy.ended]).toEqual(['ab', true]);
  });

  test.each(['refuse', 'break'] as const)(
    'a mirror that answers with %s is counted, the request is not touched',
    async (what) => {
      const mesh = rig();
      mesh.scripts.set('c1', () => what);
      expect((await mesh.get()).status).toBe(200);
      expect(counted(mesh, 'failed')).toBe(true);
      expect(mesh.engine.mirrors.active).toBe(0);
    },
  );

  test('a mirror that never answers is given up', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', () => 'hang');
    expect((await mesh.get()).status).toBe(200);
    mesh.clock.advance(MIRROR_TIMEOUT_MS + 20);
    expect(copies(mesh)[0].aborted).toBe(true);
    expect([mesh.engine.mirrors.active, mesh.engine.deadlines.pending]).toEqual([0, 0]);
  });

  test('a client that leaves in the middle takes its copy along', async () => {
    const mesh = rig();
    const exchange = mesh.begin('POST', '/', {}, false);
    exchange.handler.onBody(Buffer.from('half'));
    exchange.handler.onAbort(new MeshError('X', 'gone', { side: 'downstream', hint: 'h' }), 0);
    expect(copies(mesh)[0].aborted).toBe(true);
    expect(mesh.engine.mirrors.active).toBe(0);
  });

  test('above the bound no more copies are made', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', () => 'hang');
    for (let count = 0; count < MIRRORS_IN_FLIGHT_MAX + 10; count += 1)
      mesh.begin('GET', '/', {}, true);
    await mesh.settle();
    expect(copies(mesh).length).toBe(MIRRORS_IN_FLIGHT_MAX);
  });

  test('copies keep to the mirror’s own limit of requests', async () => {
    const mesh = new WaypointRig();
    const policy = { ...POLICY, connectionPool: { ...POLICY.connectionPool, maxRequests: 2 } };
    const subsets = [
      { name: 'stable', labels: { version: 'v1' }, policy: POLICY },
      { name: 'canary', labels: { version: 'v2' }, policy },
    ];
    mesh.configure(
      [route('r', [to('stable')], { mirrors: [mirrorTo('canary')] })],
      [upstream({ subsets })],
    );
    mesh.scripts.set('c1', () => 'hang');
    for (let count = 0; count < 5; count += 1) expect((await mesh.get()).status).toBe(200);
    expect(copies(mesh).length).toBe(2);
  });

  test('a mirror that is not configured is dropped and named among the problems', async () => {
    const mesh = rig({ mirrors: [{ ...mirrorTo('nope'), host: HOST }] });
    expect((await mesh.get()).status).toBe(200);
    expect(mesh.engine.snapshot?.problems.join()).toContain('subset nope');
  });
});
