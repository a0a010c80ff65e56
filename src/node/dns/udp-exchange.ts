/**
 * An exchange over UDP: a socket of its own for each try (a new port, a new id), all of them listening until one has the
 * answer. A refusal by the network moves on at once, silence after a while.
 */
import type { Timer } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { ConnectedDatagrams } from '#net/datagram.ts';
import { answersQuery } from '#wire/dns/query.ts';
import { PROXY_MARK } from '../marks.ts';
import {
  Disguise,
  type Exchange,
  type ExchangeDeps,
  type ExchangeHandler,
  type ExchangeRequest,
} from './exchange.ts';
import { UPSTREAM_TRIES, UPSTREAM_TRY_MS } from './limits.ts';

export class UdpExchange implements Exchange {
  readonly #deps: ExchangeDeps;
  readonly #request: ExchangeRequest;
  readonly #handler: ExchangeHandler;
  readonly #sockets = new Set<ConnectedDatagrams>();
  #tries = 0;
  #timer: Timer | undefined = undefined;
  #over = false;
  #failure = '';

  constructor(deps: ExchangeDeps, request: ExchangeRequest, handler: ExchangeHandler) {
    this.#deps = deps;
    this.#request = request;
    this.#handler = handler;
  }

  start(): this {
    this.#next();
    return this;
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
  }

  /** Datagrams do not wait. */
  pause(): void {
    return;
  }

  resume(): void {
    return;
  }

  #next(): void {
    if (this.#over) return;
    this.#timer?.cancel();
    const { servers } = this.#request;
    while (this.#tries < UPSTREAM_TRIES) {
      const server = servers[this.#tries % servers.length];
      this.#tries++;
      if (!this.#ask(server)) continue;
      this.#timer = this.#deps.clock.after(UPSTREAM_TRY_MS, () => {
        this.#failure = `no answer from ${formatHostPort(server.address, server.port)}`;
        this.#next();
      });
      return;
    }
    this.#end(this.#failure);
  }

  /** False when the query could not even be sent. */
  #ask(server: ExchangeRequest['servers'][number]): boolean {
    const { datagrams, random } = this.#deps;
    const disguise = new Disguise(this.#request.query, random);
    try {
      const socket = datagrams.connect(
        { ...server, mark: PROXY_MARK },
        {
          onDatagram: (bytes) => this.#answered(bytes, disguise),
          onError: (error) => this.#refused(socket, error),
        },
      );
      this.#sockets.add(socket);
      if (socket.send(disguise.sent)) return true;
      this.#failure = `cannot send to ${formatHostPort(server.address, server.port)}`;
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#failure = error.message;
    }
    return false;
  }

  #answered(bytes: Uint8Array, disguise: Disguise): void {
    if (this.#over || !answersQuery(disguise.sent, bytes)) return;
    this.#handler.onResponse(disguise.restore(bytes));
    this.#end(undefined);
  }

  #refused(socket: ConnectedDatagrams, error: MeshError): void {
    if (!this.#sockets.delete(socket)) return;
    socket.close();
    this.#failure = error.message;
    if (this.#tries < UPSTREAM_TRIES || this.#sockets.size === 0) this.#next();
  }

  #end(failure: string | undefined): void {
    if (this.#over) return;
    this.cancel();
    this.#handler.onEnd(failure);
  }
}
