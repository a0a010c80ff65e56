import { describe, expect, test } from 'bun:test';
import { hostSpecificity, isExportedTo, resolveHost } from './hosts.ts';
import { parseDurationMs } from './scalars.ts';

describe('resolveHost', () => {
  test.each([
    ['reviews', 'reviews.shop.svc.cluster.local'],
    ['Reviews', 'reviews.shop.svc.cluster.local'],
    ['reviews.other', 'reviews.other'],
    ['api.example.com', 'api.example.com'],
    ['*', '*'],
    ['*.example.com', '*.example.com'],
    ['198.18.1.1', '198.18.1.1'],
    ['fd00::1', 'fd00::1'],
  ])('%p is %p', (host, want) => {
    expect(resolveHost(host, { namespace: 'shop', domain: 'cluster.local' })).toBe(want);
  });
});

describe('hostSpecificity', () => {
  test('orders exact, longer wildcard, shorter wildcard, none', () => {
    const of = (pattern: string) => hostSpecificity(pattern, 'a.shop.example') ?? -1;
    expect(of('a.shop.example')).toBeGreaterThan(of('*.shop.example'));
    expect(of('*.shop.example')).toBeGreaterThan(of('*.example'));
    expect(of('*.example')).toBeGreaterThan(of('*'));
    expect(of('b.shop.example')).toBe(-1);
    expect(hostSpecificity('*.example', '.example')).toBeUndefined();
  });
});

describe('isExportedTo', () => {
  test.each<[string[], string, boolean]>([
    [[], 'other', true],
    [['*'], 'other', true],
    [['.'], 'other', false],
    [['.'], 'shop', true],
    [['other'], 'other', true],
    [['~'], 'shop', false],
  ])('exportTo %p is visible in %p: %p', (exportTo, namespace, want) => {
    expect(isExportedTo({ namespace: 'shop', exportTo }, namespace)).toBe(want);
  });
});

describe('parseDurationMs', () => {
  test.each<[string, number | undefined]>([
    ['10s', 10_000],
    ['1.5s', 1500],
    ['1h30m', 5_400_000],
    ['200ms', 200],
    ['0', 0],
    ['0s', 0],
    ['.5s', 500],
    ['500us', 0.5],
    ['', undefined],
    ['10', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['1s2', undefined],
    ['fast', undefined],
  ])('%p is %p', (text, want) => {
    expect(parseDurationMs(text)).toBe(want);
  });
});
