import { expect, test } from 'bun:test';
import type { RequestRow } from '#console/api/traffic.ts';
import { topPaths } from './top-paths.ts';

const row = (method: string, path: string, status = 200) =>
  ({ method, path, status }) as RequestRow;
const isFailed = ({ status }: RequestRow) => status >= 500;

test('topPaths counts by method and path without the query, the most frequent first', () => {
  const rows = [
    row('GET', '/cart?user=1'),
    row('POST', '/cart', 503),
    row('GET', '/cart?user=2', 500),
    row('GET', '/'),
  ];
  expect(topPaths(rows, isFailed)).toEqual([
    { method: 'GET', path: '/cart', prefix: '/cart', count: 2, failed: 1 },
    { method: 'POST', path: '/cart', prefix: '/cart', count: 1, failed: 1 },
    { method: 'GET', path: '/', prefix: '/', count: 1, failed: 0 },
  ]);
});

test('topPaths takes paths that differ in a number or an id for one', () => {
  const id = '0b0f7b9a-3a53-4c7e-9a6c-5a3f0f6f2a11';
  const rows = [
    row('GET', '/orders/17/items'),
    row('GET', '/orders/4711/items'),
    row('GET', `/orders/${id}/items`),
    row('GET', '/orders/4bf92f3577b34da6/items'),
    row('GET', '/orders/v2/items'),
  ];
  expect(topPaths(rows, isFailed).map(({ path, prefix, count }) => [path, prefix, count])).toEqual([
    ['/orders/*/items', '/orders/', 4],
    ['/orders/v2/items', '/orders/v2/items', 1],
  ]);
});

test('topPaths leaves out connections', () => {
  expect(topPaths([row('', '')], isFailed)).toEqual([]);
});
