/** The rules in real network namespaces, as nft and ip see them. Needs root. */
import { describe, expect, test } from 'bun:test';
import { missingFor } from '#test/support/lab.ts';
import { join, TestNamespace } from '#test/support/namespaces.ts';
import { ProbeExemptions } from './probes.ts';
import { Redirection } from './redirection.ts';
import { DEFAULT_RULES, type RuleOptions } from './rules.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;
const EVERYTHING: RuleOptions = { bypassInbound: false, dns: true, guestDevices: ['k6t-eth0'] };
const UNMARKED = 'meta mark & 0xfff != 0x539';
const OPENING = 'tcp flags syn / fin,syn,rst,ack';

/** The lines of one chain, without indentation; numbers without leading zeros, which nft's versions differ in. */
function chain(listing: string, table: string, name: string): string[] {
  const from = listing.indexOf(`chain ${name} {`, listing.indexOf(`table inet ${table} {`));
  const lines = listing.slice(from, listing.indexOf('\n\t}', from)).split('\n');
  return lines.slice(1).map((line) => line.trim().replaceAll(/\b0x0+(?=[0-9a-f])/g, '0x'));
}

describe.skipIf(skip)('Redirection', () => {
  test('is what these rules say, in nft’s own words', () => {
    using pod = new TestNamespace('rules');
    const redirection = new Redirection(pod.handle);
    redirection.apply(EVERYTHING);
    const listing = pod.run('nft', 'list', 'ruleset');
    expect(chain(listing, 'istio-ambient-nat', 'istio-prerouting')).toEqual([
      `iifname "k6t-eth0" ${OPENING} redirect to :15001`,
      'iifname "k6t-eth0" meta l4proto tcp return',
      'meta l4proto tcp ip saddr 169.254.7.127 accept',
      'meta l4proto tcp ip6 saddr fd16:9254:7127:1337:ffff:ffff:ffff:ffff accept',
      `ip daddr != 127.0.0.1 ${OPENING} tcp dport != 15008 ${UNMARKED} redirect to :15006`,
      `ip6 daddr != ::1 ${OPENING} tcp dport != 15008 ${UNMARKED} redirect to :15006`,
    ]);
    expect(chain(listing, 'istio-ambient-nat', 'istio-output')).toEqual([
      'meta l4proto tcp ip daddr 169.254.7.127 accept',
      'meta l4proto tcp ip6 daddr fd16:9254:7127:1337:ffff:ffff:ffff:ffff accept',
      `oifname != "lo" udp dport 53 ${UNMARKED} redirect to :15053`,
      `ip daddr != 127.0.0.1 ${OPENING} tcp dport 53 ${UNMARKED} redirect to :15053`,
      `ip6 daddr != ::1 ${OPENING} tcp dport 53 ${UNMARKED} redirect to :15053`,
      'meta l4proto tcp meta mark & 0xfff == 0x111 accept',
      'oifname "lo" ip daddr != 127.0.0.1 accept',
      'oifname "lo" ip6 daddr != ::1 accept',
      `ip daddr != 127.0.0.1 ${OPENING} ${UNMARKED} redirect to :15001`,
      `ip6 daddr != ::1 ${OPENING} ${UNMARKED} redirect to :15001`,
    ]);
    expect(chain(listing, 'istio-ambient-nat', 'prerouting')).toEqual([
      'type nat hook prerouting priority dstnat; policy accept;',
      'jump istio-prerouting',
    ]);
    expect(chain(listing, 'istio-ambient-nat', 'output')).toEqual([
      'type nat hook output priority -100; policy accept;',
      'jump istio-output',
    ]);
    expect(chain(listing, 'istio-ambient-mangle', 'prerouting')).toEqual([
      'type filter hook prerouting priority mangle; policy accept;',
      // nft's spelling of: the lower 12 bits become 0x111, the others stay.
      'meta mark & 0xfff == 0x539 ct direction original ct mark set ct mark & 0xfffff111 | 0x111',
    ]);
    expect(chain(listing, 'istio-ambient-mangle', 'output')).toEqual([
      'type route hook output priority mangle; policy accept;',
      `${UNMARKED} ct mark & 0xfff == 0x111 meta mark set ct mark`,
    ]);
    expect(chain(listing, 'istio-ambient-mangle', 'output-zone')).toEqual([
      'type filter hook output priority raw; policy accept;',
      'meta mark & 0x1fff == 0x1539 ct original zone set 2',
    ]);
    expect(chain(listing, 'istio-ambient-raw', 'prerouting')).toEqual([
      'type filter hook prerouting priority raw; policy accept;',
      `udp sport 53 ${UNMARKED} ct zone set 1`,
    ]);
    expect(chain(listing, 'istio-ambient-raw', 'output')).toEqual([
      'type filter hook output priority raw; policy accept;',
      'udp dport 53 meta mark & 0xfff == 0x539 ct zone set 1',
    ]);
    for (const family of ['-4', '-6']) {
      expect(pod.ip(family, 'rule')).toContain('32764:\tfrom all fwmark 0x111/0xfff lookup 100');
      expect(pod.ip(family, 'route', 'show', 'table', '100')).toMatch(/^local default dev lo/);
    }
    redirection.close();
  });

  test('bypassing inbound leaves incoming connections alone and outgoing ones captured', () => {
    using pod = new TestNamespace('bypass');
    const redirection = new Redirection(pod.handle);
    redirection.apply({ ...DEFAULT_RULES, bypassInbound: true });
    const listing = pod.run('nft', 'list', 'ruleset');
    expect(chain(listing, 'istio-ambient-nat', 'istio-prerouting')).toEqual([]);
    expect(listing).toContain('redirect to :15001');
    expect(listing).not.toContain(':15006');
    expect(listing).not.toContain('15053');
    redirection.close();
  });

  test('applied twice is there once, other options replace it, and removal leaves the pod as it was', () => {
    using pod = new TestNamespace('twice');
    // A pod's own rules, routes and policy routing, some of it close to ours.
    pod.nft(
      'table inet mine { chain out { type nat hook output priority -100; tcp dport 81 accept; }; }',
    );
    pod.nft('table ip filter { chain INPUT { type filter hook input priority 0; accept; }; }');
    pod.ip('rule', 'add', 'fwmark', '0x112/0xfff', 'pref', '32764', 'lookup', '100');
    pod.ip('route', 'add', '198.18.77.0/24', 'dev', 'lo', 'table', '100');
    const before = pod.listing();
    const redirection = new Redirection(pod.handle);
    redirection.apply(EVERYTHING);
    const once = pod.listing();
    expect(once).toContain('table inet mine');
    redirection.apply(EVERYTHING);
    expect(pod.listing()).toBe(once);
    redirection.apply(DEFAULT_RULES);
    expect(pod.listing()).not.toContain('istio-ambient-raw');
    redirection.apply(EVERYTHING);
    expect(pod.listing()).toBe(once);
    redirection.remove();
    expect(pod.listing()).toBe(before);
    redirection.close();
  });

  const broken: { title: string; by: (pod: TestNamespace) => void; differences: string[] }[] = [
    { title: 'everything flushed', by: (pod) => pod.nft('flush ruleset'), differences: ['tables'] },
    {
      title: 'one table gone',
      by: (pod) => pod.nft('delete table inet istio-ambient-mangle'),
      differences: ['tables'],
    },
    {
      title: 'one chain flushed',
      by: (pod) => pod.nft('flush chain inet istio-ambient-nat istio-output'),
      differences: ['tables'],
    },
    {
      title: 'one rule deleted',
      by: (pod) => {
        const [, handle = ''] =
          /redirect to :15006 # handle (\d+)/.exec(pod.run('nft', '-a', 'list', 'ruleset')) ?? [];
        pod.nft(`delete rule inet istio-ambient-nat istio-prerouting handle ${handle}`);
      },
      differences: ['tables'],
    },
    {
      title: 'a rule before ours that lets everything pass',
      by: (pod) => pod.nft('insert rule inet istio-ambient-nat istio-output accept'),
      differences: ['tables'],
    },
    {
      title: 'the IPv4 rule gone',
      by: (pod) => void pod.ip('rule', 'del', 'pref', '32764'),
      differences: ['ipv4 rule'],
    },
    {
      title: 'the IPv6 route gone',
      by: (pod) => void pod.ip('-6', 'route', 'flush', 'table', '100'),
      differences: ['ipv6 route'],
    },
  ];
  for (const { title, by, differences } of broken) {
    test(`sees and repairs: ${title}`, () => {
      using pod = new TestNamespace('broken');
      const redirection = new Redirection(pod.handle);
      redirection.apply(EVERYTHING);
      const whole = pod.listing();
      expect(redirection.differences()).toEqual([]);
      by(pod);
      expect(redirection.differences()).toEqual(differences);
      redirection.apply(EVERYTHING);
      expect(redirection.differences()).toEqual([]);
      expect(pod.listing()).toBe(whole);
      redirection.close();
    });
  }

  test('what others change beside it is no difference', () => {
    using pod = new TestNamespace('beside');
    const redirection = new Redirection(pod.handle);
    redirection.apply(EVERYTHING);
    pod.nft('table inet mine { chain out { type filter hook output priority 0; accept; }; }');
    pod.ip('rule', 'add', 'fwmark', '0x7', 'lookup', 'main');
    expect(redirection.differences()).toEqual([]);
    redirection.close();
  });

  test('draining redirects nothing and keeps hooks and the way back', () => {
    using pod = new TestNamespace('drain');
    const redirection = new Redirection(pod.handle);
    redirection.apply(EVERYTHING);
    redirection.drain();
    const listing = pod.listing();
    expect(listing).not.toContain('redirect to');
    expect(listing).toContain('type nat hook output');
    expect(listing).toContain('meta mark set ct mark');
    expect(listing).toContain('ct original zone set 2');
    expect(listing).toContain('fwmark 0x111/0xfff lookup 100');
    expect(redirection.differences()).toEqual([]);
    redirection.close();
  });

  test('addresses of both families and all devices are found', () => {
    using pod = new TestNamespace('addresses');
    using node = new TestNamespace('addresses-node');
    const addresses = ['198.18.240.2/24', '2001:2::f0:2/64'];
    join(
      { namespace: pod, device: 'eth0', addresses },
      { namespace: node, device: 'pod0', addresses: [] },
    );
    join(
      { namespace: pod, device: 'net1', addresses: ['198.18.241.2/24'] },
      { namespace: node, device: 'pod1', addresses: [] },
    );
    const redirection = new Redirection(pod.handle);
    // Link-local ones exist once the device is up: they are nobody's way to the pod.
    expect(redirection.addresses().sort()).toEqual([
      '198.18.240.2',
      '198.18.241.2',
      '2001:2::f0:2',
    ]);
    redirection.close();
  });
});

describe.skipIf(skip)('ProbeExemptions', () => {
  test('translate only the node’s own connections to the pods in the set', () => {
    using node = new TestNamespace('node');
    const probes = new ProbeExemptions(node.handle);
    probes.add(['198.18.1.3', '2001:2::3']);
    const listing = node.run('nft', 'list', 'ruleset');
    expect(chain(listing, 'istio-ambient-probes', 'postrouting')).toEqual([
      'type nat hook postrouting priority srcnat; policy accept;',
      'meta l4proto tcp ip daddr @pods4 meta skuid 0 fib saddr type local snat ip to 169.254.7.127',
      'meta l4proto tcp ip6 daddr @pods6 meta skuid 0 fib saddr type local snat ip6 to fd16:9254:7127:1337:ffff:ffff:ffff:ffff',
    ]);
    expect(listing).toContain('elements = { 198.18.1.3 }');
    expect(listing).toContain('elements = { 2001:2::3 }');
    probes.close();
  });

  test('are added to, taken from and replaced, in any order', () => {
    using node = new TestNamespace('node');
    const probes = new ProbeExemptions(node.handle);
    expect([...probes.read()]).toEqual([]);
    probes.add(['198.18.1.3', '2001:2::3']);
    probes.add(['198.18.1.3', '198.18.1.40']);
    expect([...probes.read()].sort()).toEqual(['198.18.1.3', '198.18.1.40', '2001:2::3']);
    probes.delete(['198.18.1.40', '2001:2::3', '198.18.1.99']);
    expect([...probes.read()]).toEqual(['198.18.1.3']);
    probes.replace(['198.18.1.7']);
    expect([...probes.read()]).toEqual(['198.18.1.7']);
    probes.close();
  });

  test('count for nothing when a rule is missing, and come back whole', () => {
    using node = new TestNamespace('node');
    const probes = new ProbeExemptions(node.handle);
    probes.add(['198.18.1.3']);
    node.nft('flush chain inet istio-ambient-probes postrouting');
    expect([...probes.read()]).toEqual([]);
    probes.add(['198.18.1.3']);
    expect([...probes.read()]).toEqual(['198.18.1.3']);
    probes.close();
  });
});
