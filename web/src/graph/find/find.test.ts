import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import { found, hidden } from './apply.ts';
import { parseExpression } from './parse.ts';

const TRAFFIC = {
  requestsPerSecond: 10,
  errorRate: 0.02,
  connectionsPerSecond: 1,
  bytesPerSecond: 100,
  classes: { '2xx': 1, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
};
const node = (name: string, more: Partial<GraphNode> = {}): GraphNode => ({
  id: `workload/shop/${name}`,
  kind: 'workload',
  namespace: 'shop',
  name,
  app: name.split('-')[0],
  version: name.split('-')[1] ?? '',
  labels: { team: 'core' },
  health: { status: 'healthy', reason: '', samples: 100 },
  badges: [],
  isOutside: false,
  inbound: TRAFFIC,
  outbound: TRAFFIC,
  ...more,
});
const edge = (source: GraphNode, target: GraphNode, more: Partial<GraphEdge> = {}): GraphEdge => ({
  id: `${source.name} ${target.name}`,
  source: source.id,
  target: target.id,
  protocol: 'http',
  requestsPerSecond: 5,
  errorRate: 0,
  p95Ms: 40,
  bytesPerSecond: 10,
  connectionsPerSecond: 1,
  mtls: 1,
  responseCodes: { '200': 5 },
  flags: {},
  health: { status: 'healthy', reason: '', samples: 50 },
  ...more,
});
const web = node('web-v1');
const cart = node('cart-v1', {
  health: { status: 'failing', reason: '', samples: 9 },
  inbound: { ...TRAFFIC, errorRate: 0.2 },
});
const cart2 = node('cart-v2', {
  badges: ['canary'],
  labels: {},
  inbound: { ...TRAFFIC, errorRate: 0, requestsPerSecond: 0 },
});
const store = node('store', { namespace: 'data', isOutside: true });
const GRAPH = {
  nodes: [web, cart, cart2, store],
  edges: [
    edge(web, cart, {
      errorRate: 0.2,
      responseCodes: { '200': 4, '503': 1 },
      flags: { UF: 1 },
      health: { status: 'failing', reason: '', samples: 50 },
    }),
    edge(web, cart2, { p95Ms: 1500 }),
    edge(cart, store, { protocol: 'tcp', mtls: 0.4, requestsPerSecond: 0, p95Ms: undefined }),
  ],
};
const names = (text: string) => {
  const { test: wanted, problem } = parseExpression(text);
  expect(problem).toBeUndefined();
  return [...(found(GRAPH, wanted) ?? [])].map((id) => id.replace('workload/shop/', ''));
};

describe('parseExpression finds', () => {
  const rows: [string, string[]][] = [
    ['http.errors > 1%', ['web-v1', 'cart-v1', 'store', 'web-v1 cart-v1']],
    ['http.errors>=20', ['cart-v1', 'web-v1 cart-v1']],
    ['mtls < 100%', ['cart-v1 store']],
    ['p95 > 1s', ['web-v1 cart-v2']],
    ['p95 > 1000ms', ['web-v1 cart-v2']],
    ['namespace = data', ['store', 'cart-v1 store']],
    ['version ~ v2', ['cart-v2', 'web-v1 cart-v2']],
    ['version = V2 and kind = workload', ['cart-v2']],
    ['name !~ cart and kind = workload', ['web-v1', 'store']],
    ['failing', ['cart-v1', 'web-v1 cart-v1']],
    ['failing and protocol = http', ['web-v1 cart-v1']],
    ['outside or badge = canary', ['cart-v2', 'store']],
    ['not (failing or healthy)', []],
    ['!traffic', []],
    ['code = 503', ['web-v1 cart-v1']],
    ['flag = UF', ['web-v1 cart-v1']],
    ['tcp.rate > 0 and protocol = tcp', ['cart-v1 store']],
    ['label:team = core and name = web-v1 and kind = workload', ['web-v1']],
    ['"shop/cart"', ['cart-v1', 'cart-v2']],
    ['plaintext', ['cart-v1 store']],
    ['source = cart-v1', ['cart-v1 store']],
    ['rate = 0 and kind = workload', ['cart-v2']],
  ];
  for (const [text, want] of rows) test(text, () => expect(names(text)).toEqual(want));
});

describe('parseExpression says what is wrong with', () => {
  const rows: [string, string][] = [
    ['http.errors >', 'a value has to follow >'],
    ['(failing', 'a bracket is not closed'],
    ['failing)', '")" was not expected here'],
    ['speed > 3', 'there is no field speed'],
    ['rate > fast', 'fast is not a number'],
    ['rate', 'rate needs a comparison'],
    ['name = "x', 'a quote is not closed'],
    ['failing and', 'something is missing'],
    ['constructor = 1', 'there is no field constructor'],
  ];
  for (const [text, want] of rows)
    test(text, () => {
      expect(parseExpression(text).problem).toContain(want);
    });
});

test('parseExpression takes any text and never throws', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const { test: wanted } = parseExpression(text);
      if (wanted !== undefined) found(GRAPH, wanted);
    }),
    { seed: 11 },
  );
});

test('hidden takes nodes with their edges, and edges alone', () => {
  expect(
    hidden(GRAPH, parseExpression('kind = workload and failing').test).edges.map((each) => each.id),
  ).toEqual(['web-v1 cart-v2']);
  const plain = hidden(GRAPH, parseExpression('protocol = tcp').test);
  expect(plain.nodes).toHaveLength(4);
  expect(plain.edges).toHaveLength(2);
  expect(hidden(GRAPH, undefined)).toBe(GRAPH);
});
