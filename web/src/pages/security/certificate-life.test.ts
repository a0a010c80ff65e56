import { expect, test } from 'bun:test';
import { certificateLives, shortPrincipal } from './certificate-life.ts';

const row = (principal: string, notAfter: string, notBefore?: string) => ({
  principal,
  proxy: 'node1',
  notAfter,
  state: 'valid' as const,
  ...(notBefore && { notBefore }),
});

test('certificateLives come by their end, with the share of life that is over', () => {
  const now = Date.parse('2026-01-01T06:00:00Z');
  const lives = certificateLives(
    [
      row('late', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'),
      row('unknown start', '2026-01-01T12:00:00Z'),
      row('over', '2026-01-01T05:00:00Z', '2026-01-01T00:00:00Z'),
    ],
    now,
  );
  expect(
    lives.map((life) => [life.row.principal, life.remainingMs / 3_600_000, life.elapsed]),
  ).toEqual([
    ['over', -1, 1],
    ['unknown start', 6, undefined],
    ['late', 18, 0.25],
  ]);
});

test('shortPrincipal keeps what it does not know', () => {
  expect(shortPrincipal('spiffe://cluster.local/ns/shop/sa/web')).toBe('shop/web');
  expect(shortPrincipal('cluster.local/ns/shop/sa/web')).toBe('shop/web');
  expect(shortPrincipal('spiffe://corp/host/a')).toBe('spiffe://corp/host/a');
});
