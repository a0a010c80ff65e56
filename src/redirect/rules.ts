/**
 * The tables inside a captured pod's network namespace. Same set as istio-cni's nftables variant
 * (cni/pkg/nftables/nftables.go), with one difference: only packets that open a connection are redirected, so
 * connections that were there before enrolment live on. Pure; `nft list ruleset` shows them in words.
 */
import * as nft from './nft/expressions.ts';
import type { Chain, Hook, Table } from './nft/transaction.ts';
import {
  CALLER_MARK,
  CALLER_MASK,
  CALLER_ZONE,
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
} from './ports.ts';

export interface RuleOptions {
  /** Leave incoming connections alone. */
  readonly bypassInbound: boolean;
  /** Name look-ups go to the proxy, which must listen on DNS_PORT of both loopback addresses. */
  readonly dns: boolean;
  /** Devices behind which a guest lives (a virtual machine): what comes out of them is outbound, not inbound. */
  readonly guestDevices: readonly string[];
}

export const DEFAULT_RULES: RuleOptions = { bypassInbound: false, dns: false, guestDevices: [] };

export const NAT_TABLE = 'istio-ambient-nat';
export const MANGLE_TABLE = 'istio-ambient-mangle';
export const RAW_TABLE = 'istio-ambient-raw';
/** Every table that may be there, whatever the options were. */
export const TABLES = [NAT_TABLE, MANGLE_TABLE, RAW_TABLE];

export type Rule = readonly nft.Expression[];

const CALLER = { mark: CALLER_MARK, mask: CALLER_MASK };
const PROXY = { mark: PROXY_MARK, mask: MARK_MASK };
export const RETURN = { mark: RETURN_MARK, mask: MARK_MASK };
export const notOurs = nft.mark('packet', '!=', PROXY);
export const LOOPBACK = ['127.0.0.1', '::1'] as const;
const PROBE_SOURCES = [PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6] as const;

// Netfilter's usual priorities: raw, mangle, and the two of destination NAT.
const RAW_PRIORITY = -300;
const MANGLE_PRIORITY = -150;
export const NAT_PRIORITY = -100;

export function captureTables(options: RuleOptions): Table[] {
  return [
    natTable(inboundRules(options), outboundRules(options)),
    mangleTable(),
    ...(options.dns ? [rawTable()] : []),
  ];
}

/**
 * For a pod that leaves: nothing new is redirected. The hooks stay, and with them the translation of connections
 * that were redirected, and the way back of the app's answers.
 */
export function drainTables(): Table[] {
  return [natTable([], []), mangleTable()];
}

function inboundRules({ bypassInbound, guestDevices }: RuleOptions): Rule[] {
  const guests = guestDevices.flatMap((name) => [
    [...nft.device('in', '==', name), ...nft.opening, ...nft.redirectTo(OUTBOUND_PORT)],
    [...nft.device('in', '==', name), ...nft.tcp, nft.leave],
  ]);
  if (bypassInbound) return guests;
  return [
    ...guests,
    ...PROBE_SOURCES.map((source) => [
      ...nft.tcp,
      ...nft.address('source', '==', source),
      nft.accept,
    ]),
    ...LOOPBACK.map((loopback) => [
      ...nft.address('destination', '!=', loopback),
      ...nft.opening,
      ...nft.port('destination', '!=', INBOUND_HBONE_PORT),
      ...notOurs,
      ...nft.redirectTo(INBOUND_PLAINTEXT_PORT),
    ]),
  ];
}

function outboundRules(options: RuleOptions): Rule[] {
  return [
    ...PROBE_SOURCES.map((source) => [
      ...nft.tcp,
      ...nft.address('destination', '==', source),
      nft.accept,
    ]),
    ...(options.dns ? lookupRules() : []),
    // The app's answers to connections that the proxy opened.
    [...nft.tcp, ...nft.mark('packet', '==', RETURN), nft.accept],
    // A pod that calls itself by its own address.
    ...LOOPBACK.map((loopback) => [
      ...nft.device('out', '==', 'lo'),
      ...nft.address('destination', '!=', loopback),
      nft.accept,
    ]),
    ...LOOPBACK.map((loopback) => [
      ...nft.address('destination', '!=', loopback),
      ...nft.opening,
      ...notOurs,
      ...nft.redirectTo(OUTBOUND_PORT),
    ]),
  ];
}

/** Of whoever shares the proxy's namespace; the proxy's own look-ups pass. */
export function lookupRules(): Rule[] {
  const toNameServer = nft.port('destination', '==', NAME_SERVER_PORT);
  const captured = [...notOurs, ...nft.redirectTo(DNS_PORT)];
  return [
    // A resolver on the pod's own loopback is the pod's affair.
    [...nft.device('out', '!=', 'lo'), ...nft.udp, ...toNameServer, ...captured],
    ...LOOPBACK.map((loopback) => [
      ...nft.address('destination', '!=', loopback),
      ...nft.opening,
      ...toNameServer,
      ...captured,
    ]),
  ];
}

function natTable(inbound: readonly Rule[], outbound: readonly Rule[]): Table {
  const hook = (point: Hook['point']): Hook => ({ type: 'nat', point, priority: NAT_PRIORITY });
  return {
    name: NAT_TABLE,
    chains: [
      { name: 'istio-prerouting', rules: inbound },
      { name: 'istio-output', rules: outbound },
      { name: 'prerouting', hook: hook('prerouting'), rules: [[nft.jump('istio-prerouting')]] },
      { name: 'output', hook: hook('output'), rules: [[nft.jump('istio-output')]] },
    ],
  };
}

function mangleTable(): Table {
  return { name: MANGLE_TABLE, chains: returnChains() };
}

/** Bring the app's answers to what the proxy opened back to the proxy, together with the return route. */
export function returnChains(): Chain[] {
  return [
    {
      name: 'output-zone',
      hook: { type: 'filter', point: 'output', priority: RAW_PRIORITY },
      // A caller's redirected plaintext connection and what the proxy opens to the app in its name differ in the caller's
      // port only, which both ends choose. With the same one they would be one entry, and the later one would hang.
      rules: [[...nft.mark('packet', '==', CALLER), ...nft.inZone(CALLER_ZONE, 'original')]],
    },
    {
      name: 'prerouting',
      hook: { type: 'filter', point: 'prerouting', priority: MANGLE_PRIORITY },
      // Its answers to redirected connections pass here as well: marked, all that the app sends would be routed twice.
      rules: [
        [...nft.mark('packet', '==', PROXY), ...nft.fromOpener, ...nft.markConnection(RETURN)],
      ],
    },
    {
      name: 'output',
      hook: { type: 'route', point: 'output', priority: MANGLE_PRIORITY },
      // Only the app's answers need another route: a changed mark costs the kernel a second look-up for each
      // packet, and what the proxy itself sends is on its way already.
      rules: [[...notOurs, ...nft.mark('connection', '==', RETURN), ...nft.restoreMark]],
    },
  ];
}

/**
 * What the proxy asks the real name server lives in a connection tracking zone of its own: else it and the app's
 * redirected question, which have the same addresses and may have the same port, would be one entry.
 */
function rawTable(): Table {
  return { name: RAW_TABLE, chains: lookupZoneChains() };
}

export function lookupZoneChains(): Chain[] {
  const hook = (point: Hook['point']): Hook => ({ type: 'filter', point, priority: RAW_PRIORITY });
  const answer = [...nft.udp, ...nft.port('source', '==', NAME_SERVER_PORT), ...notOurs];
  const question = [
    ...nft.udp,
    ...nft.port('destination', '==', NAME_SERVER_PORT),
    ...nft.mark('packet', '==', PROXY),
  ];
  const zone = nft.inZone(PROXY_DNS_ZONE);
  return [
    { name: 'prerouting', hook: hook('prerouting'), rules: [[...answer, ...zone]] },
    { name: 'output', hook: hook('output'), rules: [[...question, ...zone]] },
  ];
}
