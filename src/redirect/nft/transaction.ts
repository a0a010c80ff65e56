/**
 * Tables of family inet as values, and the one transaction that puts them into a namespace: all or nothing, and
 * nobody sees a state in between. What the kernel then shows of them can be compared later.
 */
import { MeshError } from '#base/errors.ts';
import {
  ERRNO_NAMES,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_REQUEST,
} from '#net/netns/constants.ts';
import type { NetlinkSocket } from '#net/netns/netlink.ts';
import {
  type Attribute,
  decodeAttributes,
  encodeRequests,
  type NetlinkMessage,
  network32,
  textBytes,
} from '#net/netns/netlink-codec.ts';
import { REDIRECT_ERRORS } from '../errors.ts';
import * as nft from './constants.ts';
import type { Expression } from './expressions.ts';

export interface Table {
  readonly name: string;
  readonly chains: readonly Chain[];
}

export interface Chain {
  readonly name: string;
  /** Where packets enter it; without, only a jump leads here. */
  readonly hook?: Hook;
  readonly rules: readonly (readonly Expression[])[];
}

export interface Hook {
  readonly type: 'nat' | 'filter' | 'route';
  readonly point: 'prerouting' | 'output' | 'postrouting';
  readonly priority: number;
}

/** One step of a transaction. */
export interface Step {
  readonly type: number;
  readonly attributes: readonly Attribute[];
  readonly flags?: number;
}

const HOOK_NUMBER = { prerouting: 0, output: 3, postrouting: 4 } as const;

export function createTable(name: string): Step {
  return { type: nft.NEW_TABLE, attributes: [[nft.TABLE.name, textBytes(name)]] };
}

/** Goes with the socket that makes it, however its process ends; nobody else can change it. Linux 5.12 and later. */
export function createOwnedTable(name: string): Step {
  const flags: Attribute = [nft.TABLE.flags, network32(nft.TABLE_OWNER)];
  return { type: nft.NEW_TABLE, attributes: [[nft.TABLE.name, textBytes(name)], flags] };
}

/** Creates before it deletes: deleting a table that is not there is an error. */
export function removeTable(name: string): Step[] {
  const attributes: Attribute[] = [[nft.TABLE.name, textBytes(name)]];
  return [createTable(name), { type: nft.DELETE_TABLE, attributes }];
}

export function createChains(table: Table): Step[] {
  // Chains first: a rule may jump to any of them.
  return [
    ...table.chains.map((chain) => createChain(table.name, chain)),
    ...table.chains.flatMap((chain) =>
      chain.rules.map((rule) => createRule(table.name, chain.name, rule)),
    ),
  ];
}

function createChain(table: string, { name, hook }: Chain): Step {
  const attributes: Attribute[] = [
    [nft.CHAIN.table, textBytes(table)],
    [nft.CHAIN.name, textBytes(name)],
  ];
  if (hook !== undefined) {
    attributes.push(
      [
        nft.CHAIN.hook,
        [
          [nft.HOOK.number, network32(HOOK_NUMBER[hook.point])],
          [nft.HOOK.priority, network32(hook.priority)],
        ],
      ],
      [nft.CHAIN.policy, network32(nft.VERDICT_ACCEPT)],
      [nft.CHAIN.type, textBytes(hook.type)],
    );
  }
  return { type: nft.NEW_CHAIN, attributes };
}

function createRule(table: string, chain: string, expressions: readonly Expression[]): Step {
  return {
    type: nft.NEW_RULE,
    flags: NLM_F_CREATE | NLM_F_APPEND,
    attributes: [
      [nft.RULE.table, textBytes(table)],
      [nft.RULE.chain, textBytes(chain)],
      [nft.RULE.expressions, expressions.map((each) => [nft.LIST_ELEMENT, each] as const)],
    ],
  };
}

/** The bytes of a whole transaction: made once, they serve any number of namespaces. */
export interface Transaction {
  readonly bytes: Uint8Array;
  /** Sequence number of the step whose acknowledgement says that all was done. */
  readonly last: number;
}

export function encodeTransaction(steps: readonly Step[]): Transaction {
  const last = steps.length;
  const frame = (type: number, sequence: number) => ({
    type,
    flags: NLM_F_REQUEST,
    sequence,
    header: familyHeader(0, nft.RESOURCE_ID),
    attributes: [],
  });
  const bytes = encodeRequests([
    frame(nft.BATCH_BEGIN, 0),
    ...steps.map(({ type, attributes, flags = NLM_F_CREATE }, index) => ({
      type,
      flags: NLM_F_REQUEST | flags | (index === last - 1 ? NLM_F_ACK : 0),
      sequence: index + 1,
      header: familyHeader(nft.NFPROTO_INET, 0),
      attributes,
    })),
    frame(nft.BATCH_END, last + 1),
  ]);
  return { bytes, last };
}

/** All or nothing; throws with the kernel's reason. */
export function commit(socket: NetlinkSocket, transaction: Transaction, what: string): void {
  const { outcomes } = socket.exchange(transaction.bytes);
  for (const [sequence, code] of outcomes) {
    if (code === 0) continue;
    const name = ERRNO_NAMES[code] ?? `errno ${code}`;
    throw failed(`${what}: ${name} at step ${sequence} of ${transaction.last}`);
  }
  if (!outcomes.has(transaction.last)) throw failed(`${what}: no answer`);
}

function failed(message: string): MeshError {
  const hint = REDIRECT_ERRORS.REDIRECT_FAILED;
  return new MeshError('REDIRECT_FAILED', `cannot ${message}`, { side: 'self', hint });
}

const GENERATION_REQUEST = encodeRequests([
  {
    type: nft.GET_GENERATION,
    flags: NLM_F_REQUEST,
    sequence: 1,
    header: familyHeader(0, 0),
    attributes: [],
  },
]);

/** Counts every change to any table of the namespace: equal numbers, equal rules. */
export function generation(socket: NetlinkSocket): number {
  const [answer] = socket.exchange(GENERATION_REQUEST).messages;
  const id = answer && attributesOf(answer).get(nft.GENERATION_ID);
  if (id === undefined) throw failed('read the generation of the rules: no answer');
  return new DataView(id.buffer, id.byteOffset).getUint32(0);
}

/** A digest of what the kernel has of these tables; handles do not count. Empty when none of them is there. */
export function digestOf(socket: NetlinkSocket, tables: readonly string[]): string {
  const header = familyHeader(nft.NFPROTO_INET, 0);
  const chains = socket.dump({ type: nft.GET_CHAIN, header, attributes: [] }).map((message) => {
    const found = attributesOf(message);
    const { table, name, hook, policy, type } = nft.CHAIN;
    return {
      table: textOf(found.get(table)),
      parts: [name, hook, policy, type].map((key) => found.get(key)),
    };
  });
  const rules = tables.flatMap((table) =>
    socket
      .dump({
        type: nft.GET_RULE,
        header,
        attributes: [[nft.RULE.table, textBytes(table)]],
      })
      .map((message) => {
        const found = attributesOf(message);
        return {
          table,
          parts: [nft.RULE.chain, nft.RULE.expressions].map((key) => found.get(key)),
        };
      }),
  );
  const ours = [...chains, ...rules].filter(({ table }) => tables.includes(table));
  if (ours.length === 0) return '';
  const digest = new Bun.CryptoHasher('sha256');
  for (const { table, parts } of ours) {
    digest.update(`\n${table}`);
    for (const part of parts) digest.update(`\n${part?.length} `).update(part ?? '');
  }
  return digest.digest('hex');
}

/** struct nfgenmsg: family, version 0, and a number in network order. */
export function familyHeader(family: number, resource: number): Uint8Array {
  return new Uint8Array([family, 0, resource >> 8, resource & 255]);
}

export function attributesOf(message: NetlinkMessage): Map<number, Uint8Array> {
  return decodeAttributes(message.body.subarray(4));
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : new TextDecoder().decode(bytes.subarray(0, bytes.length - 1));
}
