/**
 * TCP and UDP sockets made by system call, for what Bun cannot ask for: another namespace, SO_MARK before the SYN,
 * a foreign source address, the original destination. The descriptor is handed on afterwards, to Bun or to net/epoll, which owns
 * and closes it from then on.
 */

import { assert } from '#base/assert.ts';
import { MeshError } from '#base/errors.ts';
import { isIpv6, parseIp } from '#base/ip.ts';
import type { SocketAddress } from '../connection.ts';
import type { DatagramOptions } from '../datagram.ts';
import { NET_ERRORS } from '../errors.ts';
import {
  KEEPALIVE_INTERVAL_SECONDS,
  KEEPALIVE_PROBES,
  KEEPALIVE_TIME_SECONDS,
  LISTEN_BACKLOG,
} from '../limits.ts';
import type { ConnectOptions, KeepaliveTimes, ListenOptions } from '../network.ts';
import * as abi from './constants.ts';
import { errno, libc, ptr } from './libc.ts';
import { within } from './namespace.ts';
import { leavesRoomToDial } from './open-files.ts';
import {
  decodeSocketName,
  encodeSocketName,
  putSocketName,
  SOCKET_NAME_BYTES_MAX,
} from './socket-name.ts';
import { openTcp, type SpareSockets } from './spare-sockets.ts';

/** RFC 863; never a source port. */
const DISCARD_PORT = 9;

const RENO = Buffer.from('reno');

const number = new Int32Array(1);
const nameBuffer = new Uint8Array(SOCKET_NAME_BYTES_MAX);
const nameLength = new Uint32Array(1);

/** A listening socket. */
export function openListener(options: ListenOptions): number {
  const family = isIpv6(options.address) ? abi.AF_INET6 : abi.AF_INET;
  const what = `listen on ${options.address}:${options.port}`;
  const fd = within(options.namespace, () => openTcp(family));
  checkOpened(fd, what);
  setOption(fd, abi.SOL_SOCKET, abi.SO_REUSEADDR, 1);
  if (options.reusePort) setOption(fd, abi.SOL_SOCKET, abi.SO_REUSEPORT, 1);
  if (options.mark !== undefined) mustSet(fd, abi.SO_MARK, options.mark, what);
  // `::` takes IPv4 as well, whatever net.ipv6.bindv6only says.
  if (family === abi.AF_INET6) setOption(fd, abi.SOL_IPV6, abi.IPV6_V6ONLY, 0);
  if (options.transparent) setTransparent(fd, family);
  // Both inherited by accepted sockets.
  setKeepalive(fd);
  if (options.local === true) setUnpaced(fd);
  const name = encodeSocketName(options, family);
  if (libc().bind(fd, ptr(name), name.length) !== 0) throw failed(fd, 'NET_LISTEN_FAILED', what);
  if (libc().listen(fd, LISTEN_BACKLOG) !== 0) throw failed(fd, 'NET_LISTEN_FAILED', what);
  return fd;
}

/** Starts a connect and returns the descriptor at once; whoever watches it hears how it ends. */
export function openConnection(options: ConnectOptions, spares: SpareSockets): number {
  const family = isIpv6(options.address) ? abi.AF_INET6 : abi.AF_INET;
  const address = parseIp(options.address);
  if (address === undefined) throw notAnAddress(options.address);
  const fd = spares.open(options.namespace, family);
  checkOpened(fd, options);
  if (options.mark !== undefined) mustSet(fd, abi.SO_MARK, options.mark, options);
  if (options.local === true) setUnpaced(fd);
  else setKeepalive(fd, options.keepalive);
  if (options.sourceAddress !== undefined) bindSource(fd, family, options.sourceAddress, options);
  const length = putSocketName(nameBuffer, { address, port: options.port }, family);
  if (libc().connect(fd, ptr(nameBuffer), length) !== 0) {
    const code = errno();
    if (code !== abi.EINPROGRESS) throw failed(fd, 'NET_CONNECT_FAILED', options, code);
  }
  return fd;
}

/** A UDP socket that takes what anybody sends to the address. */
export function openBoundDatagrams(options: DatagramOptions): number {
  const what = `receive on ${options.address}:${options.port}`;
  const { fd, family } = openDatagrams(options, what);
  if (options.reusePort) setOption(fd, abi.SOL_SOCKET, abi.SO_REUSEPORT, 1);
  if (family === abi.AF_INET6) setOption(fd, abi.SOL_IPV6, abi.IPV6_V6ONLY, 1);
  const name = encodeSocketName(options, family);
  if (libc().bind(fd, ptr(name), name.length) !== 0) throw failed(fd, 'NET_LISTEN_FAILED', what);
  return fd;
}

/** A UDP socket with one peer; udp(7): the kernel drops what others send and reports ICMP errors. */
export function openConnectedDatagrams(options: DatagramOptions): number {
  const what = `send to ${options.address}:${options.port}`;
  const { fd, family } = openDatagrams(options, what);
  const name = encodeSocketName(options, family);
  if (libc().connect(fd, ptr(name), name.length) !== 0) throw failed(fd, 'NET_DATAGRAM', what);
  return fd;
}

/**
 * udp(7): connected, a socket gets what its peer sends and nothing else; what waits in it stays, and it may still send to
 * others. The peer is a port of its own address that nobody sends from.
 */
export function detachDatagrams(fd: number, address: string): void {
  const family = isIpv6(address) ? abi.AF_INET6 : abi.AF_INET;
  const name = encodeSocketName({ address, port: DISCARD_PORT }, family);
  libc().connect(fd, ptr(name), name.length);
}

export function sendDatagram(fd: number, bytes: Uint8Array): boolean {
  return Number(libc().send(fd, ptr(bytes), bytes.length, 0)) === bytes.length;
}

function openDatagrams(options: DatagramOptions, what: string): { fd: number; family: number } {
  const family = isIpv6(options.address) ? abi.AF_INET6 : abi.AF_INET;
  const fd = within(options.namespace, () =>
    libc().socket(family, abi.SOCK_DGRAM | abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC, 0),
  );
  if (fd < 0) throw failed(-1, 'NET_SOCKET', what);
  if (options.mark !== undefined) mustSet(fd, abi.SO_MARK, options.mark, what);
  return { fd, family };
}

/** ip(7) IP_TRANSPARENT: bind to an address that is not ours; the port stays free. */
function bindSource(fd: number, family: number, source: string, what: What): void {
  setTransparent(fd, family);
  // The port is chosen by connect(2), for source and destination together: else one client had 28,000 ports for all.
  setOption(fd, abi.SOL_IP, abi.IP_BIND_ADDRESS_NO_PORT, 1);
  const address = parseIp(source);
  assert(address !== undefined, `not an IP address: ${source}`);
  const length = putSocketName(nameBuffer, { address, port: 0 }, family);
  if (libc().bind(fd, ptr(nameBuffer), length) !== 0) {
    throw failed(fd, 'NET_CONNECT_FAILED', `${wordsOf(what)} from ${source}`);
  }
}

/** SO_ORIGINAL_DST, IPv4 then IPv6; undefined when conntrack knows no redirection. */
export function originalDestination(fd: number): SocketAddress | undefined {
  return (
    originalName(fd, abi.SOL_IP, abi.SO_ORIGINAL_DST) ??
    originalName(fd, abi.SOL_IPV6, abi.IP6T_SO_ORIGINAL_DST)
  );
}

function originalName(fd: number, level: number, option: number): SocketAddress | undefined {
  nameLength[0] = SOCKET_NAME_BYTES_MAX;
  const status = libc().getsockopt(fd, level, option, ptr(nameBuffer), ptr(nameLength));
  return status === 0 ? decodeSocketName(nameBuffer) : undefined;
}

export function localName(fd: number): SocketAddress | undefined {
  nameLength[0] = SOCKET_NAME_BYTES_MAX;
  if (libc().getsockname(fd, ptr(nameBuffer), ptr(nameLength)) !== 0) return undefined;
  return decodeSocketName(nameBuffer);
}

/** Undefined when it has no peer (any more). */
export function peerName(fd: number): SocketAddress | undefined {
  nameLength[0] = SOCKET_NAME_BYTES_MAX;
  if (libc().getpeername(fd, ptr(nameBuffer), ptr(nameLength)) !== 0) return undefined;
  return decodeSocketName(nameBuffer);
}

/** Bytes that came, into `buffer`; 0 at the peer's FIN, and the name of the error where there is one but EAGAIN, which is -1. */
export function receive(fd: number, buffer: Uint8Array): number | string {
  const count = libc().recv(fd, ptr(buffer), buffer.length, abi.MSG_DONTWAIT);
  if (count >= 0) return count;
  const code = errno();
  return code === abi.EAGAIN || code === abi.EINTR
    ? -1
    : (abi.ERRNO_NAMES[code] ?? `errno ${code}`);
}

/** Whether the socket still takes connections: the kernel may have been told to end it. */
export function isListening(fd: number): boolean {
  number[0] = 0;
  nameLength[0] = 4;
  const { getsockopt } = libc();
  const status = getsockopt(fd, abi.SOL_SOCKET, abi.SO_ACCEPTCONN, ptr(number), ptr(nameLength));
  return status === 0 && number[0] === 1;
}

/** The connect that was started has succeeded. */
export function isConnected(fd: number): boolean {
  nameLength[0] = SOCKET_NAME_BYTES_MAX;
  return libc().getpeername(fd, ptr(nameBuffer), ptr(nameLength)) === 0;
}

/** tcp(7) TCP_NODELAY, inherited by what a listener accepts. Bun sets it on each socket that it adopts. */
export function setNoDelay(fd: number): void {
  setOption(fd, abi.SOL_TCP, abi.TCP_NODELAY, 1);
}

/** tcp(7) TCP_DEFER_ACCEPT: connections are accepted once they have sent something. */
export function deferAccept(fd: number, seconds: number): void {
  setOption(fd, abi.SOL_TCP, abi.TCP_DEFER_ACCEPT, seconds);
}

/** How many bytes wait, a copy of them in `into`; 0 when the peer ended, -1 when there are none (yet). The socket is non-blocking. */
export function peek(fd: number, into: Uint8Array): number {
  return Number(libc().recv(fd, ptr(into), into.length, abi.MSG_PEEK));
}

/** Takes bytes that `peek` has seen out of the socket. */
export function discard(fd: number, scratch: Uint8Array, count: number): void {
  libc().recv(fd, ptr(scratch), count, 0);
}

/** Two descriptors, each the other end of the other. */
export function openPair(): [number, number] {
  const type = abi.SOCK_STREAM | abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;
  const pair = new Int32Array(2);
  if (libc().socketpair(abi.AF_UNIX, type, 0, ptr(pair)) !== 0) {
    throw failed(-1, 'NET_SOCKET', 'open a pair of sockets');
  }
  return [pair[0], pair[1]];
}

/** A second descriptor of the same listening socket: both share one accept queue. */
export function duplicate(fd: number): number {
  const copy = libc().dup(fd);
  if (copy < 0) throw failed(-1, 'NET_SOCKET', 'duplicate a listening socket');
  return copy;
}

export function closeDescriptor(fd: number): void {
  libc().close(fd);
}

function checkOpened(fd: number, what: What): void {
  if (fd < 0) throw failed(-1, 'NET_SOCKET', what);
  if (!leavesRoomToDial(fd)) throw failed(fd, 'NET_SOCKET', what, abi.EMFILE);
}

function setTransparent(fd: number, family: number): void {
  const [level, option] =
    family === abi.AF_INET
      ? [abi.SOL_IP, abi.IP_TRANSPARENT]
      : [abi.SOL_IPV6, abi.IPV6_TRANSPARENT];
  setOption(fd, level, option, 1);
}

function setKeepalive(fd: number, times: KeepaliveTimes = {}): void {
  const { timeMs, intervalMs, probes = KEEPALIVE_PROBES } = times;
  setOption(fd, abi.SOL_SOCKET, abi.SO_KEEPALIVE, 1);
  setOption(fd, abi.SOL_TCP, abi.TCP_KEEPIDLE, wholeSeconds(timeMs, KEEPALIVE_TIME_SECONDS));
  setOption(
    fd,
    abi.SOL_TCP,
    abi.TCP_KEEPINTVL,
    wholeSeconds(intervalMs, KEEPALIVE_INTERVAL_SECONDS),
  );
  setOption(fd, abi.SOL_TCP, abi.TCP_KEEPCNT, probes);
}

/**
 * tcp(7) TCP_CONGESTION. Where the machine's choice is BBR, TCP sends by timer, an interrupt for each piece, at the rate that it
 * has measured: towards an app of the same kernel that is only work. Reno is in every kernel and open to all.
 */
function setUnpaced(fd: number): void {
  libc().setsockopt(fd, abi.SOL_TCP, abi.TCP_CONGESTION, ptr(RENO), RENO.length);
}

/** The kernel counts in seconds, one at least. */
function wholeSeconds(ms: number | undefined, otherwise: number): number {
  return ms === undefined ? otherwise : Math.max(1, Math.round(ms / 1000));
}

function setOption(fd: number, level: number, option: number, value: number): boolean {
  number[0] = value;
  return libc().setsockopt(fd, level, option, ptr(number), 4) === 0;
}

/** For SO_MARK: without it our own packets would be captured again, so failing is the only safe answer. */
function mustSet(fd: number, option: number, value: number, what: What): void {
  if (!setOption(fd, abi.SOL_SOCKET, option, value)) {
    throw failed(fd, 'NET_SOCKET', `${wordsOf(what)}: set socket mark`);
  }
}

/** What cannot be done, in words, or where it connects to: a connection makes no text that only its failure would show. */
type What = string | SocketAddress;

function wordsOf(what: What): string {
  return typeof what === 'string' ? what : `connect to ${what.address}:${what.port}`;
}

function notAnAddress(text: string): MeshError {
  return new MeshError('NET_CONNECT_FAILED', `not an IP address: ${text}`, {
    side: 'self',
    hint: NET_ERRORS.NET_CONNECT_FAILED,
  });
}

function failed(fd: number, code: keyof typeof NET_ERRORS, what: What, known?: number): MeshError {
  const number = known ?? errno();
  if (fd >= 0) libc().close(fd);
  const name = abi.ERRNO_NAMES[number] ?? `errno ${number}`;
  const precise = name === 'ECONNREFUSED' ? 'NET_CONNECT_REFUSED' : code;
  return new MeshError(precise, `cannot ${wordsOf(what)}: ${name}`, {
    side: 'self',
    hint: NET_ERRORS[precise],
    retry: 'safe',
  });
}
