/**
 * DNS over TCP (RFC 1035 §4.2.2, RFC 7766 §8): each message behind its length in two bytes, cut anywhere by the network.
 *
 *   chunk ──► [length 2][message …][length 2][mess      ──► onMessage for each whole one
 *                                            └ kept ┘
 */
import { TCP_MESSAGE_BYTES_MAX } from './limits.ts';

export class MessageReader {
  /** 0, 1 or 2 bytes of the length are known. */
  #lengthBytes = 0;
  #length = 0;
  /** Of a message that began in an earlier chunk; room for the whole of it, so each byte is copied once. */
  #body: Uint8Array | undefined = undefined;
  #filled = 0;

  /** Between two messages. */
  get idle(): boolean {
    return this.#lengthBytes === 0;
  }

  /** Whole messages in order; each belongs to the caller's chunk until the next call. */
  read(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    let offset = 0;
    while (offset < chunk.length || (this.#lengthBytes === 2 && this.#length === 0)) {
      if (this.#lengthBytes < 2) {
        this.#length = ((this.#length << 8) | chunk[offset]) & 0xffff;
        this.#lengthBytes++;
        offset++;
        continue;
      }
      const missing = this.#length - this.#filled;
      const part = chunk.subarray(offset, offset + missing);
      offset += part.length;
      if (this.#body === undefined && part.length === missing) messages.push(part);
      else {
        this.#body ??= new Uint8Array(this.#length);
        this.#body.set(part, this.#filled);
        this.#filled += part.length;
        if (part.length < missing) break;
        messages.push(this.#body);
      }
      this.#lengthBytes = 0;
      this.#length = 0;
      this.#body = undefined;
      this.#filled = 0;
    }
    return messages;
  }
}

/** The message behind its length; undefined when it is too long for one. */
export function framed(message: Uint8Array): Uint8Array | undefined {
  if (message.length > TCP_MESSAGE_BYTES_MAX) return undefined;
  const frame = new Uint8Array(message.length + 2);
  frame[0] = message.length >> 8;
  frame[1] = message.length & 0xff;
  frame.set(message, 2);
  return frame;
}
