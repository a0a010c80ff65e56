import { describe, expect, test } from 'bun:test';
import { parseAddress, parseCidr, prefixContains } from './cidr.ts';

describe('parseCidr', () => {
  /** [range, address, contained] */
  const rows: [string, string, boolean][] = [
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.128/25', '10.1.2.200', true],
    ['10.1.2.128/25', '10.1.2.100', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::ffff:10.0.0.0/104', '10.2.3.4', true],
    ['10.0.0.0/8', '::ffff:10.2.3.4', true],
  ];
  test.each(rows)('%s holds %s: %p', (range, address, want) => {
    const cidr = parseCidr(range);
    const bytes = parseAddress(address);
    if (cidr === undefined || bytes === undefined) throw new Error('unreadable');
    expect(prefixContains(cidr.network, cidr.length, bytes)).toBe(want);
  });

  test.each(['', '10.0.0.0/', '10.0.0.0/33', '10.0.0/8', 'a.b/8', '::/129', '::ffff:1.2.3.4/95'])(
    '%p is refused',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );
});
