import { describe, expect, test } from 'bun:test';
import { parseCidr } from '#base/cidr.ts';
import { decodeMessages } from '#net/netns/netlink-codec.ts';
import * as nft from '../nft/expressions.ts';
import { createChains, encodeTransaction, type Table } from '../nft/transaction.ts';
import { type MachineRuleOptions, machineLookupsTable, machineTable } from './rules.ts';

const options = (extra: Partial<MachineRuleOptions> = {}): MachineRuleOptions => ({
  addresses: ['198.18.9.2'],
  sharedPorts: [8080, 9000],
  excludedPorts: [22],
  ranges: [],
  ...extra,
});

const chain = (table: Table, name: string) => table.chains.find((each) => each.name === name);
const countOf = (given: MachineRuleOptions, name: string) =>
  chain(machineTable(given), name)?.rules.length;

describe('machineTable', () => {
  test('has no hook where the machine takes what is for it: nothing of it can cut ssh', () => {
    const points = [machineTable(options()), machineLookupsTable()].flatMap(({ chains }) =>
      chains.map(({ hook }) => hook?.point),
    );
    expect(new Set(points)).toEqual(new Set(['prerouting', 'output']));
  });

  test.each([
    ['each address and shared port', options(), 2],
    ['two addresses', options({ addresses: ['198.18.9.2', '2001:2::2'] }), 4],
    ['nothing shared', options({ sharedPorts: [] }), 0],
  ])('inbound: %s', (_title, given, want) => expect(countOf(given, 'inbound')).toBe(want));

  test('inbound rules end in a redirection; each names its address and port', () => {
    const [rule] = chain(machineTable(options()), 'inbound')?.rules ?? [];
    expect(rule.slice(0, 4)).toEqual(nft.address('destination', '==', '198.18.9.2'));
    expect(rule.slice(-2)).toEqual(nft.redirectTo(15006));
    expect(JSON.stringify(rule)).toContain(JSON.stringify(nft.port('destination', '==', 8080)[1]));
  });

  test('outbound rules grow by one for each excluded port and each range', () => {
    const ranges = [parseCidr('198.19.128.0/20')].filter((each) => each !== undefined);
    const alone = countOf(options({ excludedPorts: [] }), 'outbound') ?? 0;
    expect(countOf(options(), 'outbound')).toBe(alone + 1);
    expect(countOf(options({ excludedPorts: [], ranges }), 'outbound')).toBe(alone + 1);
  });

  test('fits one transaction', () => {
    const { bytes, last } = encodeTransaction(createChains(machineTable(options())));
    expect(decodeMessages(bytes).length).toBe(last + 2);
  });
});

test.each([
  ['198.19.128.0/20', [255, 255, 240, 0], [198, 19, 128, 0]],
  ['198.19.131.7/20', [255, 255, 240, 0], [198, 19, 128, 0]],
  ['0.0.0.0/0', [0, 0, 0, 0], [0, 0, 0, 0]],
  ['198.18.0.0/15', [255, 254, 0, 0], [198, 18, 0, 0]],
])('destinationWithin %s compares what the mask leaves', (text, mask, base) => {
  const cidr = parseCidr(text);
  const rule = nft.destinationWithin(cidr?.network ?? new Uint8Array(), cidr?.length ?? 0);
  const found = JSON.stringify(rule.slice(-2));
  expect(found).toContain(JSON.stringify(new Uint8Array(mask)));
  expect(found).toContain(JSON.stringify(new Uint8Array(base)));
});
