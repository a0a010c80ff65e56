/**
 * Memory whose address stays the same, for system calls that are given it again and again. A small typed array of its own is moved
 * when the engine compiles code that uses it, and a constant that no function uses is collected: so an ArrayBuffer, and kept
 * with its address.
 */
import { ptr } from './libc.ts';

export class Pinned {
  readonly bytes: Buffer;
  /** The same memory. */
  readonly words: Int32Array;
  readonly address: ReturnType<typeof ptr>;

  constructor(byteCount: number) {
    const memory = new ArrayBuffer(byteCount);
    this.bytes = Buffer.from(memory);
    this.words = new Int32Array(memory);
    this.address = ptr(this.bytes);
  }
}
