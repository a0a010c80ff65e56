import { expect, test } from 'bun:test';
import { isoSeconds, windowSeconds } from './scope.ts';
import { scopeOf } from './scope-of.ts';

test('scopeOf reads namespaces, window and moment; without a moment it is live', () => {
  const live = scopeOf(new URLSearchParams('ns=shop,bank'));
  expect(live.namespaces).toEqual(['shop', 'bank']);
  expect(live.isLive).toBe(true);
  expect(live.query).toEqual({ namespaces: 'shop,bank', window: '60s', at: undefined });
  const past = scopeOf(new URLSearchParams('window=5m&at=2026-01-02T03:04:05Z'));
  expect(past.isLive).toBe(false);
  expect(past.query.namespaces).toBe('');
});

test('windowSeconds reads seconds, minutes and hours, and takes a minute for anything else', () => {
  expect(['90s', '5m', '1h', 'x', '-1s'].map(windowSeconds)).toEqual([90, 300, 3600, 60, 60]);
});

test('isoSeconds writes whole seconds', () => {
  expect(isoSeconds(Date.UTC(2026, 0, 2, 3, 4, 5, 499))).toBe('2026-01-02T03:04:05Z');
});
