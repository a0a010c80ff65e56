/**
 * The request body as far as it came: sent when a connection is there, and again when a try is repeated. Bounded: a body that
 * outgrows it can still be forwarded, but no longer repeated.
 */
export class ReplayBuffer {
  readonly #pieces: Uint8Array[] = [];
  readonly #bytesMax: number;
  #bytes = 0;
  /** False once bytes were dropped. */
  complete = true;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Copies: the bytes belong to the connection. */
  push(bytes: Uint8Array): void {
    if (!this.complete) return;
    if (this.#bytes + bytes.length > this.#bytesMax) {
      this.drop();
      return;
    }
    this.#pieces.push(bytes.slice());
    this.#bytes += bytes.length;
  }

  /** Forgets everything: the request can no longer be repeated. */
  drop(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
    this.complete = false;
  }

  /** False when the last `send` asked for a pause. */
  replay(send: (bytes: Uint8Array) => boolean): boolean {
    let hasRoom = true;
    for (const piece of this.#pieces) hasRoom = send(piece);
    return hasRoom;
  }
}
