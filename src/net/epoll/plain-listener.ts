/** `Listener` of plain connections on the epoll instance of our own. Who is not welcome is reset before anything is spent on it. */
import type { Clock, Timer } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { admit } from '../admit.ts';
import type { Connection, SocketAddress } from '../connection.ts';
import { NET_ERRORS } from '../errors.ts';
import { ACCEPT_COST_MS, ACCEPT_RETRY_MS, ACCEPTS_IN_A_ROW_MAX } from '../limits.ts';
import * as abi from '../netns/constants.ts';
import { errno, libc } from '../netns/libc.ts';
import { isListening, localName, openListener, peerName, setNoDelay } from '../netns/raw-socket.ts';
import type { Accept, Listener, ListenOptions } from '../network.ts';
import type { Watched } from './epoll-loop.ts';
import { PlainConnection, type PlainDeps } from './plain-connection.ts';

export interface PlainListenerDeps extends PlainDeps {
  readonly clock: Clock;
  readonly newcomers: { admit(fd: number, remote: SocketAddress): boolean };
}

/** Edge-triggered: who takes the socket from us (`ss -K`) is to cause one event, not one in each turn. */
const WATCHED_FOR = abi.EPOLLIN | abi.EPOLLET;
/** accept(2): nobody waits, or nobody listens; what is in neither set is the error of one connection. */
const NOBODY = new Set([abi.EAGAIN, abi.EINVAL]);
/** Somebody waits for whom there is no room: an edge that has come does not come again. */
const NO_ROOM = new Set([abi.EMFILE, abi.ENFILE, abi.ENOMEM, abi.ENOBUFS]);
const FLAGS = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;

export class PlainListener implements Listener, Watched {
  readonly address: string;
  readonly port: number;
  readonly serial: number;
  readonly #fd: number;
  readonly #deps: PlainListenerDeps;
  readonly #options: ListenOptions;
  readonly #accept: Accept<Connection>;
  #stopped = false;
  #retry: Timer | undefined = undefined;
  readonly #tryAgain = (): void => {
    this.#retry = undefined;
    this.ready();
  };

  constructor(deps: PlainListenerDeps, options: ListenOptions, accept: Accept<Connection>) {
    this.#deps = deps;
    this.#options = options;
    this.#accept = accept;
    this.#fd = openListener(options);
    setNoDelay(this.#fd);
    const { address, port } = localName(this.#fd) ?? options;
    this.address = address;
    this.port = port;
    this.serial = deps.loop.nextSerial();
    const code = deps.loop.add(this.#fd, WATCHED_FOR, this);
    if (code === 0) return;
    this.stop();
    const why = abi.ERRNO_NAMES[code] ?? `errno ${code}`;
    throw new MeshError('NET_LISTEN_FAILED', `cannot watch ${address}:${port}: ${why}`, {
      side: 'self',
      hint: NET_ERRORS.NET_LISTEN_FAILED,
    });
  }

  get alive(): boolean {
    return !this.#stopped && isListening(this.#fd);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#retry?.cancel();
    this.#deps.loop.remove(this.#fd);
    this.#deps.calls.close(this.#fd);
  }

  ready(): void {
    for (let count = 0; count < ACCEPTS_IN_A_ROW_MAX; count++) {
      if (this.#stopped) return;
      const fd = libc().accept4(this.#fd, null, null, FLAGS);
      if (fd >= 0) {
        this.#enter(fd);
        continue;
      }
      const code = errno();
      if (NOBODY.has(code)) return;
      if (NO_ROOM.has(code)) {
        this.#retry ??= this.#deps.clock.after(ACCEPT_RETRY_MS, this.#tryAgain);
        return;
      }
    }
    this.#deps.loop.again(this.#fd, WATCHED_FOR, this);
  }

  #enter(fd: number): void {
    const { calls, newcomers } = this.#deps;
    const { gate, share } = this.#options;
    // Undefined: reset by its peer before it was accepted.
    const remote = peerName(fd);
    const isWelcome = remote !== undefined && newcomers.admit(fd, remote);
    if (!isWelcome || (gate !== undefined && !gate.enter())) {
      calls.abort(fd);
      return;
    }
    const origin = { role: 'accepted', remote, gate, share } as const;
    const connection = new PlainConnection(fd, this.#deps, origin);
    if (share?.admits(connection, ACCEPT_COST_MS) ?? true) admit(connection, this.#accept);
    else this.#admitLater(connection);
  }

  #admitLater(connection: PlainConnection): void {
    connection.begin = () => admit(connection, this.#accept);
  }
}
