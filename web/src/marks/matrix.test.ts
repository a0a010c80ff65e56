import { describe, expect, test } from 'bun:test';
import { cellKey, matrix } from './matrix.ts';

const cell = (
  source: string,
  target: string,
  [mtls, plaintext, denied]: [number, number, number],
) => ({
  source,
  target,
  mtls,
  plaintext,
  denied,
});

const seen = [
  cell('workload/shop/web', 'workload/shop/products', [1000, 0, 0]),
  cell('workload/shop/web', 'workload/pay/api', [90, 10, 0]),
  cell('workload/legacy/visitor', 'workload/shop/products', [0, 4, 0]),
  cell('unknown', 'workload/pay/api', [0, 0, 7]),
  cell('workload/pay/api', 'external/bank.example', [0, 0, 0]),
];

describe('matrix', () => {
  test('matrix gives each pair that was seen its state', () => {
    const { cells } = matrix(seen, 'workload');
    expect([...cells].map(([key, each]) => [key, each.state, each.share])).toEqual([
      ['workload/shop/web workload/shop/products', 'mtls', 1],
      ['workload/shop/web workload/pay/api', 'mixed', 0.9],
      ['workload/legacy/visitor workload/shop/products', 'plaintext', 0],
      ['unknown workload/pay/api', 'denied', 0],
    ]);
  });

  test('matrix orders both axes by namespace, and leaves out who was not seen', () => {
    const { sources, targets } = matrix(seen, 'workload');
    expect(sources.map((each) => each.id)).toEqual([
      'unknown',
      'workload/legacy/visitor',
      'workload/shop/web',
    ]);
    expect(targets.map((each) => each.id)).toEqual(['workload/pay/api', 'workload/shop/products']);
  });

  test('matrix by namespace sums its workloads', () => {
    const { cells, totals } = matrix(seen, 'namespace');
    expect(cells.get(cellKey('shop', 'shop'))).toMatchObject({
      mtls: 1000,
      state: 'mtls',
      weight: 1,
    });
    expect(cells.get(cellKey('legacy', 'shop'))).toMatchObject({
      plaintext: 4,
      state: 'plaintext',
    });
    expect(totals).toEqual({ mtls: 1090, plaintext: 14, denied: 7 });
  });

  test('matrix of many denials beside a few requests under mutual TLS is denied', () => {
    const { cells } = matrix([cell('a/b/c', 'd/e/f', [1, 0, 9])], 'workload');
    expect([...cells.values()][0].state).toBe('denied');
  });
});
