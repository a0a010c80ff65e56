import { expect, test } from 'bun:test';
import { matching, type PaletteItem } from './palette-match.ts';

const item = (kind: string, title: string, detail = ''): PaletteItem => ({
  id: `${kind}${title}${detail}`,
  kind,
  title,
  detail,
  run: () => undefined,
});
const ITEMS = [
  item('Page', 'Workloads'),
  item('Workload', 'product-service-v2', 'shop'),
  item('Workload', 'reviews', 'books'),
  item('Service', 'product-service', 'shop'),
  item('Workload', 'mail-product', 'shop'),
];
const titles = (text: string) => matching(ITEMS, text).map((each) => `${each.kind} ${each.title}`);

test('matching puts beginnings first, the shorter before the longer', () => {
  expect(titles('prod')).toEqual([
    'Service product-service',
    'Workload product-service-v2',
    'Workload mail-product',
  ]);
});

test('matching wants every word, and takes namespace and kind for one', () => {
  expect(titles('shop v2')).toEqual(['Workload product-service-v2']);
  expect(titles('books/rev')).toEqual(['Workload reviews']);
  expect(titles('service prod')).toEqual([
    'Service product-service',
    'Workload product-service-v2',
  ]);
  expect(titles('nothing')).toEqual([]);
  expect(titles(' ')).toHaveLength(ITEMS.length);
});
