/**
 * Local sockets that keep message boundaries and carry file descriptors: AF_UNIX, SOCK_SEQPACKET, SCM_RIGHTS (unix(7)). Bun
 * watches streams only, so the kernel signals us when something came (SIGIO: fcntl(2) F_SETOWN, O_ASYNC). For control
 * traffic: a message now and then.
 */
import { rmSync } from 'node:fs';
import type { Clock, Timer } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { NET_ERRORS } from '../errors.ts';
import { PACKET_BYTES_MAX, PACKET_DESCRIPTORS_MAX, PACKET_LOOK_MS } from '../limits.ts';
import * as abi from './constants.ts';
import { errno, libc, ptr } from './libc.ts';

export interface Packet {
  /** Its own copy. */
  readonly bytes: Uint8Array;
  /** The receiver owns and closes them. */
  readonly descriptors: readonly number[];
}

export interface PacketHandler {
  onPacket(packet: Packet): void;
  /** Once, last; not after our own `close`. Undefined: the peer closed in order. */
  onClose(error: MeshError | undefined): void;
}

export interface PacketConnection {
  /** The kernel passes a copy of the descriptor on. A failure ends the connection. */
  send(bytes: Uint8Array, descriptor?: number): void;
  close(): void;
}

export interface PacketListener {
  stop(): void;
}

interface Looked {
  look(): void;
}

/** struct sockaddr_un: the family, then the path with its end. */
const PATH_BYTES_MAX = 108;
const BACKLOG = 16;
/** struct msghdr of 64-bit ABIs, with its one struct iovec and room for one struct cmsghdr of descriptors. */
const MESSAGE = { bytes: 56, iov: 16, iovLength: 24, control: 32, controlLength: 40, flags: 48 };
const CMSG_HEADER_BYTES = 16;
const CMSG_BYTES = CMSG_HEADER_BYTES + PACKET_DESCRIPTORS_MAX * 4;

const data = new Uint8Array(PACKET_BYTES_MAX);
const vector = new BigUint64Array(2);
const control = new Uint8Array(CMSG_BYTES);
const message = new Uint8Array(MESSAGE.bytes);
const controlView = new DataView(control.buffer);
const messageView = new DataView(message.buffer);

const open = new Set<Looked>();
let signalled = false;

/** The handler stays: a signal that comes late, without one, would end the process. */
function watch(fd: number, socket: Looked): void {
  if (!signalled) {
    signalled = true;
    process.on('SIGIO', () => {
      for (const each of [...open]) each.look();
    });
  }
  open.add(socket);
  libc().fcntl(fd, abi.F_SETOWN, process.pid);
  libc().fcntl(fd, abi.F_SETFL, abi.O_ASYNC | abi.O_NONBLOCK);
}

/** Throws when nobody listens there. */
export function connectPackets(
  path: string,
  clock: Clock,
  handler: PacketHandler,
): PacketConnection {
  const fd = openSocket(path);
  const name = nameOf(path);
  if (libc().connect(fd, ptr(name), name.length) !== 0) throw failed(fd, `connect to ${path}`);
  return new PacketSocket(fd, path, clock, () => handler);
}

/** A socket that is left of an earlier process is replaced. `accept` is given the connection and returns its handler. */
export function listenPackets(
  path: string,
  clock: Clock,
  accept: (connection: PacketConnection) => PacketHandler,
): PacketListener {
  rmSync(path, { force: true });
  const fd = openSocket(path);
  const name = nameOf(path);
  if (libc().bind(fd, ptr(name), name.length) !== 0) throw failed(fd, `listen on ${path}`);
  if (libc().listen(fd, BACKLOG) !== 0) throw failed(fd, `listen on ${path}`);
  const flags = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;
  const listener: Looked = {
    look() {
      for (;;) {
        const accepted = libc().accept4(fd, null, null, flags);
        if (accepted < 0) return;
        new PacketSocket(accepted, path, clock, accept);
      }
    },
  };
  watch(fd, listener);
  const timer = clock.every(PACKET_LOOK_MS, () => listener.look());
  return {
    stop() {
      if (!open.delete(listener)) return;
      timer.cancel();
      libc().close(fd);
      rmSync(path, { force: true });
    },
  };
}

class PacketSocket implements PacketConnection, Looked {
  readonly #fd: number;
  readonly #path: string;
  readonly #handler: PacketHandler;
  readonly #timer: Timer;

  constructor(
    fd: number,
    path: string,
    clock: Clock,
    handlerFor: (connection: PacketConnection) => PacketHandler,
  ) {
    this.#fd = fd;
    this.#path = path;
    this.#timer = clock.every(PACKET_LOOK_MS, () => this.look());
    watch(fd, this);
    this.#handler = handlerFor(this);
    // What came before we were to be signalled; the caller has the connection by then.
    queueMicrotask(() => this.look());
  }

  send(bytes: Uint8Array, descriptor?: number): void {
    if (!open.has(this)) return;
    if (descriptor !== undefined) {
      controlView.setBigUint64(0, BigInt(CMSG_HEADER_BYTES + 4), true);
      controlView.setInt32(8, abi.SOL_SOCKET, true);
      controlView.setInt32(12, abi.SCM_RIGHTS, true);
      controlView.setInt32(CMSG_HEADER_BYTES, descriptor, true);
    }
    prepare(bytes, descriptor === undefined ? 0 : CMSG_HEADER_BYTES + 8);
    const flags = abi.MSG_DONTWAIT | abi.MSG_NOSIGNAL;
    if (Number(libc().sendmsg(this.#fd, ptr(message), flags)) >= 0) return;
    this.#end(failed(-1, `send to ${this.#path}`));
  }

  close(): void {
    if (!open.delete(this)) return;
    this.#timer.cancel();
    libc().close(this.#fd);
  }

  look(): void {
    while (open.has(this)) {
      const packet = receive(this.#fd);
      if (packet === undefined) return;
      if (typeof packet === 'number') {
        if (packet === abi.EAGAIN) return;
        this.#end(packet === 0 ? undefined : broken(this.#path, packet));
        return;
      }
      this.#handler.onPacket(packet);
    }
  }

  #end(error: MeshError | undefined): void {
    this.close();
    this.#handler.onClose(error);
  }
}

/** Negative: the packet was cut. */
const CUT = -1;

/** A packet; else errno, 0 when the peer has closed, or `CUT`. */
function receive(fd: number): Packet | number | undefined {
  prepare(data, CMSG_BYTES);
  const flags = abi.MSG_DONTWAIT | abi.MSG_CMSG_CLOEXEC;
  const length = Number(libc().recvmsg(fd, ptr(message), flags));
  if (length < 0) return errno() === abi.EINTR ? receive(fd) : errno();
  const descriptors = receivedDescriptors();
  const cut = messageView.getInt32(MESSAGE.flags, true) & (abi.MSG_TRUNC | abi.MSG_CTRUNC);
  if (length > 0 && cut === 0) return { bytes: data.slice(0, length), descriptors };
  for (const descriptor of descriptors) libc().close(descriptor);
  return cut === 0 ? 0 : CUT;
}

function receivedDescriptors(): number[] {
  const used = Number(messageView.getBigUint64(MESSAGE.controlLength, true));
  if (used < CMSG_HEADER_BYTES || controlView.getInt32(12, true) !== abi.SCM_RIGHTS) return [];
  const end = Math.min(used, Number(controlView.getBigUint64(0, true)));
  const descriptors: number[] = [];
  for (let at = CMSG_HEADER_BYTES; at + 4 <= end; at += 4) {
    descriptors.push(controlView.getInt32(at, true));
  }
  return descriptors;
}

/** Points the message at `bytes` and at the first `controlBytes` of the control buffer. */
function prepare(bytes: Uint8Array, controlBytes: number): void {
  vector[0] = BigInt(ptr(bytes));
  vector[1] = BigInt(bytes.length);
  message.fill(0);
  messageView.setBigUint64(MESSAGE.iov, BigInt(ptr(vector)), true);
  messageView.setBigUint64(MESSAGE.iovLength, 1n, true);
  if (controlBytes === 0) return;
  messageView.setBigUint64(MESSAGE.control, BigInt(ptr(control)), true);
  messageView.setBigUint64(MESSAGE.controlLength, BigInt(controlBytes), true);
}

function openSocket(path: string): number {
  const type = abi.SOCK_SEQPACKET | abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;
  const fd = libc().socket(abi.AF_UNIX, type, 0);
  if (fd < 0) throw failed(-1, `open a socket for ${path}`);
  return fd;
}

function nameOf(path: string): Uint8Array {
  const text = new TextEncoder().encode(path);
  if (text.length >= PATH_BYTES_MAX) {
    throw packetError(`${path} is longer than the ${PATH_BYTES_MAX - 1} bytes of a socket's path`);
  }
  const name = new Uint8Array(2 + text.length + 1);
  name[0] = abi.AF_UNIX;
  name.set(text, 2);
  return name;
}

function broken(path: string, code: number): MeshError {
  if (code === CUT) return packetError(`a message on ${path} is longer than ${PACKET_BYTES_MAX}`);
  return packetError(`${path}: ${abi.ERRNO_NAMES[code] ?? `errno ${code}`}`);
}

function failed(fd: number, what: string): MeshError {
  const code = errno();
  if (fd >= 0) libc().close(fd);
  return packetError(`cannot ${what}: ${abi.ERRNO_NAMES[code] ?? `errno ${code}`}`);
}

function packetError(text: string): MeshError {
  return new MeshError('NET_PACKET', text, {
    side: 'self',
    hint: NET_ERRORS.NET_PACKET,
    retry: 'safe',
  });
}
