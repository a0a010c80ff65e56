/**
 * The request body on its way to an upstream: it waits here until a connection is there, and is kept to be sent again when a try is
 * repeated. Bounded: a body that outgrows it can still be forwarded, but no longer repeated.
 */
import type { ClientExchange } from '#http/dispatch/dispatch.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';

export class RequestBody {
  readonly #pieces: Uint8Array[] = [];
  readonly #bytesMax: number;
  #bytes = 0;
  #trailers: MessageHead | undefined = undefined;
  ended = false;
  /** Every byte that came is here: the body can be sent from its beginning. */
  complete = true;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Copies: the bytes belong to the connection. */
  push(bytes: Uint8Array): void {
    if (!this.complete) return;
    if (this.#bytes + bytes.length > this.#bytesMax) {
      this.drop();
      return;
    }
    this.#pieces.push(new Uint8Array(bytes));
    this.#bytes += bytes.length;
  }

  end(trailers: MessageHead | undefined): void {
    this.ended = true;
    this.#trailers = trailers?.retain();
  }

  /** Forgets everything: the request can no longer be repeated. */
  drop(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
    this.complete = false;
  }

  /** What came so far, and the end when it came. False when the upstream asks for a pause. */
  sendTo(upstream: Pick<ClientExchange, 'sendBody' | 'sendEnd'>): boolean {
    let hasRoom = true;
    for (const piece of this.#pieces) hasRoom = upstream.sendBody(piece);
    if (this.ended) upstream.sendEnd(this.#trailers);
    return hasRoom;
  }
}
