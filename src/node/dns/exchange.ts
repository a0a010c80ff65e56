/**
 * One query that goes on to somebody else's name server, and its answer: bytes as they are but for the id, which is
 * random, as is the port. What does not answer this very question is not taken. Ends exactly once.
 */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { Datagrams } from '#net/datagram.ts';
import type { Network, NetworkNamespace } from '#net/network.ts';
import { readId, withId } from '#wire/dns/query.ts';

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly datagrams: Datagrams;
}

export interface Upstream extends SocketAddress {
  readonly namespace: NetworkNamespace | undefined;
}

export interface ExchangeRequest {
  readonly query: Uint8Array;
  /** In order; never empty. */
  readonly servers: readonly Upstream[];
  /** Several messages answer it (AXFR, IXFR over TCP): passed on until the server closes. */
  readonly transfer: boolean;
}

export interface ExchangeHandler {
  /** Carries the id of the query. Once, but for transfers. */
  onResponse(bytes: Uint8Array): void;
  /** Last. A reason when there was no response. */
  onEnd(failure: string | undefined): void;
}

export interface Exchange {
  cancel(): void;
  /** Stops reading a transfer whose client is slow. */
  pause(): void;
  resume(): void;
}

/** The query under a random id, and answers turned back to the client's. */
export class Disguise {
  readonly sent: Uint8Array;
  readonly #id: number;

  constructor(query: Uint8Array, random: Random) {
    const [high, low] = random.bytes(2);
    this.#id = readId(query);
    this.sent = withId(query, (high << 8) | low);
  }

  restore(response: Uint8Array): Uint8Array {
    return withId(response, this.#id);
  }
}
