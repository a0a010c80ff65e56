/** The set of captured pods that the node's own connections reach uncaptured. */
import { expect, test } from 'bun:test';
import { exempts, podAddresses, probeScript } from './probes.ts';

const OUTPUT = `2: eth0    inet 198.18.1.3/32 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 fd00::3/64 scope global \\       valid_lft forever preferred_lft forever
`;

test('addresses of both families are read from ip', () => {
  expect(podAddresses(OUTPUT)).toEqual(['198.18.1.3', 'fd00::3']);
  expect(podAddresses('')).toEqual([]);
});

test('a pod is put into the set of its family, and taken out without an error when it is not there', () => {
  const added = probeScript(['198.18.1.3', 'fd00::3'], 'add').split('\n').slice(-2);
  expect(added).toEqual([
    'add element inet istio-ambient-probes pods4 { 198.18.1.3 }',
    'add element inet istio-ambient-probes pods6 { fd00::3 }',
  ]);
  const removed = probeScript(['198.18.1.3'], 'delete').split('\n').slice(-2);
  expect(removed).toEqual([
    'add element inet istio-ambient-probes pods4 { 198.18.1.3 }',
    'delete element inet istio-ambient-probes pods4 { 198.18.1.3 }',
  ]);
});

test('only connections of the node itself get the source address that pods let pass', () => {
  const rules = probeScript([], 'add')
    .split('\n')
    .filter((line) => line.startsWith('add rule'));
  expect(rules).toHaveLength(2);
  for (const rule of rules) expect(rule).toContain('meta skuid 0 fib saddr type local snat');
});

test('replacing empties both sets before it fills them', () => {
  const lines = probeScript(['198.18.1.3'], 'replace').split('\n').slice(-3);
  expect(lines).toEqual([
    'flush set inet istio-ambient-probes pods4',
    'flush set inet istio-ambient-probes pods6',
    'add element inet istio-ambient-probes pods4 { 198.18.1.3 }',
  ]);
});

test('a listing without a rule or without the whole address is not in place', () => {
  const rules = 'snat ip to 169.254.7.127\n snat ip6 to fd16:9254:7127:1337:ffff:ffff:ffff:ffff\n';
  const listing = `elements = { 198.18.1.3, 198.18.1.40 }\n${rules}`;
  expect(exempts(listing, ['198.18.1.3', '198.18.1.40'])).toBe(true);
  expect(exempts(listing, ['198.18.1.4'])).toBe(false);
  expect(exempts('elements = { 198.18.1.3 }', ['198.18.1.3'])).toBe(false);
  expect(exempts('', [])).toBe(false);
});
