/**
 * Probes of the kubelet come in plaintext from the node itself; a captured pod that demands mutual TLS would refuse
 * them. As istio-cni does, the node gives what it sends to captured pods a source address that the rules in the
 * pod let pass. The answers come back to the node, which translates them again.
 */
import { formatIp } from '#base/ip.ts';
import { NETLINK_NETFILTER } from '#net/netns/constants.ts';
import { type NetlinkSocket, openNetlink } from '#net/netns/netlink.ts';
import { decodeAttributes, listAttributes, textBytes } from '#net/netns/netlink-codec.ts';
import type { NetworkNamespace } from '#net/network.ts';
import * as abi from './nft/constants.ts';
import * as nft from './nft/expressions.ts';
import { addElement, createSets, deleteElement, flushSets, setNamed } from './nft/sets.ts';
import {
  attributesOf,
  commit,
  createChains,
  createTable,
  encodeTransaction,
  familyHeader,
  removeTable,
  type Step,
  type Table,
  type Transaction,
} from './nft/transaction.ts';
import { KUBELET_UID, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6 } from './ports.ts';

export const PROBE_TABLE = 'istio-ambient-probes';
const CHAIN = 'postrouting';
const SETS = { table: PROBE_TABLE, ipv4: 'pods4', ipv6: 'pods6' } as const;
/** Netfilter's usual priority of source NAT. */
const PRIORITY = 100;

type ProbeChange = 'add' | 'delete' | 'replace';

export class ProbeExemptions {
  readonly #socket: NetlinkSocket;

  /** The namespace is the node's; undefined: that of this process. */
  constructor(namespace?: NetworkNamespace) {
    this.#socket = openNetlink(namespace, NETLINK_NETFILTER);
  }

  add(addresses: readonly string[]): void {
    this.#change(addresses, 'add');
  }

  delete(addresses: readonly string[]): void {
    if (addresses.length > 0) this.#change(addresses, 'delete');
  }

  /** These and no others. */
  replace(addresses: readonly string[]): void {
    this.#change(addresses, 'replace');
  }

  /** Nothing of it stays on the node. */
  remove(): void {
    commit(this.#socket, encodeTransaction(removeTable(PROBE_TABLE)), 'remove probe exemptions');
  }

  /** Who is exempt; nobody, when a rule is missing. */
  read(): ReadonlySet<string> {
    return readProbes(this.#socket);
  }

  /** The rules stay: a node proxy that starts again does not interrupt probes. */
  close(): void {
    this.#socket.close();
  }

  #change(addresses: readonly string[], change: ProbeChange): void {
    commit(this.#socket, probeTransaction(addresses, change), 'exempt probes');
  }
}

/** One transaction, which also makes the table and its rules when they are not there. */
function probeTransaction(addresses: readonly string[], change: ProbeChange): Transaction {
  const [makeChain, ...makeRules] = createChains(probeTable());
  return encodeTransaction([
    createTable(PROBE_TABLE),
    ...createSets(SETS),
    makeChain,
    flushChain(),
    ...makeRules,
    ...(change === 'replace' ? flushSets(SETS) : []),
    ...addresses.flatMap((address) =>
      change === 'delete' ? deleteElement(SETS, address) : addElement(SETS, address),
    ),
  ]);
}

function probeTable(): Table {
  // Sockets of the node's own namespace only: what is forwarded has another source and no socket here.
  const own = [...nft.socketOwner(KUBELET_UID), ...nft.fromHere];
  const rule = (set: string, family: nft.IpFamily, source: string) => [
    ...nft.tcp,
    ...nft.destinationIn(set, family),
    ...own,
    ...nft.sourceBecomes(source),
  ];
  const rules = [
    rule(SETS.ipv4, 'ipv4', PROBE_SOURCE_IPV4),
    rule(SETS.ipv6, 'ipv6', PROBE_SOURCE_IPV6),
  ];
  const hook = { type: 'nat', point: 'postrouting', priority: PRIORITY } as const;
  return { name: PROBE_TABLE, chains: [{ name: CHAIN, hook, rules }] };
}

function flushChain(): Step {
  return {
    type: abi.DELETE_RULE,
    flags: 0,
    attributes: [
      [abi.RULE.table, textBytes(PROBE_TABLE)],
      [abi.RULE.chain, textBytes(CHAIN)],
    ],
  };
}

function readProbes(socket: NetlinkSocket): ReadonlySet<string> {
  const header = familyHeader(abi.NFPROTO_INET, 0);
  const rules = socket.dump({
    type: abi.GET_RULE,
    header,
    attributes: [[abi.RULE.table, textBytes(PROBE_TABLE)]],
  });
  if (rules.length !== probeTable().chains[0].rules.length) return new Set();
  const members = [SETS.ipv4, SETS.ipv6].flatMap((set) =>
    socket
      .dump({ type: abi.GET_ELEMENTS, header, attributes: setNamed(PROBE_TABLE, set) })
      .flatMap((message) => listAttributes(attributesOf(message).get(abi.ELEMENTS.list) ?? NOTHING))
      .map(([, element]) => memberOf(element)),
  );
  return new Set(members);
}

const NOTHING = new Uint8Array();

function memberOf(element: Uint8Array): string {
  const key = decodeAttributes(element).get(abi.ELEMENT_KEY) ?? NOTHING;
  return formatIp(decodeAttributes(key).get(abi.DATA.value) ?? NOTHING) ?? '';
}
