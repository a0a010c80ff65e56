import { expect, test } from 'bun:test';
import { withQuery } from './url.ts';

test('withQuery sets, replaces and removes members and leaves lists readable', () => {
  const query = new URLSearchParams('ns=shop&at=x');
  expect(withQuery(query, { ns: 'a,b', at: undefined })).toBe('?ns=a,b');
  expect(withQuery(query, { ns: '', at: undefined })).toBe('');
  expect(withQuery(query, { at: '2026-01-02T03:04:05Z' })).toBe('?ns=shop&at=2026-01-02T03:04:05Z');
  expect(withQuery(new URLSearchParams(), { find: 'a & b' })).toBe('?find=a+%26+b');
});
