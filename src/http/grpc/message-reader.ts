/**
 * Cuts the bytes of a gRPC stream into messages, both ways: one byte of flags, four of length, then the message
 * (gRPC over HTTP/2, "Length-Prefixed-Message"). Compression is never offered, so a compressed message is an error.
 */

const PREFIX_BYTES = 5;
const NOTHING = new Uint8Array(0);

/** Length-prefixed, ready to send. */
export function frameMessage(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

export class MessageReader {
  readonly #bytesMax: number;
  readonly #onMessage: (bytes: Uint8Array) => void;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixed = 0;
  /** Of the message that is being read; its first `#filled` bytes are there. */
  #message = NOTHING;
  #filled = 0;
  #stopped = false;

  constructor(bytesMax: number, onMessage: (bytes: Uint8Array) => void) {
    this.#bytesMax = bytesMax;
    this.#onMessage = onMessage;
  }

  /** A part of a message has come and the rest has not. */
  get partial(): boolean {
    return this.#prefixed > 0;
  }

  /** Nothing more is handed on, not even what `feed` still holds. */
  stop(): void {
    this.#stopped = true;
  }

  /** Why the stream cannot go on, or undefined. Each message is a copy that the receiver may keep. */
  feed(bytes: Uint8Array): string | undefined {
    let at = 0;
    while (at < bytes.length && !this.#stopped) {
      if (this.#prefixed < PREFIX_BYTES) {
        this.#prefix[this.#prefixed++] = bytes[at++];
        if (this.#prefixed < PREFIX_BYTES) continue;
        const refusal = this.#begin();
        if (refusal !== undefined) return refusal;
      }
      const count = Math.min(bytes.length - at, this.#message.length - this.#filled);
      this.#message.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#message.length) this.#finish();
    }
    return undefined;
  }

  #begin(): string | undefined {
    if (this.#prefix[0] !== 0) return 'a compressed message, and compression was not offered';
    const length = new DataView(this.#prefix.buffer).getUint32(1);
    if (length > this.#bytesMax) return `a message of ${length} bytes, at most ${this.#bytesMax}`;
    // The memory is not touched before the bytes come.
    this.#message = new Uint8Array(length);
    this.#filled = 0;
    return undefined;
  }

  #finish(): void {
    const message = this.#message;
    this.#message = NOTHING;
    this.#prefixed = 0;
    this.#onMessage(message);
  }
}
