import { expect, test } from 'bun:test';
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import { menuOf } from './menu-items.ts';

const node = (kind: GraphNode['kind'], name: string, namespace = 'shop') =>
  ({ id: `${kind}/${namespace}/${name}`, kind, namespace, name }) as GraphNode;
const edge = (source: GraphNode, target: GraphNode) =>
  ({ id: `${source.id} ${target.id} http`, source: source.id, target: target.id }) as GraphEdge;

const WEB = node('workload', 'web');
const CART = node('service', 'cart');
const CART_V1 = node('workload', 'cart-v1');
const BANK = { ...node('external', 'bank.example', ''), id: 'external/bank.example' };
const CALL = edge(WEB, CART);
const ANSWER = edge(CART, CART_V1);
const OUT = edge(WEB, BANK);
const GRAPH = { nodes: [WEB, CART, CART_V1, BANK], edges: [CALL, ANSWER, OUT] };

const titles = (id: string) => menuOf(GRAPH, id).map((choice) => choice.title);
const choice = (id: string, title: string) =>
  menuOf(GRAPH, id).find((each) => each.title === title);

test('menuOf offers a workload its page, logs, requests and traces, and asks why for what it calls', () => {
  expect(menuOf(GRAPH, WEB.id)).toEqual([
    { title: 'Open', path: '/workloads/shop/web' },
    { title: 'Only its neighbourhood', act: 'focus', id: WEB.id },
    { title: 'Logs', path: '/workloads/shop/web', query: { tab: 'logs' } },
    { title: 'Requests', path: '/traffic', query: { node: WEB.id, tab: 'recent' } },
    { title: 'Traces', path: '/traffic', query: { node: WEB.id, tab: 'traces' } },
    { title: 'Why', path: '/why', query: { from: 'shop/web' } },
    { title: 'Copy its id', act: 'copy', id: WEB.id },
  ]);
});

test('menuOf offers no logs of what does not run, and no page of what is outside', () => {
  expect(titles(CART.id)).not.toContain('Logs');
  expect(choice(CART.id, 'Open')).toMatchObject({ path: '/services/shop/cart' });
  expect(choice(CART.id, 'Why')).toMatchObject({ query: { host: 'cart.shop' } });
  expect(titles(BANK.id)).not.toContain('Open');
  expect(choice(BANK.id, 'Why')).toMatchObject({ query: { host: 'bank.example' } });
});

test('menuOf asks why of an edge with its caller and the host that was called', () => {
  expect(choice(CALL.id, 'Why')).toMatchObject({ query: { from: 'shop/web', host: 'cart.shop' } });
  expect(choice(ANSWER.id, 'Why')).toMatchObject({ query: { host: 'cart.shop' } });
  expect(choice(OUT.id, 'Why')).toMatchObject({
    query: { from: 'shop/web', host: 'bank.example' },
  });
  expect(titles(CALL.id)).toEqual([
    'Open',
    'To web',
    'To cart',
    'Requests',
    'Traces',
    'Why',
    'Copy its id',
  ]);
  expect(choice(CALL.id, 'Traces')).toMatchObject({ query: { edge: CALL.id } });
});

test('menuOf offers nothing for what is not in the graph', () => {
  expect(menuOf(GRAPH, 'workload/shop/gone')).toEqual([]);
});
