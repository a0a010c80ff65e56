import { describe, expect, test } from 'bun:test';
import { amount, bytes, counted, millis, percent, relative, span } from './format.ts';

describe('amount', () => {
  const rows: [number, string][] = [
    [0, '0'],
    [0.004, '<0.01'],
    [0.5, '0.5'],
    [0.046, '0.05'],
    [3.25, '3.3'],
    [4, '4'],
    [48.4, '48'],
    [1240, '1,240'],
    [12_400, '12.4k'],
    [3_000_000, '3M'],
  ];
  for (const [value, want] of rows)
    test(`${value} is ${want}`, () => expect(amount(value)).toBe(want));
});

test('percent never rounds to all or nothing', () => {
  expect([0, 0.0004, 0.041, 0.5, 0.897, 0.9, 0.9995, 1].map(percent)).toEqual([
    '0 %',
    '<0.1 %',
    '4.1 %',
    '50 %',
    '90 %',
    '90 %',
    '>99.9 %',
    '100 %',
  ]);
  expect(percent(0.996)).toBe('99.6 %');
});

test('millis, bytes and span keep their unit', () => {
  expect([undefined, 0.25, 4.25, 31.4, 1250].map(millis)).toEqual([
    '–',
    '0.25 ms',
    '4.3 ms',
    '31 ms',
    '1.25 s',
  ]);
  expect([0, 999, 1500, 48_000_000].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '48 MB']);
  expect([4, 600, 7200, 400_000].map(span)).toEqual(['4 s', '10 min', '2 h', '5 d']);
});

test('relative looks back and ahead', () => {
  const now = Date.UTC(2026, 0, 1);
  expect(relative(now - 4000, now)).toBe('4 s ago');
  expect(relative(now + 600_000, now)).toBe('in 10 min');
  expect(relative(now, now)).toBe('now');
});

test('counted speaks of one and of many', () => {
  expect(counted(1_234_567, 'request')).toBe('1,234,567 requests');
  expect([counted(1, 'request'), counted(2000, 'workload')]).toEqual([
    '1 request',
    '2,000 workloads',
  ]);
});
