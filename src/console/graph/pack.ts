/** Answers packed for the way: a graph of a large mesh is 14 MB of text that is much the same, and packing it costs less than copying it would. */
import type { Packing } from '../console-data.ts';

/** Higher levels take several times as long for a tenth less. */
const LEVEL = 1;

export function pack(text: Uint8Array<ArrayBuffer>, packing: Packing): Uint8Array<ArrayBuffer> {
  if (packing === 'identity') return text;
  const packed =
    packing === 'zstd'
      ? Bun.zstdCompressSync(text, { level: LEVEL })
      : Bun.gzipSync(text, { level: LEVEL });
  // Of a Buffer, slice() would be no copy.
  return new Uint8Array(packed.buffer as ArrayBuffer, packed.byteOffset, packed.length);
}
