/**
 * `bun test/bench/micro-pick.ts`: what one pick of an endpoint costs, by policy and number of endpoints. Best of several runs; on a
 * shared machine trust the ratios.
 */
import { systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import type { Endpoint, TrafficPolicy } from '#model/route/route-table.ts';
import { EndpointGroup } from '#upstream/group/endpoint-group.ts';
import type { EndpointState } from '#upstream/group/endpoint-state.ts';
import { hashText } from '#upstream/hash/hash-text.ts';
import { requestHash } from '#upstream/hash/request-hash.ts';
import type { PoolConnection } from '#upstream/pool/endpoint-pool.ts';

const RUNS = 7;
const TURNS = 200_000;
const COUNTS = [1, 10, 10_000];

const hash = { keys: [{ kind: 'header' as const, name: 'x-user' }], size: 65_537 };
const POLICIES: Record<string, Partial<TrafficPolicy> & { weights?: boolean }> = {
  'least-request': {},
  'least-request, weights': { weights: true },
  'round-robin': { loadBalancer: 'round-robin' },
  'round-robin, weights': { loadBalancer: 'round-robin', weights: true },
  random: { loadBalancer: 'random' },
  'random, weights': { loadBalancer: 'random', weights: true },
  'ring hash': { hash: { ...hash, algorithm: 'ring-hash' } },
  maglev: { hash: { ...hash, algorithm: 'maglev' } },
  'least-request, four localities': { locality: {} },
};

function endpointAt(index: number, weight: number): Endpoint {
  return {
    uid: `e${index}`,
    name: `e${index}`,
    address: `198.18.${index >> 8}.${index & 255}`,
    ports: { 80: 8080 },
    labels: {},
    locality: { region: `r${index % 2}`, zone: `z${index % 4}`, subzone: '' },
    node: '',
    weight,
    healthy: true,
    protocol: 'hbone',
    principal: '',
    workloadName: '',
    canonicalName: '',
    canonicalRevision: '',
  };
}

function groupOf(count: number, { weights, ...given }: (typeof POLICIES)[string]) {
  const policy: TrafficPolicy = {
    loadBalancer: 'least-request',
    connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 1000, h2Upgrade: 'default' },
    ...given,
  };
  const endpoints = Array.from({ length: count }, (_, index) =>
    endpointAt(index, weights ? 1 + (index % 5) : 1),
  );
  const deps = {
    clock: systemClock,
    random: systemRandom,
    dial: () => undefined,
    events: { onHealth: () => undefined, onLearned: () => undefined },
  };
  const upstream = {
    namespace: 'n',
    hostname: 'h',
    ports: [{ port: 80, protocol: 'http' as const }],
    policy,
    subsets: [],
    endpoints,
  };
  return new EndpointGroup<PoolConnection>('bench', deps, {
    upstream,
    subset: undefined,
    port: 80,
    protocol: 'http',
    policy,
    endpoints,
  });
}

/** ns of processor time a turn. */
function measure(turn: (at: number) => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run += 1) {
    const start = process.cpuUsage();
    for (let at = 0; at < TURNS; at += 1) turn(at);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, ((user + system) * 1000) / TURNS);
  }
  return best;
}

const contexts = Array.from({ length: 1024 }, (_, index) => ({ hash: hashText(`user ${index}`) }));
console.log(`${'ns a pick'.padEnd(34)}${COUNTS.map((each) => `${each}`.padStart(10)).join('')}`);
for (const [name, policy] of Object.entries(POLICIES)) {
  const costs = COUNTS.map((count) => {
    const group = groupOf(count, policy);
    const running: EndpointState<PoolConnection>[] = [];
    return measure((at) => {
      const state = policy.hash
        ? group.pick(undefined, contexts[at & 1023])
        : group.pick(undefined, undefined);
      if (state === undefined) return;
      // Some requests are in flight, as in life.
      state.active += 1;
      const done = running[at & 63];
      if (done !== undefined) done.active -= 1;
      running[at & 63] = state;
    });
  });
  console.log(`${name.padEnd(34)}${costs.map((cost) => cost.toFixed(0).padStart(10)).join('')}`);
}
const request = { authority: 'a', path: '/', getAll: () => 'ann' };
const source = { address: '198.18.0.1', connection: '198.18.0.1:1 198.18.0.2:2' };
const cost = measure(() => requestHash({ ...hash, algorithm: 'maglev' }, request, source));
console.log(`${'requestHash of a header'.padEnd(34)}${cost.toFixed(0).padStart(10)}`);
