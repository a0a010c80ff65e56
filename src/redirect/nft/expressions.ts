/**
 * What a rule is made of, as nft(8) would translate its words: each function gives the expressions that load something
 * into the one register used and compare it, or the statement at the end. Pure.
 */

import { assert } from '#base/assert.ts';
import { parseIp } from '#base/ip.ts';
import {
  type Attribute,
  host32,
  network16,
  network32,
  textBytes,
} from '#net/netns/netlink-codec.ts';
import {
  DATA,
  EXPRESSION,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  REGISTER_1,
  REGISTER_VERDICT,
  VERDICT,
  VERDICT_ACCEPT,
  VERDICT_JUMP,
  VERDICT_RETURN,
} from './constants.ts';

export type Expression = readonly Attribute[];
export type Comparison = '==' | '!=';

const META = { dreg: 1, key: 2, sreg: 3 } as const;
const META_KEY = { mark: 3, iifname: 6, oifname: 7, skuid: 10, nfproto: 15, l4proto: 16 } as const;
const CT = { dreg: 1, key: 2, direction: 3, sreg: 4 } as const;
const CT_KEY = { direction: 1, mark: 3, zone: 17 } as const;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IFNAMSIZ = 16;
/** linux/netfilter/nf_nat.h NF_NAT_RANGE_PROTO_SPECIFIED: a port is named. */
const PORT_NAMED = 2;
const RTN_LOCAL = 2;

const expression = (name: string, data: readonly Attribute[]): Expression => [
  [EXPRESSION.name, textBytes(name)],
  [EXPRESSION.data, data],
];

const loadMeta = (key: number) =>
  expression('meta', [
    [META.dreg, network32(REGISTER_1)],
    [META.key, network32(key)],
  ]);

const loadCt = (key: number) =>
  expression('ct', [
    [CT.dreg, network32(REGISTER_1)],
    [CT.key, network32(key)],
  ]);

const loadPayload = (base: number, offset: number, length: number) =>
  expression('payload', [
    [1, network32(REGISTER_1)],
    [2, network32(base)],
    [3, network32(offset)],
    [4, network32(length)],
  ]);

const compare = (comparison: Comparison, value: Uint8Array) =>
  expression('cmp', [
    [1, network32(REGISTER_1)],
    [2, network32(comparison === '==' ? 0 : 1)],
    [3, [[DATA.value, value]]],
  ]);

/** The register becomes `register & mask ^ xor`. */
const bitwise = (mask: Uint8Array, xor: Uint8Array) =>
  expression('bitwise', [
    [1, network32(REGISTER_1)],
    [2, network32(REGISTER_1)],
    [3, network32(mask.length)],
    [6, network32(0)],
    [4, [[DATA.value, mask]]],
    [5, [[DATA.value, xor]]],
  ]);

const immediate = (value: Uint8Array) =>
  expression('immediate', [
    [1, network32(REGISTER_1)],
    [2, [[DATA.value, value]]],
  ]);

const verdict = (code: number, chain?: string) =>
  expression('immediate', [
    [1, network32(REGISTER_VERDICT)],
    [
      2,
      [
        [
          DATA.verdict,
          [
            [VERDICT.code, network32(code)],
            ...(chain === undefined ? [] : [[VERDICT.chain, textBytes(chain)] as const]),
          ],
        ],
      ],
    ],
  ]);

export const tcp = [loadMeta(META_KEY.l4proto), compare('==', new Uint8Array([IPPROTO_TCP]))];
export const udp = [loadMeta(META_KEY.l4proto), compare('==', new Uint8Array([IPPROTO_UDP]))];

/** A segment that opens a connection: `tcp flags & (fin | syn | rst | ack) == syn`. */
export const opening = [
  ...tcp,
  loadPayload(TRANSPORT_HEADER, 13, 1),
  bitwise(new Uint8Array([0x17]), new Uint8Array(1)),
  compare('==', new Uint8Array([0x02])),
];

export function address(end: 'source' | 'destination', comparison: Comparison, text: string) {
  const bytes = parseIp(text);
  assert(bytes !== undefined, `not an IP address: ${text}`);
  return [...loadAddress(end, bytes.length === 4 ? 'ipv4' : 'ipv6'), compare(comparison, bytes)];
}

export type IpFamily = 'ipv4' | 'ipv6';

function loadAddress(end: 'source' | 'destination', family: IpFamily): Expression[] {
  const ipv4 = family === 'ipv4';
  const proto = new Uint8Array([ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6]);
  // RFC 791 §3.1, RFC 8200 §3.
  const offset = end === 'source' ? (ipv4 ? 12 : 8) : ipv4 ? 16 : 24;
  return [
    loadMeta(META_KEY.nfproto),
    compare('==', proto),
    loadPayload(NETWORK_HEADER, offset, ipv4 ? 4 : 16),
  ];
}

export function destinationIn(set: string, family: IpFamily): Expression[] {
  return [
    ...loadAddress('destination', family),
    expression('lookup', [
      [1, textBytes(set)],
      [2, network32(REGISTER_1)],
    ]),
  ];
}

/** A CIDR of either family. */
export function destinationWithin(base: Uint8Array, length: number): Expression[] {
  const mask = base.map(
    (_, index) => 256 - 2 ** (8 - Math.min(8, Math.max(0, length - index * 8))),
  );
  return [
    ...loadAddress('destination', base.length === 4 ? 'ipv4' : 'ipv6'),
    bitwise(mask, new Uint8Array(base.length)),
    compare(
      '==',
      base.map((byte, index) => byte & mask[index]),
    ),
  ];
}

/** Of TCP and UDP alike; the rule must have named which. */
export function port(end: 'source' | 'destination', comparison: Comparison, value: number) {
  const offset = end === 'source' ? 0 : 2;
  return [loadPayload(TRANSPORT_HEADER, offset, 2), compare(comparison, network16(value))];
}

export function device(end: 'in' | 'out', comparison: Comparison, name: string): Expression[] {
  const padded = new Uint8Array(IFNAMSIZ);
  padded.set(textBytes(name).subarray(0, IFNAMSIZ - 1));
  return [
    loadMeta(end === 'in' ? META_KEY.iifname : META_KEY.oifname),
    compare(comparison, padded),
  ];
}

export function mark(of: 'packet' | 'connection', comparison: Comparison, value: MaskedMark) {
  const load = of === 'packet' ? loadMeta(META_KEY.mark) : loadCt(CT_KEY.mark);
  return [
    load,
    bitwise(host32(value.mask), new Uint8Array(4)),
    compare(comparison, host32(value.mark)),
  ];
}

export interface MaskedMark {
  readonly mark: number;
  readonly mask: number;
}

export function socketOwner(uid: number): Expression[] {
  return [loadMeta(META_KEY.skuid), compare('==', host32(uid))];
}

/** `fib saddr type local`: the source is an address of this namespace. */
export const fromHere = [
  expression('fib', [
    [1, network32(REGISTER_1)],
    [2, network32(3)],
    [3, network32(1)],
  ]),
  compare('==', host32(RTN_LOCAL)),
];

export const accept = verdict(VERDICT_ACCEPT);
export const leave = verdict(VERDICT_RETURN);
export const jump = (chain: string) => verdict(VERDICT_JUMP, chain);

export function redirectTo(localPort: number): Expression[] {
  return [
    immediate(network16(localPort)),
    expression('redir', [
      [1, network32(REGISTER_1)],
      [2, network32(REGISTER_1)],
      [3, network32(PORT_NAMED)],
    ]),
  ];
}

export function sourceBecomes(text: string): Expression[] {
  const bytes = parseIp(text);
  assert(bytes !== undefined, `not an IP address: ${text}`);
  return [
    immediate(bytes),
    expression('nat', [
      [1, network32(0)],
      [2, network32(bytes.length === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6)],
      [3, network32(REGISTER_1)],
    ]),
  ];
}

/** `ct direction original`: a packet from whoever opened the connection. */
export const fromOpener = [loadCt(CT_KEY.direction), compare('==', new Uint8Array([0]))];

/** The masked bits of the connection's mark become those of `value`; the others stay. */
export function markConnection(value: MaskedMark): Expression[] {
  return [
    loadCt(CT_KEY.mark),
    bitwise(host32(~value.mask >>> 0), host32(value.mark)),
    expression('ct', [
      [CT.key, network32(CT_KEY.mark)],
      [CT.sreg, network32(REGISTER_1)],
    ]),
  ];
}

/** The whole mark of the connection becomes the packet's. */
export const restoreMark = [
  loadCt(CT_KEY.mark),
  expression('meta', [
    [META.key, network32(META_KEY.mark)],
    [META.sreg, network32(REGISTER_1)],
  ]),
];

/** Of both directions, or of what the opener sends: the answers are found in the zone that all others are in. */
export function inZone(zone: number, of: 'both' | 'original' = 'both'): Expression[] {
  return [
    immediate(new Uint8Array([zone & 255, zone >> 8])),
    expression('ct', [
      [CT.key, network32(CT_KEY.zone)],
      ...(of === 'both' ? [] : [[CT.direction, new Uint8Array([0])] as const]),
      [CT.sreg, network32(REGISTER_1)],
    ]),
  ];
}
