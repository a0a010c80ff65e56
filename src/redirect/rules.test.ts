/** The rules as text: what is captured under which options, and what must never be. */
import { expect, test } from 'bun:test';
import { DEFAULT_RULES, nftRemovalScript, nftScript } from './rules.ts';

const linesWith = (script: string, word: string) =>
  script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes(word));

test('look-ups go to 15053 over UDP and TCP, in both families, except those of the proxy itself', () => {
  const lines = linesWith(nftScript({ ...DEFAULT_RULES, dns: true }), ':15053');
  expect(lines).toEqual([
    'oifname != "lo" udp dport 53 meta mark & 0xfff != 0x539 redirect to :15053',
    'ip daddr != 127.0.0.1 tcp dport 53 tcp flags & (fin | syn | rst | ack) == syn meta mark & 0xfff != 0x539 redirect to :15053',
    'ip6 daddr != ::1 tcp dport 53 tcp flags & (fin | syn | rst | ack) == syn meta mark & 0xfff != 0x539 redirect to :15053',
  ]);
});

test('look-ups are redirected before everything that would take TCP to port 53 elsewhere', () => {
  const script = nftScript({ ...DEFAULT_RULES, dns: true });
  const at = (text: string) => script.indexOf(text);
  expect(at('tcp dport 53')).toBeGreaterThan(0);
  expect(at('tcp dport 53')).toBeLessThan(at('oifname "lo" ip daddr'));
  expect(at('tcp dport 53')).toBeLessThan(at('redirect to :15001'));
});

test('the look-ups of the proxy have a zone of their own in both directions', () => {
  expect(linesWith(nftScript({ ...DEFAULT_RULES, dns: true }), 'ct zone')).toEqual([
    'udp sport 53 meta mark & 0xfff != 0x539 ct zone set 1',
    'udp dport 53 meta mark & 0xfff == 0x539 ct zone set 1',
  ]);
});

test('without DNS no rule knows port 53, 15053 or a zone', () => {
  const script = nftScript(DEFAULT_RULES);
  expect(script).not.toMatch(/\b(15053|dport 53|sport 53|zone)\b/);
});

test('every table that may be there is removed, whatever the options were', () => {
  for (const table of ['nat', 'mangle', 'raw']) {
    expect(nftRemovalScript()).toContain(`delete table inet istio-ambient-${table}`);
    expect(nftScript(DEFAULT_RULES)).toContain(`delete table inet istio-ambient-${table}`);
  }
});
