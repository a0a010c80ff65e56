/**
 * Many requests with every feature at once, against applications that answer, hang, break and refuse, clients that leave, and
 * configurations that change: whatever happens, each request ends exactly once with one log line, and nothing is left counted.
 */
import { expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { type Random, seededRandom } from '#base/random.ts';
import type { Mirror, Route, TrafficPolicy } from '#model/route/route-table.ts';
import {
  type Behaviour,
  POLICY,
  RETRIES,
  route,
  type ScriptedExchange,
  to,
  upstream,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';

const REQUESTS = 150;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const BEHAVIOURS: readonly Behaviour[] = [
  { answer: 200 },
  { answer: 200 },
  { answer: 503 },
  { answer: 404 },
  'hang',
  'break',
  'refuse',
  'stale',
  'half',
  { error: 'H2_STREAM_REFUSED' },
  { error: 'H2_PROTOCOL' },
];
const pick = <T>(random: Random, all: readonly T[]): T => all[random.integer(all.length)];
const mirror = (subset: string): Mirror => {
  const { weight: _weight, ...place } = to(subset);
  return { ...place, percent: 50 };
};

function ruleOf(random: Random): Route {
  const maybe = <T>(value: T): T | undefined => (random.fraction() < 0.4 ? value : undefined);
  const retries = {
    ...RETRIES,
    attempts: random.integer(4),
    on: ['5xx', 'connect-failure', 'refused-stream'],
    perTryTimeoutMs: maybe(80),
  };
  return route('r', [to('stable', 3), to('canary', 1)], {
    retries,
    timeoutMs: maybe(300),
    mirrors: maybe([mirror('canary')]),
    fault: maybe({
      delay: { ms: 40, percent: 30 },
      abort: { percent: 10, httpStatus: 500 },
    }),
    rateLimits: maybe([
      {
        id: 'l',
        provenance: { kind: 'LocalRateLimit', namespace: 'shop', name: 'l' },
        key: { kind: 'overall' },
        requests: 20,
        unitMs: 1000,
        burst: 10,
      } as const,
    ]),
  });
}

function configure(mesh: WaypointRig, random: Random): void {
  const connectionPool = { ...POLICY.connectionPool, maxRequests: 3 + random.integer(20) };
  const policy: TrafficPolicy = { ...POLICY, connectionPool };
  const subsets = ['stable', 'canary'].map((name, at) => ({
    name,
    labels: { version: `v${at + 1}` },
    policy,
  }));
  const denied =
    random.fraction() < 0.05 ? { policy: 'p', reason: 'a policy forbids it' } : undefined;
  const shedding = {
    id: 's',
    provenance: { kind: 'LoadShedding', namespace: 'shop', name: 's' },
    maxRequests: 30,
    adaptive: { minRequests: 5, tolerancePercent: 200 },
    retryAfterSeconds: 1,
  };
  const part = random.fraction() < 0.3 ? { shedding: [shedding] } : {};
  mesh.configure([ruleOf(random)], [upstream({ policy, subsets, denied })], part);
}

test.each(SEEDS)('seed %d: every request ends once, and nothing is left', async (seed) => {
  const random = seededRandom(seed);
  const mesh = new WaypointRig(seed, { streamLifeMs: 2_000 });
  configure(mesh, random);
  const open: ScriptedExchange[] = [];
  for (const name of ['s1', 's2', 'c1']) {
    let behaviour = pick(random, BEHAVIOURS);
    // One refusal stands for the time until the next change: dials ask, too.
    mesh.scripts.set(name, (_request, count) => {
      if (count !== -1) behaviour = pick(random, BEHAVIOURS);
      return behaviour;
    });
  }
  for (let count = 0; count < REQUESTS; count += 1) {
    const hasBody = random.fraction() < 0.4;
    const headers: Record<string, string> = {};
    if (random.fraction() < 0.2) headers['content-type'] = 'application/grpc';
    if (random.fraction() < 0.2) headers['x-envoy-attempt-count'] = '2';
    const exchange = mesh.begin(pick(random, ['GET', 'POST', 'PUT']), '/', headers, !hasBody);
    open.push(exchange);
    const act = random.fraction();
    if (hasBody && act < 0.9) {
      exchange.handler.onBody(Buffer.alloc(random.integer(3) === 0 ? 400_000 : 10));
      if (act < 0.8) exchange.handler.onEnd(undefined);
    }
    await mesh.settle();
    if (act < 0.05) {
      const gone = new MeshError('X', 'gone', { side: 'downstream', hint: 'h' });
      pick(random, open).handler.onAbort(gone, 0);
    }
    if (random.fraction() < 0.05) configure(mesh, random);
    if (random.fraction() < 0.5) mesh.clock.advance(random.integer(60));
    await mesh.settle();
  }
  for (let turn = 0; turn < 200; turn += 1) {
    mesh.clock.advance(200);
    await mesh.settle();
  }
  expect([mesh.engine.active, mesh.engine.mirrors.active, mesh.engine.deadlines.pending]).toEqual([
    0, 0, 0,
  ]);
  for (const group of mesh.engine.upstreams.groups) {
    expect([group.active, group.retries.active, group.share.pending]).toEqual([0, 0, 0]);
    for (const state of group.states) expect(state.active).toBe(0);
  }
  const lines = mesh.log.split('\n').filter((line) => line !== '');
  expect(lines.length).toBe(REQUESTS);
  for (const exchange of open) {
    // Answered wholly, or broken off; never both, never neither, unless its client left.
    if (exchange.status !== 0) expect(exchange.ended !== exchange.aborted).toBe(true);
  }
});
