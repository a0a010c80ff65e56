import { expect, test } from 'bun:test';
import { isAuthority, isConnectTarget } from './authority.ts';

const GOOD = ['a', 'a.b:80', 'a_b', 'a:', '127.0.0.1:1', '[::1]', '[::1]:65535', "a!$&'()*+,;=%41"];
const BAD = ['', ':80', 'a b', 'a:80:90', 'a:x', 'a:65536', 'a:000080', 'u@a', 'a/b', 'a?b', 'a#b'];
const BAD_TOO = [
  'a\\b',
  'a"b',
  'a<b',
  '::1',
  '[::1',
  '[]',
  '[::1]x',
  '[a/b]',
  'é',
  'a\t',
  'a\0',
  'a[b]',
];

test.each(GOOD)('isAuthority takes %p', (text) => expect(isAuthority(text)).toBe(true));
test.each([...BAD, ...BAD_TOO])('isAuthority refuses %p', (text) =>
  expect(isAuthority(text)).toBe(false),
);
test('isConnectTarget wants a port', () => {
  expect(['a:80', '[::1]:80', 'a', 'a:', 'u@a:1'].map(isConnectTarget)).toEqual([
    ...[true, true, false, false, false],
  ]);
});
