/**
 * One outgoing connection until it is usable: TCP connect, TLS handshake, peer check, and one deadline over all.
 * It is the connection's handler meanwhile; the first `onDrain` is when the TCP connect succeeded (Bun reports an adopted
 * socket as open at once).
 */
import type { Clock, Timer } from '#base/clock.ts';
import { deadlinesOf, type Expiring } from '#base/deadlines.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { NET_ERRORS } from '../errors.ts';
import { isConnected } from '../netns/raw-socket.ts';
import type { ConnectHandler, ConnectOptions } from '../network.ts';

const SETTLED: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

const TOLD: ConnectHandler<Connection> = {
  onOpen: () => SETTLED,
  onFail: () => undefined,
};

/** A connection over a descriptor. */
interface Dialled extends Connection {
  readonly fd: number;
}

export class Dial<C extends Dialled> implements ConnectionHandler, Expiring {
  readonly #options: ConnectOptions;
  #handler: ConnectHandler<C>;
  readonly #tls: boolean;
  #connection: C | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #settled = false;

  constructor(
    options: ConnectOptions,
    handler: ConnectHandler<C>,
    deps: { clock: Clock; tls: boolean },
  ) {
    this.#options = options;
    this.#handler = handler;
    this.#tls = deps.tls;
    this.#timer = deadlinesOf(deps.clock, options.connectTimeoutMs).start(this);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The descriptor is watched. */
  adopted(connection: C): void {
    this.#connection = connection;
    connection.handler = this;
    // The deadline passed while Bun was still adopting the descriptor.
    if (this.#settled) connection.reset();
  }

  opened(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#settled) return;
    connection.handler = this.#settle().onOpen(connection);
  }

  fail(error: MeshError): void {
    if (this.#settled) return;
    const handler = this.#settle();
    if (this.#connection !== undefined) {
      this.#connection.handler = SETTLED;
      this.#connection.reset();
    }
    handler.onFail(error);
  }

  onData(bytes: Uint8Array): void {
    if (this.#tls) return;
    this.opened();
    this.#connection?.handler.onData(bytes);
  }

  onDrain(): void {
    if (!this.#tls) this.opened();
  }

  onEnd(): void {
    this.fail(this.#failure('the peer closed it before it was usable', undefined));
  }

  onClose(error: MeshError | undefined): void {
    this.fail(this.#failure(messageOf(error?.cause ?? error), error));
  }

  /** Whom to tell, once. Bun's callbacks keep the dial as long as its socket: it must not keep who wanted it. */
  #settle(): ConnectHandler<C> {
    const handler = this.#handler;
    this.#settled = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#handler = TOLD;
    return handler;
  }

  timedOut(): void {
    const ms = this.#options.connectTimeoutMs;
    const connection = this.#connection;
    // A peer that is there and does not shake hands is no matter of routes and firewalls.
    if (this.#tls && connection !== undefined && isConnected(connection.fd)) {
      this.fail(this.#error('NET_TLS_FAILED', `no handshake in ${ms} ms`, undefined));
    } else this.fail(this.#error('NET_CONNECT_TIMEOUT', `no answer in ${ms} ms`, undefined));
  }

  #failure(why: string, error: MeshError | undefined): MeshError {
    if (/ECONNREFUSED/.test(why)) return this.#error('NET_CONNECT_REFUSED', 'refused', error);
    if (/ETIMEDOUT/.test(why)) return this.#error('NET_CONNECT_TIMEOUT', 'timed out', error);
    return this.#error(this.#tls ? 'NET_TLS_FAILED' : 'NET_CONNECT_FAILED', why, error);
  }

  #error(code: keyof typeof NET_ERRORS, why: string, error: MeshError | undefined): MeshError {
    const { address, port } = this.#options;
    const cause = isMeshError(error) ? (error.cause ?? error) : error;
    return new MeshError(code, `connect to ${formatHostPort(address, port)}: ${why}`, {
      side: 'upstream',
      hint: NET_ERRORS[code],
      retry: 'safe',
      cause,
    });
  }
}
