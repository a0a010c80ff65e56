import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseIp } from '#base/ip.ts';
import { allocateAddresses } from './allocate-addresses.ts';

const free = () => false;
const allocate = (
  hosts: readonly string[],
  present: readonly { value?: string; host?: string }[] = [],
  isTaken: (address: string, present: boolean) => boolean = free,
) => allocateAddresses({ owner: 'shop/ext', hosts, present, isTaken });

describe('allocateAddresses', () => {
  test('gives each host an address of both ranges', () => {
    const given = allocate(['a.example', 'b.example']);
    expect(given.map(({ host }) => host)).toEqual([
      'a.example',
      'a.example',
      'b.example',
      'b.example',
    ]);
    for (const [at, { value }] of given.entries())
      expect(value).toMatch(at % 2 === 0 ? /^240\.240\.\d+\.\d+$/ : /^2001:2::[0-9a-f]+$/);
    expect(new Set(given.map(({ value }) => value)).size).toBe(4);
  });

  test('keeps what is there, drops what is another host’s, and fills up', () => {
    const present = [
      { value: '240.240.7.7', host: 'a.example' },
      { value: '2001:2::9', host: 'gone.example' },
      { value: '198.18.1.1', host: 'a.example' },
    ];
    const given = allocate(['a.example'], present);
    expect(given[0]).toEqual({ value: '240.240.7.7', host: 'a.example' });
    expect(given[1].value).not.toBe('2001:2::9');
    expect(given.length).toBe(2);
    expect(allocate(['a.example'], given)).toEqual(given);
    expect(allocate([], given)).toEqual([]);
  });

  test('a new entry of the same name gets the same addresses', () => {
    expect(allocate(['a.example'])).toEqual(allocate(['a.example']));
  });

  test('passes by what others have, also when they had it first', () => {
    const [first] = allocate(['a.example']);
    const taken = (address: string) => address === first.value;
    expect(allocate(['a.example'], [], taken)[0].value).not.toBe(first.value);
    expect(allocate(['a.example'], [first], taken)[0].value).not.toBe(first.value);
    const byYounger = (address: string, present: boolean) => !present && taken(address);
    expect(allocate(['a.example'], [first], byYounger)[0]).toEqual(first);
  });

  test('a host goes without when everything is taken', () => {
    expect(allocate(['a.example'], [], () => true)).toEqual([]);
  });

  test('never gives an address twice, nor the first or last of the range', () => {
    const host = fc.stringMatching(/^[a-z]{1,6}$/);
    fc.assert(
      fc.property(fc.uniqueArray(host, { maxLength: 30 }), (hosts) => {
        const values = allocate(hosts).map(({ value }) => value);
        expect(new Set(values).size).toBe(hosts.length * 2);
        for (const value of values) {
          const low = parseIp(value)?.slice(-2) ?? [];
          expect([0, 0xffff]).not.toContain((low[0] << 8) | low[1]);
        }
      }),
    );
  });
});
