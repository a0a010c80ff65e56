/**
 * Frees the buffer of bytes that were used. Left to the garbage collection it stays for some megabytes of others, and each new
 * one costs fresh pages; given back at once, the next one finds its pages in the CPU's cache.
 */
import { FREED_CHUNK_BYTES_MIN } from '../limits.ts';

/** Of large buffers only: small ones may be shared. Nobody may use `bytes`, or what shares its buffer, any more. */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer.byteLength >= FREED_CHUNK_BYTES_MIN && buffer instanceof ArrayBuffer)
    buffer.transfer(0);
}
