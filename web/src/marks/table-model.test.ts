import { describe, expect, test } from 'bun:test';
import {
  type ColumnModel,
  formatSort,
  nextSort,
  parseSort,
  sortRows,
  tableFilter,
} from './table-model.ts';

interface Row {
  name: string;
  namespace: string;
  rate?: number;
}

const rows: Row[] = [
  { name: 'pod-10', namespace: 'shop', rate: 5 },
  { name: 'pod-9', namespace: 'shop' },
  { name: 'api', namespace: 'pay', rate: 120 },
];
const columns: ColumnModel<Row>[] = [
  { key: 'name', value: (row) => row.name, isText: true },
  { key: 'namespace', value: (row) => row.namespace, isText: true },
  { key: 'rate', value: (row) => row.rate, isDescending: true },
];
const names = (text: string) =>
  rows.filter(tableFilter(text, columns).matches).map((row) => row.name);

describe('sortRows', () => {
  test('sortRows counts numbers in names as numbers', () => {
    const sorted = sortRows(rows, columns, { key: 'name', isDescending: false });
    expect(sorted.map((row) => row.name)).toEqual(['api', 'pod-9', 'pod-10']);
  });

  test('sortRows puts what is not known last both ways', () => {
    for (const isDescending of [true, false])
      expect(sortRows(rows, columns, { key: 'rate', isDescending }).at(-1)!.name).toBe('pod-9');
  });

  test('sortRows goes by the order of a column where it has one', () => {
    const worst: ColumnModel<Row> = {
      key: 'state',
      value: (row) => row.name,
      order: (row) => (row.name === 'pod-9' ? 1 : 0),
    };
    expect(sortRows(rows, [worst], { key: 'state', isDescending: true })[0].name).toBe('pod-9');
  });

  test('sortRows by a column that does not exist keeps the order', () => {
    expect(sortRows(rows, columns, { key: 'age', isDescending: false })).toEqual(rows);
  });
});

test('nextSort turns the same column round and starts another one its own way', () => {
  const byName = { key: 'name', isDescending: false };
  expect(nextSort(byName, columns[0])).toEqual({ key: 'name', isDescending: true });
  expect(nextSort(byName, columns[2])).toEqual({ key: 'rate', isDescending: true });
});

test('parseSort reads what formatSort writes', () => {
  for (const sort of [
    { key: 'rate', isDescending: true },
    { key: 'name', isDescending: false },
  ])
    expect(parseSort(formatSort(sort), { key: 'x', isDescending: false })).toEqual(sort);
  expect(parseSort(undefined, { key: 'x', isDescending: false }).key).toBe('x');
});

describe('tableFilter', () => {
  const table: [text: string, names: string[]][] = [
    ['', ['pod-10', 'pod-9', 'api']],
    ['POD', ['pod-10', 'pod-9']],
    ['pod 10', ['pod-10']],
    ['namespace:pay', ['api']],
    ['-namespace:shop', ['api']],
    ['rate>5', ['api']],
    ['rate>=5 shop', ['pod-10']],
    ['rate<100', ['pod-10']],
    ['rate>many', []],
  ];
  for (const [text, want] of table)
    test(`tableFilter "${text}" keeps ${want.join(', ') || 'nothing'}`, () =>
      expect(names(text)).toEqual(want));

  test('tableFilter names the columns there are when one is unknown', () => {
    expect(tableFilter('age>3', columns).problem).toBe('No column age: name, namespace, rate');
  });
});
