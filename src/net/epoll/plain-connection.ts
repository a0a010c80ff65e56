/**
 * `Connection` over a socket of our own, accepted or dialled, by system calls alone. Registered once, edge-triggered (epoll(7)):
 * what an event said stays true until a call says otherwise, so neither pausing nor waiting for room tells the kernel anything.
 *
 *   readable   an event said so ─▶ a read took less than there was room for
 *   ending     FIN, RST: reads go on until one of them says which it was
 *   short      a write was not taken whole; of a dial from the beginning ─▶ room again: onDrain
 */
import { assert } from '#base/assert.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '../connection.ts';
import { NET_ERRORS } from '../errors.ts';
import { deliver, drained, type Holdable, type LoopShare } from '../fair/fair-loop.ts';
import { READ_BYTES, READS_IN_A_ROW_MAX } from '../limits.ts';
import * as abi from '../netns/constants.ts';
import { Pinned } from '../netns/pinned.ts';
import { localName } from '../netns/raw-socket.ts';
import type { AcceptGate } from '../network.ts';
import type { Watched, Watcher } from './epoll-loop.ts';
import type { SocketCalls } from './socket-calls.ts';

export interface PlainOrigin {
  role: 'accepted' | 'dialled';
  remote: SocketAddress;
  /** Hears of the end of an accepted connection. */
  gate?: AcceptGate;
  /** Whose part of the loop its events use. */
  share?: LoopShare;
}

export interface PlainDeps {
  readonly loop: Watcher;
  readonly calls: SocketCalls;
}

const NOBODY: ConnectionHandler = {
  onData: () => assert(false, 'data before a handler was set'),
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

const WATCHED_FOR = abi.EPOLLIN | abi.EPOLLOUT | abi.EPOLLRDHUP | abi.EPOLLET;
const OVER = abi.EPOLLRDHUP | abi.EPOLLHUP | abi.EPOLLERR;
const CLOSED_FD = -1;

/** Of all connections: what is in it is used before the next read. */
const received = new Pinned(READ_BYTES);
/** Of `received`; small requests are of one size, and a view costs as much as a tenth of a read. */
let lastChunk = received.bytes.subarray(0, 1);

export class PlainConnection implements Connection, Holdable, Watched {
  handler: ConnectionHandler = NOBODY;
  readonly serial: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** An accepted connection that has to wait for its turn: what begins it. */
  begin: (() => void) | undefined = undefined;
  #fd: number;
  readonly #deps: PlainDeps;
  readonly #origin: PlainOrigin;
  #local: SocketAddress | undefined = undefined;
  #readable = false;
  #ending = false;
  #short: boolean;
  #peerEnded = false;
  #endSent = false;
  #paused = false;
  #held = false;
  #error: MeshError | undefined = undefined;

  /** Owns the descriptor. A dial's handler hears `onDrain` when it is connected. */
  constructor(fd: number, deps: PlainDeps, origin: PlainOrigin) {
    this.#fd = fd;
    this.#deps = deps;
    this.#origin = origin;
    this.remoteAddress = origin.remote.address;
    this.remotePort = origin.remote.port;
    this.#short = origin.role === 'dialled';
    this.serial = deps.loop.nextSerial();
    const code = deps.loop.add(fd, WATCHED_FOR, this);
    if (code !== 0) this.#breakSoon(code);
  }

  /** -1 after the close. */
  get fd(): number {
    return this.#fd;
  }

  get localAddress(): string {
    return this.#localName().address;
  }

  get localPort(): number {
    return this.#localName().port;
  }

  write(bytes: Uint8Array): number {
    if (this.#fd === CLOSED_FD || this.#endSent || this.#short) return 0;
    const taken = this.#deps.calls.send(this.#fd, bytes);
    if (taken === bytes.length) return taken;
    this.#short = true;
    if (taken >= 0) return taken;
    // The kernel tells a reset once: no event will tell it again.
    if (taken !== -abi.EAGAIN) this.#breakSoon(-taken);
    return 0;
  }

  end(): void {
    if (this.#fd === CLOSED_FD || this.#endSent) return;
    this.#endSent = true;
    if (this.#peerEnded) this.#close(false);
    else this.#deps.calls.finish(this.#fd);
  }

  reset(): void {
    if (this.#fd === CLOSED_FD) return;
    this.#error ??= new MeshError('NET_RESET_LOCAL', `we reset ${this.#peer()}`, {
      side: 'self',
      hint: NET_ERRORS.NET_RESET_LOCAL,
    });
    this.#close(true);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#readSoon();
  }

  /** Not read until `release`, whatever its handler wants. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#readSoon();
    const { begin } = this;
    if (begin === undefined || this.#fd === CLOSED_FD) return;
    this.begin = undefined;
    begin();
  }

  ready(events: number): void {
    // A write met the end: the close is on its way.
    if (this.#error !== undefined) return;
    if ((events & abi.EPOLLERR) !== 0) {
      // Nobody reads, who would hear of it.
      if (this.#peerEnded || !this.#mayRead()) {
        const code = this.#deps.calls.failure(this.#fd);
        if (code !== 0) this.#break(code);
        return;
      }
    } else if (this.#short && (events & abi.EPOLLOUT) !== 0) {
      this.#short = false;
      drained(this.handler, this.#origin.share);
    }
    if ((events & (abi.EPOLLIN | OVER)) === 0 || this.#peerEnded) return;
    this.#readable = true;
    if ((events & OVER) !== 0) this.#ending = true;
    this.#read();
  }

  #mayRead(): boolean {
    return this.#fd !== CLOSED_FD && !this.#paused && !this.#held;
  }

  #read(): void {
    for (let reads = 0; reads < READS_IN_A_ROW_MAX; reads++) {
      if (!this.#readable || !this.#mayRead()) return;
      const count = this.#deps.calls.receive(this.#fd, received);
      if (count <= 0) {
        this.#readable = false;
        if (count === 0) this.#ended();
        else if (count !== -abi.EAGAIN) this.#break(-count);
        return;
      }
      // All that was there (epoll(7)), unless an end is behind it, of which no further event would tell.
      if (count < READ_BYTES && !this.#ending) this.#readable = false;
      if (lastChunk.length !== count) lastChunk = received.bytes.subarray(0, count);
      deliver(this, lastChunk, this.#origin.share);
    }
    this.#readSoon();
  }

  /** In a turn to come: others first. */
  #readSoon(): void {
    if (this.#readable && this.#mayRead()) this.#deps.loop.again(this.#fd, WATCHED_FOR, this);
  }

  #ended(): void {
    this.#peerEnded = true;
    this.handler.onEnd();
    if (this.#endSent) this.#close(false);
  }

  #break(code: number): void {
    this.#error ??= this.#resetBy(code);
    this.#close(false);
  }

  /** Who wrote does not expect the end within its call. */
  #breakSoon(code: number): void {
    this.#error ??= this.#resetBy(code);
    queueMicrotask(() => this.#close(false));
  }

  #close(abort: boolean): void {
    const fd = this.#fd;
    if (fd === CLOSED_FD) return;
    this.#fd = CLOSED_FD;
    const { loop, calls } = this.#deps;
    loop.remove(fd);
    if (abort) calls.abort(fd);
    else calls.close(fd);
    this.#origin.gate?.leave();
    this.handler.onClose(this.#error);
  }

  #resetBy(code: number): MeshError {
    const name = abi.ERRNO_NAMES[code] ?? `errno ${code}`;
    return new MeshError('NET_RESET', `${this.#peer()} broke the connection off: ${name}`, {
      side: this.#origin.role === 'dialled' ? 'upstream' : 'downstream',
      hint: NET_ERRORS.NET_RESET,
      cause: new Error(name),
    });
  }

  #peer(): string {
    return formatHostPort(this.remoteAddress, this.remotePort);
  }

  #localName(): SocketAddress {
    this.#local ??= this.#fd === CLOSED_FD ? undefined : localName(this.#fd);
    return this.#local ?? { address: '', port: 0 };
  }
}
