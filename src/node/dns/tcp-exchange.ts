/** An exchange over TCP: one connection for one query, to the next server when one fails or is silent. */
import type { Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { Outbox } from '#net/pipe/outbox.ts';
import { framed, MessageReader } from '#wire/dns/framing.ts';
import { answersQuery, readId } from '#wire/dns/query.ts';
import { PROXY_MARK } from '../marks.ts';
import {
  Disguise,
  type Exchange,
  type ExchangeDeps,
  type ExchangeHandler,
  type ExchangeRequest,
  type Upstream,
} from './exchange.ts';
import { TRANSFER_IDLE_MS, UPSTREAM_DEADLINE_MS } from './limits.ts';

const GONE: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

export class TcpExchange implements Exchange {
  readonly #deps: ExchangeDeps;
  readonly #request: ExchangeRequest;
  readonly #handler: ExchangeHandler;
  #tries = 0;
  #connection: Connection | undefined = undefined;
  #timer: Timer | undefined = undefined;
  /** A transfer has begun: there is no other server any more. */
  #answered = false;
  #over = false;

  constructor(deps: ExchangeDeps, request: ExchangeRequest, handler: ExchangeHandler) {
    this.#deps = deps;
    this.#request = request;
    this.#handler = handler;
  }

  start(): this {
    this.#dial();
    return this;
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#drop();
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  #dial(): void {
    const { servers, query } = this.#request;
    const { clock, network, random } = this.#deps;
    const server = servers[this.#tries];
    this.#tries++;
    const attempt = new Attempt(server, new Disguise(query, random));
    const current = () => !this.#over && attempt.index === this.#tries;
    attempt.index = this.#tries;
    const patience = UPSTREAM_DEADLINE_MS / servers.length;
    const fail = (reason: string) => current() && this.#failed(reason);
    this.#timer = clock.after(patience, () => fail(`no answer from ${attempt.name}`));
    network.connect(
      { ...server, mark: PROXY_MARK, connectTimeoutMs: patience },
      {
        onFail: (error) => fail(error.message),
        onOpen: (connection) => {
          if (!current()) {
            connection.reset();
            return GONE;
          }
          this.#connection = connection;
          const outbox = new Outbox(connection);
          // A query came in a frame, so it fits into one.
          outbox.push(framed(attempt.disguise.sent) ?? new Uint8Array(0));
          return {
            onData: (bytes) => current() && this.#read(attempt, bytes),
            onDrain: () => void outbox.flush(),
            onEnd: () => current() && this.#closed(attempt, undefined),
            onClose: (error) => current() && this.#closed(attempt, error),
          };
        },
      },
    );
  }

  #read(attempt: Attempt, bytes: Uint8Array): void {
    for (const message of attempt.reader.read(bytes)) {
      // RFC 5936 §2.2: later messages of a transfer need not repeat the question.
      const belongs = this.#answered
        ? readId(message) === readId(attempt.disguise.sent)
        : answersQuery(attempt.disguise.sent, message);
      if (!belongs) continue;
      this.#answered = true;
      this.#timer?.cancel();
      this.#handler.onResponse(attempt.disguise.restore(message));
      if (!this.#request.transfer) this.#end(undefined);
      if (this.#over) return;
      this.#timer = this.#deps.clock.after(TRANSFER_IDLE_MS, () => this.#end(undefined));
    }
  }

  #closed(attempt: Attempt, error: MeshError | undefined): void {
    if (this.#answered) this.#end(undefined);
    else this.#failed(error?.message ?? `${attempt.name} closed without an answer`);
  }

  #failed(reason: string): void {
    this.#drop();
    if (this.#tries < this.#request.servers.length) this.#dial();
    else this.#end(reason);
  }

  #drop(): void {
    this.#timer?.cancel();
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    connection.handler = GONE;
    connection.reset();
  }

  #end(failure: string | undefined): void {
    if (this.#over) return;
    this.cancel();
    this.#handler.onEnd(failure);
  }
}

class Attempt {
  index = 0;
  readonly name: string;
  readonly disguise: Disguise;
  readonly reader = new MessageReader();

  constructor(server: Upstream, disguise: Disguise) {
    this.name = formatHostPort(server.address, server.port);
    this.disguise = disguise;
  }
}
