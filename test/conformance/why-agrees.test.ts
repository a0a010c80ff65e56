/**
 * `tulle why` and the waypoint that runs: the same objects derived by the control plane's graph, the same request served by the engine with
 * scripted endpoints. Status, target of a redirect, endpoint, and what arrives there must be what was foretold.
 */
import { describe, expect, test } from 'bun:test';
import type { WhyAnswer, WhyRequest } from '#cli/why/contract.ts';
import { headOf } from '#cli/why/http.ts';
import { why } from '#cli/why/why.ts';
import { type World, worldOf } from '#cli/why/world.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { parseManifests } from '#kube/manifests.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';
import { ScriptedExchange, type Seen, WaypointRig } from '#test/support/waypoint-rig.ts';
import { type IstioRow, istioCase } from '#test/support/why-cases.ts';

interface Served {
  readonly exchange: ScriptedExchange;
  readonly seen: readonly Seen[];
}

/** The engine of the waypoint that serves the destination, with what control would have pushed to it. */
async function serve(world: World, request: WhyRequest, seed: number): Promise<Served> {
  const { host, port } = request.destination;
  const found = [...world.mesh.routeTables.entries()].find(
    ([, { table }]) => table.hostname.split('.')[0] === host.split('.')[0],
  );
  if (found === undefined) throw new Error(`no waypoint serves ${host}`);
  const [key, { table }] = found;
  const rig = new WaypointRig(seed);
  rig.engine.configure({
    tables: [[key, table]],
    upstream: (name) => world.mesh.upstreams.get(name),
  });
  const exchange = new ScriptedExchange(headOf(request, host, 'http'), true);
  rig.engine.serve(rig.tunnel({ host: table.addresses[0], port }), exchange);
  for (let turn = 0; turn < 20; turn += 1) await rig.settle();
  return { exchange, seen: rig.seen };
}

/** Mirrors go beside the request, with a name that tells them. */
const isCopy = ({ request }: Seen) => request.authority.includes('-shadow');

function expectAgreement(answer: WhyAnswer, { exchange, seen }: Served): void {
  const requests = seen.filter((each) => !isCopy(each));
  const { head, status } = exchange;
  for (const [name, value] of Object.entries(answer.response?.set ?? {}))
    expect(head?.get(name.toLowerCase())).toBe(value);
  if (answer.verdict !== 'forward') {
    expect(requests).toEqual([]);
    expect(status).toBe(answer.status as number);
    expect(head?.get('location')).toBe(answer.redirect?.location);
    return;
  }
  expect(status).toBe(200);
  const [{ request, endpoint }] = requests;
  const names = answer.destinations.flatMap(({ endpoints }) =>
    endpoints.map(({ workload = '' }) => workload.split('/')[1]),
  );
  // Endpoints that no file holds are not in the answer.
  if (names.length > 0) expect(names).toContain(endpoint);
  expectRequest(answer, request, exchange.request);
  for (const [name, value] of Object.entries(answer.response?.add ?? {}))
    expect(head?.getAll(name.toLowerCase())).toEndWith(value);
}

function expectRequest({ request = {} }: WhyAnswer, sent: MessageHead, asked: MessageHead): void {
  const { host, path, set = {}, add = {}, remove = [] } = request;
  if (host !== undefined) expect(sent.authority).toBe(host);
  if (path !== undefined) expect(sent.path).toBe(path);
  else expect(sent.path).toBe(asked.path);
  for (const [name, value] of Object.entries(set)) expect(sent.get(name.toLowerCase())).toBe(value);
  for (const [name, value] of Object.entries(add))
    expect(sent.getAll(name.toLowerCase())).toEndWith(value);
  for (const name of remove) expect(sent.has(name.toLowerCase())).toBe(false);
}

const MESH = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint }
spec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }
---
apiVersion: v1
kind: Service
metadata: { name: p }
spec: { selector: { app: p }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: p-1, labels: { app: p, version: v1 } }
spec: { containers: [] }
status: { podIP: 10.0.0.1 }
---
apiVersion: v1
kind: Pod
metadata: { name: p-2, labels: { app: p, version: v2 } }
spec: { containers: [] }
status: { podIP: 10.0.0.2 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: p }
spec:
  host: p
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: v3, labels: { version: v3 } }]
`;
const RULES = `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: p }
spec:
  hosts: [p]
  http:
  - { match: [{ uri: { exact: /redirect } }], redirect: { uri: /new, authority: other, redirectCode: 307 } }
  - { match: [{ uri: { exact: /answer } }], directResponse: { status: 418, body: { string: tea } } }
  - { match: [{ uri: { exact: /fault } }], fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }, route: [{ destination: { host: p } }] }
  - { match: [{ uri: { exact: /v3 } }], route: [{ destination: { host: p, subset: v3 } }] }
  - { match: [{ uri: { exact: /typo } }], route: [{ destination: { host: typo } }] }
  - { match: [{ uri: { prefix: /cors } }], corsPolicy: { allowOrigins: [{ exact: 'https://a' }], allowMethods: [GET] }, route: [{ destination: { host: p } }] }
  - { match: [{ headers: { x-v: { exact: "2" } } }], route: [{ destination: { host: p, subset: v2 } }] }
  - { match: [{ uri: { regex: '/r/[0-9]+' } }], rewrite: { uriRegexRewrite: { match: '/r/(.*)', rewrite: '/n/\\\\1' } }, route: [{ destination: { host: p } }] }
  - match: [{ uri: { prefix: /api }, queryParams: { q: { exact: "1" } } }]
    rewrite: { uri: /v2, authority: inner }
    headers: { request: { set: { x-a: "1" }, add: { x-b: "2" }, remove: [x-c] }, response: { set: { x-d: "4" } } }
    mirror: { host: p }
    route:
    - { destination: { host: p, subset: v1 }, weight: 1, headers: { request: { set: { x-e: "5" } } } }
  - { match: [{ uri: { prefix: /split } }], route: [{ destination: { host: p, subset: v1 }, weight: 50 }, { destination: { host: p, subset: v2 }, weight: 50 }] }
`;

const ask = (path: string, headers: Record<string, string> = {}, method = 'GET'): WhyRequest => ({
  source: { namespace: 'shop', serviceAccount: 'web' },
  destination: { host: 'p', port: 80 },
  method,
  path,
  headers,
});

describe('why and the waypoint agree', () => {
  const objects = parseManifests(MESH + RULES, 'mesh').map(({ object }) => object);
  const requests: [string, WhyRequest, WhyAnswer['verdict']][] = [
    ['a redirect', ask('/redirect?q=1'), 'redirect'],
    ['an answer', ask('/answer'), 'respond'],
    ['a fault', ask('/fault'), 'respond'],
    ['a subset without endpoints', ask('/v3'), 'respond'],
    ['a host that is not there', ask('/typo'), 'respond'],
    ['no route', ask('/nothing'), 'no-route'],
    [
      'a preflight',
      ask('/cors', { origin: 'https://a', 'access-control-request-method': 'GET' }, 'OPTIONS'),
      'respond',
    ],
    ['a cross-origin request', ask('/cors/x', { origin: 'https://a' }), 'forward'],
    ['a request of another origin', ask('/cors/x', { origin: 'https://b' }), 'forward'],
    ['a header that chooses', ask('/nothing', { 'x-v': '2' }), 'forward'],
    ['a rewritten path', ask('/r/12?q'), 'forward'],
    ['changed fields', ask('/api/x?q=1', { 'x-c': '3', 'x-b': '1' }), 'forward'],
    ['a share', ask('/split/x'), 'forward'],
  ];
  test.each(requests)('on %s', async (_title, request, verdict) => {
    const world = worldOf(objects, 'shop');
    const answer = why(world, request);
    expect(answer.verdict).toBe(verdict);
    for (let seed = 1; seed <= 5; seed += 1)
      expectAgreement(answer, await serve(world, request, seed));
  });

  test('on the shares of a split', async () => {
    const world = worldOf(objects, 'shop');
    const answer = why(world, ask('/split/x'));
    expect(answer.destinations.map(({ weight }) => weight)).toEqual([50, 50]);
    const chosen = new Set<string>();
    for (let seed = 1; seed <= 20; seed += 1)
      chosen.add((await serve(world, ask('/split/x'), seed)).seen[0].endpoint);
    expect(chosen).toEqual(new Set(['p-1', 'p-2']));
  });

  const rows = (foreignCases<IstioRow>('routing-istio.json') ?? []).filter(
    ({ viaIngress, config }) => !viaIngress && !config.includes('EnvoyFilter'),
  );
  test.each(rows.map((row) => [row.id, row.name, row] as const))(
    'on the case %s %s',
    async (_id, _name, row) => {
      const { manifests, requests: asked } = istioCase(row, 'ambient');
      const world = worldOf(
        manifests.flatMap((text) => parseManifests(text, 'case').map(({ object }) => object)),
      );
      const answer = why(world, asked[0]);
      expectAgreement(answer, await serve(world, asked[0], 1));
    },
  );
});
