/**
 * Asks the kernel's connection tracking where a redirected datagram was going (SO_ORIGINAL_DST knows TCP alone): one
 * request of ctnetlink, linux/netfilter/nfnetlink_conntrack.h. Undefined wherever the kernel does not say.
 */
import { MeshError } from '#base/errors.ts';
import { formatIp, isIpv6, parseIp } from '#base/ip.ts';
import type { SocketAddress } from '../connection.ts';
import type { NetworkNamespace } from '../network.ts';
import * as abi from './constants.ts';
import { openNetlink } from './netlink.ts';
import {
  type Attribute,
  decodeAttributes,
  encodeRequests,
  type NetlinkMessage,
  network16,
} from './netlink-codec.ts';

const CONNTRACK = 1 << 8;
const NEW = CONNTRACK | 0;
const GET = CONNTRACK | 1;
const NFGENMSG_BYTES = 4;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_TIMEOUT = 7;
/** linux/netfilter/nf_conntrack_common.h */
const IPS_SEEN_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_IP_V4 = { source: 1, destination: 2 };
const CTA_IP_V6 = { source: 3, destination: 4 };
const IPPROTO_UDP = 17;

export interface RedirectedDatagram {
  readonly sender: SocketAddress;
  /** The socket that it was redirected to. */
  readonly receiver: SocketAddress;
}

export interface ConntrackReader {
  /** The address and port that the sender wrote on the datagram. */
  originalDestination(datagram: RedirectedDatagram): SocketAddress | undefined;
  close(): void;
}

export function openConntrack(namespace: NetworkNamespace | undefined): ConntrackReader {
  const socket = openNetlink(namespace, abi.NETLINK_NETFILTER);
  return {
    originalDestination(datagram) {
      const query = encodeTupleQuery(datagram);
      if (query === undefined) return undefined;
      try {
        const [message] = socket.exchange(query).messages;
        return message && decodeOriginalDestination(message);
      } catch (error) {
        if (error instanceof MeshError) return undefined;
        throw error;
      }
    },
    close: () => socket.close(),
  };
}

/** Asks by the tuple that answers carry: from the receiver to the sender. */
export function encodeTupleQuery(datagram: RedirectedDatagram): Uint8Array | undefined {
  const { sender, receiver } = datagram;
  const source = parseIp(receiver.address);
  const destination = parseIp(sender.address);
  if (source === undefined || source.length !== destination?.length) return undefined;
  const ipv6 = isIpv6(sender.address);
  const family = ipv6 ? CTA_IP_V6 : CTA_IP_V4;
  const tuple: Attribute[] = [
    [
      CTA_TUPLE_IP,
      [
        [family.source, source],
        [family.destination, destination],
      ],
    ],
    [
      CTA_TUPLE_PROTO,
      [
        [CTA_PROTO_NUM, Uint8Array.of(IPPROTO_UDP)],
        [CTA_PROTO_SRC_PORT, network16(receiver.port)],
        [CTA_PROTO_DST_PORT, network16(sender.port)],
      ],
    ],
  ];
  return encodeRequests([
    {
      type: GET,
      flags: abi.NLM_F_REQUEST,
      sequence: 1,
      header: Uint8Array.of(ipv6 ? abi.AF_INET6 : abi.AF_INET, 0, 0, 0),
      attributes: [[CTA_TUPLE_REPLY, tuple]],
    },
  ]);
}

export function decodeOriginalDestination(message: NetlinkMessage): SocketAddress | undefined {
  if (message.type !== NEW) return undefined;
  const tuple = decodeAttributes(message.body.subarray(NFGENMSG_BYTES)).get(CTA_TUPLE_ORIG);
  return tuple && decodeTuple(tuple)?.destination;
}

/** All entries of one family. */
export function dumpRequest(family: number) {
  return { type: GET, header: Uint8Array.of(family, 0, 0, 0), attributes: [] };
}

export interface RedirectedFlow extends RedirectedDatagram {
  /** At least once. */
  readonly answered: boolean;
  /** Until its entry goes: the longer, the later a datagram came. */
  readonly secondsLeft: number;
}

/** A flow of datagrams that were redirected to the port. */
export function decodeRedirected(
  message: NetlinkMessage,
  port: number,
): RedirectedFlow | undefined {
  if (message.type !== NEW) return undefined;
  const attributes = decodeAttributes(message.body.subarray(NFGENMSG_BYTES));
  const original = attributes.get(CTA_TUPLE_ORIG);
  const reply = attributes.get(CTA_TUPLE_REPLY);
  const timeout = attributes.get(CTA_TIMEOUT);
  const status = attributes.get(CTA_STATUS);
  const answer = reply && decodeTuple(reply);
  if (answer?.protocol !== IPPROTO_UDP || answer.source.port !== port) return undefined;
  // Sent to the port itself: nothing was redirected, and the sender is not ours to tell.
  if (original === undefined || decodeTuple(original)?.destination.port === port) return undefined;
  // In network order, as everything of nfnetlink.
  const secondsLeft = timeout?.length === 4 ? (timeout[2] << 8) | timeout[3] : 0;
  const answered = status?.length === 4 && (status[3] & IPS_SEEN_REPLY) !== 0;
  return { sender: answer.destination, receiver: answer.source, answered, secondsLeft };
}

interface Tuple {
  readonly protocol: number;
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
}

function decodeTuple(bytes: Uint8Array): Tuple | undefined {
  const parts = decodeAttributes(bytes);
  const [ip, proto] = [CTA_TUPLE_IP, CTA_TUPLE_PROTO].map((type) => parts.get(type));
  if (ip === undefined || proto === undefined) return undefined;
  const ports = decodeAttributes(proto);
  const addresses = decodeAttributes(ip);
  const end = (side: 'source' | 'destination', portType: number): SocketAddress | undefined => {
    const address = addresses.get(CTA_IP_V4[side]) ?? addresses.get(CTA_IP_V6[side]);
    const text = address && formatIp(address);
    const port = ports.get(portType);
    if (text === undefined || port?.length !== 2) return undefined;
    return { address: text, port: (port[0] << 8) | port[1] };
  };
  const source = end('source', CTA_PROTO_SRC_PORT);
  const destination = end('destination', CTA_PROTO_DST_PORT);
  const [protocol = 0] = ports.get(CTA_PROTO_NUM) ?? [];
  return source && destination && { protocol, source, destination };
}
