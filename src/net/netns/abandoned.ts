/**
 * Redirected datagrams that a process took to its grave: their senders hear nothing and wait for seconds. Connection
 * tracking still knows them; each sender is sent what the kernel sends when nobody listens, an ICMP "port unreachable",
 * and tries again at once. Who waits for nothing any more does not notice.
 */
import { parseIp } from '#base/ip.ts';
import { ABANDONED_MAX } from '../limits.ts';
import type { NetworkNamespace } from '../network.ts';
import { decodeRedirected, dumpRequest, type RedirectedDatagram } from './conntrack.ts';
import * as abi from './constants.ts';
import { libc, ptr } from './libc.ts';
import { within } from './namespace.ts';
import { withNetlink } from './netlink.ts';
import { encodeSocketName } from './socket-name.ts';

const IPPROTO_ICMP = 1;
const IPPROTO_UDP = 17;
const IPPROTO_ICMPV6 = 58;
const UDP_HEADER_BYTES = 8;

/** Of datagrams that were redirected to `port`: those never answered first, then the latest. Returns how many were told. */
export function refuseAbandoned(namespace: NetworkNamespace | undefined, port: number): number {
  const messages = withNetlink(namespace, abi.NETLINK_NETFILTER, (socket) =>
    [abi.AF_INET, abi.AF_INET6].flatMap((family) => socket.dump(dumpRequest(family))),
  );
  return messages
    .flatMap((message) => decodeRedirected(message, port) ?? [])
    .sort(
      (one, two) =>
        Number(one.answered) - Number(two.answered) || two.secondsLeft - one.secondsLeft,
    )
    .slice(0, ABANDONED_MAX)
    .filter((datagram) => refuse(namespace, datagram)).length;
}

function refuse(namespace: NetworkNamespace | undefined, datagram: RedirectedDatagram): boolean {
  const { sender, receiver } = datagram;
  const report = encodeUnreachable(datagram);
  if (report === undefined) return false;
  const [family, protocol] = sender.address.includes(':')
    ? [abi.AF_INET6, IPPROTO_ICMPV6]
    : [abi.AF_INET, IPPROTO_ICMP];
  const fd = within(namespace, () =>
    libc().socket(family, abi.SOCK_RAW | abi.SOCK_CLOEXEC, protocol),
  );
  if (fd < 0) return false;
  const from = encodeSocketName({ address: receiver.address, port: 0 }, family);
  const to = encodeSocketName({ address: sender.address, port: 0 }, family);
  const sent =
    libc().bind(fd, ptr(from), from.length) === 0 &&
    libc().connect(fd, ptr(to), to.length) === 0 &&
    Number(libc().send(fd, ptr(report), report.length, abi.MSG_DONTWAIT)) === report.length;
  libc().close(fd);
  return sent;
}

/** RFC 792 and RFC 4443 §3.1: type, code, checksum, four unused bytes, and the head of the datagram in question. */
export function encodeUnreachable({
  sender,
  receiver,
}: RedirectedDatagram): Uint8Array | undefined {
  const source = parseIp(sender.address);
  const destination = parseIp(receiver.address);
  if (source === undefined || source.length !== destination?.length) return undefined;
  const ipv6 = source.length === 16;
  const ip = ipv6 ? ipv6Header(source, destination) : ipv4Header(source, destination);
  const ports = [sender.port, receiver.port].flatMap((port) => [port >> 8, port & 255]);
  const [type, code] = ipv6 ? [1, 4] : [3, 3];
  const report = Uint8Array.of(
    type,
    code,
    0,
    0,
    0,
    0,
    0,
    0,
    ...ip,
    ...ports,
    0,
    UDP_HEADER_BYTES,
    0,
    0,
  );
  // raw(7): the kernel does this for ICMPv6, whose checksum covers the addresses.
  if (!ipv6) report.set(checksum(report), 2);
  return report;
}

function ipv4Header(source: Uint8Array, destination: Uint8Array): Uint8Array {
  const length = 20 + UDP_HEADER_BYTES;
  const header = Uint8Array.of(
    0x45,
    0,
    0,
    length,
    0,
    0,
    0,
    0,
    64,
    IPPROTO_UDP,
    0,
    0,
    ...source,
    ...destination,
  );
  header.set(checksum(header), 10);
  return header;
}

function ipv6Header(source: Uint8Array, destination: Uint8Array): Uint8Array {
  return Uint8Array.of(
    0x60,
    0,
    0,
    0,
    0,
    UDP_HEADER_BYTES,
    IPPROTO_UDP,
    64,
    ...source,
    ...destination,
  );
}

/** RFC 1071, of an even number of bytes. */
function checksum(bytes: Uint8Array): [number, number] {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return [(~sum >> 8) & 255, ~sum & 255];
}
