/**
 * Counts the messages in a stream of gRPC: each has five bytes before it, a flag and its length (gRPC over HTTP/2, Length-Prefixed-
 * Message). Bytes come in any pieces; nothing is kept of them.
 *
 *   ┌ flag ┬ length, 4 bytes ┐┌ length bytes ┐┌ flag ┬ …
 *   └──────┴─────────────────┘└──────────────┘
 */

const PREFIX_BYTES = 5;

export class GrpcMessages {
  /** Whose first byte came. */
  count = 0;
  /** Bytes of the prefix that came. */
  #prefix = 0;
  #length = 0;
  /** Bytes of the message that are still to come. */
  #left = 0;

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, bytes.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      if (this.#prefix === 0) this.count += 1;
      else this.#length = this.#length * 256 + bytes[at];
      this.#prefix += 1;
      at += 1;
      if (this.#prefix < PREFIX_BYTES) continue;
      this.#left = this.#length;
      this.#prefix = 0;
      this.#length = 0;
    }
  }
}
