import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { canonicalIp, formatHostPort, formatIp, parseHostPort, parseIp } from './ip.ts';

describe('canonicalIp', () => {
  for (const [text, want] of [
    ['198.18.0.1', '198.18.0.1'],
    ['::ffff:198.18.0.1', '198.18.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['not:an:address', 'not:an:address'],
  ]) {
    test(`${text} reads ${want}`, () => expect(canonicalIp(text)).toBe(want));
  }
});

test('parseIp refuses what is not an address', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1:2',
    ':::',
    '1::2::3',
    'g::1',
    'fe80::1%eth0',
  ]) {
    expect({ text, bytes: parseIp(text) }).toEqual({ text, bytes: undefined });
  }
});

test('parseIp and formatIp are inverse for any 16 bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const text = formatIp(bytes) ?? '';
      expect(formatIp(parseIp(text) ?? new Uint8Array())).toBe(text);
    }),
  );
});

test('parseHostPort reads both families and refuses the rest', () => {
  expect(parseHostPort('198.18.0.1:80')).toEqual({ host: '198.18.0.1', port: 80 });
  expect(parseHostPort('[::1]:80')).toEqual({ host: '::1', port: 80 });
  expect(parseHostPort('web.shop.svc:8080')).toEqual({ host: 'web.shop.svc', port: 8080 });
  for (const text of [
    'web',
    ':80',
    'web:',
    'web:0',
    'web:65536',
    '::1:80',
    '[::1:80',
    '[x]:80',
    'web:8 0',
  ]) {
    expect({ text, got: parseHostPort(text) }).toEqual({ text, got: undefined });
  }
  expect(formatHostPort('::1', 80)).toBe('[::1]:80');
});
