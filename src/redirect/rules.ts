/**
 * The rules inside a captured pod's network namespace, as nft and ip scripts. Same set as istio-cni's nftables
 * variant (cni/pkg/nftables/nftables.go), with one difference: only packets that open a connection are
 * redirected, so connections that were there before enrolment live on.
 */
import {
  DNS_PORT,
  INBOUND_HBONE_PORT,
  INBOUND_PLAINTEXT_PORT,
  MARK_MASK,
  NAME_SERVER_PORT,
  OUTBOUND_PORT,
  PROBE_SOURCE_IPV4,
  PROBE_SOURCE_IPV6,
  PROXY_DNS_ZONE,
  PROXY_MARK,
  RETURN_MARK,
  ROUTE_TABLE,
  RULE_PREFERENCE,
} from './ports.ts';

export interface RuleOptions {
  /** Leave incoming connections alone. */
  readonly bypassInbound: boolean;
  /** Name look-ups go to the proxy, which must listen on DNS_PORT of both loopback addresses. */
  readonly dns: boolean;
}

export const DEFAULT_RULES: RuleOptions = { bypassInbound: false, dns: false };

export const NAT_TABLE = 'istio-ambient-nat';
export const MANGLE_TABLE = 'istio-ambient-mangle';
export const RAW_TABLE = 'istio-ambient-raw';

const OPENING = 'tcp flags & (fin | syn | rst | ack) == syn';
const OTHER_BITS = 0xffffffff ^ MARK_MASK;
const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;
const marked = (mark: number) => `meta mark & ${hex(MARK_MASK)} == ${hex(mark)}`;
const unmarked = `meta mark & ${hex(MARK_MASK)} != ${hex(PROXY_MARK)}`;

/** Replaces all tables whole: applying twice leaves one set. */
export function nftScript(options: RuleOptions): string {
  const tables = [natTable(options), mangleTable(), ...(options.dns ? [rawTable()] : [])];
  return [...removal(), ...tables].join('\n');
}

export function nftRemovalScript(): string {
  return removal().join('\n');
}

/** `add` before `delete`: deleting a table that is not there is an error. */
function removal(): string[] {
  return [NAT_TABLE, MANGLE_TABLE, RAW_TABLE].flatMap((table) => [
    `add table inet ${table}`,
    `delete table inet ${table}`,
  ]);
}

function natTable(options: RuleOptions): string {
  const inbound = [
    `meta l4proto tcp ip saddr ${PROBE_SOURCE_IPV4} accept`,
    `meta l4proto tcp ip6 saddr ${PROBE_SOURCE_IPV6} accept`,
    `ip daddr != 127.0.0.1 tcp dport != ${INBOUND_HBONE_PORT} ${OPENING} ${unmarked} redirect to :${INBOUND_PLAINTEXT_PORT}`,
    `ip6 daddr != ::1 tcp dport != ${INBOUND_HBONE_PORT} ${OPENING} ${unmarked} redirect to :${INBOUND_PLAINTEXT_PORT}`,
  ];
  const names = [
    // A resolver on the pod's own loopback is the pod's affair.
    `oifname != "lo" udp dport ${NAME_SERVER_PORT} ${unmarked} redirect to :${DNS_PORT}`,
    `ip daddr != 127.0.0.1 tcp dport ${NAME_SERVER_PORT} ${OPENING} ${unmarked} redirect to :${DNS_PORT}`,
    `ip6 daddr != ::1 tcp dport ${NAME_SERVER_PORT} ${OPENING} ${unmarked} redirect to :${DNS_PORT}`,
  ];
  const outbound = [
    `meta l4proto tcp ip daddr ${PROBE_SOURCE_IPV4} accept`,
    `meta l4proto tcp ip6 daddr ${PROBE_SOURCE_IPV6} accept`,
    ...(options.dns ? names : []),
    // The app's answers to connections that the proxy opened.
    `meta l4proto tcp ${marked(RETURN_MARK)} accept`,
    // A pod that calls itself by its own address.
    'oifname "lo" ip daddr != 127.0.0.1 accept',
    'oifname "lo" ip6 daddr != ::1 accept',
    `ip daddr != 127.0.0.1 ${OPENING} ${unmarked} redirect to :${OUTBOUND_PORT}`,
    `ip6 daddr != ::1 ${OPENING} ${unmarked} redirect to :${OUTBOUND_PORT}`,
  ];
  return `table inet ${NAT_TABLE} {
  chain istio-prerouting {
    ${(options.bypassInbound ? [] : inbound).join('\n    ')}
  }
  chain istio-output {
    ${outbound.join('\n    ')}
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump istio-prerouting
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump istio-output
  }
}`;
}

function mangleTable(): string {
  const set = `ct mark set ct mark & ${hex(OTHER_BITS)} | ${hex(RETURN_MARK)}`;
  // Only the app's answers need another route: a changed mark costs the kernel a second look-up for each packet,
  // and what the proxy itself sends is on its way already.
  return `table inet ${MANGLE_TABLE} {
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    ${marked(PROXY_MARK)} ${set}
  }
  chain output {
    type route hook output priority mangle; policy accept;
    ${unmarked} ct mark & ${hex(MARK_MASK)} == ${hex(RETURN_MARK)} meta mark set ct mark
  }
}`;
}

/**
 * What the proxy asks the real name server lives in a connection tracking zone of its own: else it and the app's
 * redirected question, which have the same addresses and may have the same port, would be one entry.
 */
function rawTable(): string {
  return `table inet ${RAW_TABLE} {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    udp sport ${NAME_SERVER_PORT} ${unmarked} ct zone set ${PROXY_DNS_ZONE}
  }
  chain output {
    type filter hook output priority raw; policy accept;
    udp dport ${NAME_SERVER_PORT} ${marked(PROXY_MARK)} ct zone set ${PROXY_DNS_ZONE}
  }
}`;
}

const RULE = `fwmark ${hex(RETURN_MARK)}/${hex(MARK_MASK)} pref ${RULE_PREFERENCE} lookup ${ROUTE_TABLE}`;

/** Marked answers to foreign addresses are local: the proxy's socket is bound to that address. */
export function routeScript(): string {
  const lines: string[] = [];
  for (const [flag, everything] of [
    ['-4', '0.0.0.0/0'],
    ['-6', '::/0'],
  ]) {
    lines.push(
      `ip ${flag} rule del ${RULE} 2>/dev/null`,
      `ip ${flag} rule add ${RULE}${flag === '-6' ? ' 2>/dev/null || true' : ' || exit 1'}`,
      `ip ${flag} route replace local ${everything} dev lo table ${ROUTE_TABLE}${flag === '-6' ? ' 2>/dev/null || true' : ' || exit 1'}`,
    );
  }
  return lines.join('\n');
}

export function routeRemovalScript(): string {
  return ['-4', '-6']
    .flatMap((flag) => [
      `ip ${flag} rule del ${RULE} 2>/dev/null`,
      `ip ${flag} route flush table ${ROUTE_TABLE} 2>/dev/null`,
    ])
    .concat('true')
    .join('\n');
}
