/**
 * The Huffman code of RFC 7541 Appendix B. The code is canonical (codes of one length are consecutive, in
 * symbol order), so the table of lengths is all of it. Decoding walks a state machine four bits a step: no code
 * is shorter than five bits, hence at most one symbol a step.
 */
import { BAD_HUFFMAN } from './reasons.ts';

const EOS = 256;
const LENGTHS = Buffer.from([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]);

const CODES = new Uint32Array(257);
const ROOT = 0;
/** children[node * 2 + bit]: an inner node, or -1 - symbol. 256 inner nodes carry 257 leaves. */
const CHILDREN = new Int16Array(512);
/** STEPS[node * 16 + nibble]: next node, plus (symbol + 1) << 8 when one ended, or -1 for a broken code. */
const STEPS = new Int32Array(256 * 16);
/** Nodes that padding may end in: at most 7 one-bits from the root (RFC 7541 §5.2). */
const PADDING = new Uint8Array(256);

function assignCodes(): void {
  let code = 0;
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (LENGTHS[symbol] === length) CODES[symbol] = code++;
    }
    code *= 2;
  }
}

function buildTree(): void {
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = ROOT;
    for (let bit = LENGTHS[symbol] - 1; bit > 0; bit--) {
      const edge = node * 2 + ((CODES[symbol] >>> bit) & 1);
      if (CHILDREN[edge] === 0) CHILDREN[edge] = nodes++;
      node = CHILDREN[edge];
    }
    CHILDREN[node * 2 + (CODES[symbol] & 1)] = -1 - symbol;
  }
  let ones = ROOT;
  for (let depth = 0; depth <= 7; depth++) {
    PADDING[ones] = 1;
    ones = CHILDREN[ones * 2 + 1];
  }
}

function buildSteps(): void {
  for (let start = 0; start < 256; start++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = start;
      let emitted = 0;
      for (let bit = 3; bit >= 0 && node >= 0; bit--) {
        node = CHILDREN[node * 2 + ((nibble >>> bit) & 1)];
        if (node >= 0) continue;
        const symbol = -1 - node;
        // EOS inside a string is an error (RFC 7541 §5.2): leave node negative.
        if (symbol === EOS) break;
        emitted = (symbol + 1) << 8;
        node = ROOT;
      }
      STEPS[start * 16 + nibble] = node < 0 ? -1 : node | emitted;
    }
  }
}

assignCodes();
buildTree();
buildSteps();

/** Most bytes that `count` coded bytes decode to: the shortest code has 5 bits. */
export function huffmanDecodedMax(count: number): number {
  return Math.ceil((count * 8) / 5);
}

/** Decodes [start, end) into `out` from 0; returns the count, or BAD_HUFFMAN. `out` must have room. */
export function huffmanDecode(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number {
  let node = ROOT;
  let count = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    const high = STEPS[(node << 4) | (byte >>> 4)];
    if (high < 0) return BAD_HUFFMAN;
    if (high > 255) out[count++] = (high >>> 8) - 1;
    const low = STEPS[((high & 255) << 4) | (byte & 15)];
    if (low < 0) return BAD_HUFFMAN;
    if (low > 255) out[count++] = (low >>> 8) - 1;
    node = low & 255;
  }
  return PADDING[node] === 1 ? count : BAD_HUFFMAN;
}

/** Coded size of a Latin-1 string in bytes. */
export function huffmanSize(text: string): number {
  let bits = 0;
  for (let index = 0; index < text.length; index++) bits += LENGTHS[text.charCodeAt(index) & 255];
  return (bits + 7) >>> 3;
}

/** Writes a Latin-1 string at `offset` and returns the offset behind it. */
export function huffmanEncode(text: string, out: Uint8Array, offset: number): number {
  let at = offset;
  let pending = 0;
  let bits = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index) & 255;
    let left = LENGTHS[symbol];
    // At most 7 bits wait, so 24 more fit a 32-bit integer; longer codes go in two parts.
    while (left > 0) {
      const take = Math.min(left, 16);
      pending = (pending << take) | ((CODES[symbol] >>> (left - take)) & ((1 << take) - 1));
      bits += take;
      left -= take;
      while (bits >= 8) {
        bits -= 8;
        out[at++] = pending >>> bits;
      }
      pending &= (1 << bits) - 1;
    }
  }
  if (bits > 0) out[at++] = (pending << (8 - bits)) | (0xff >>> bits);
  return at;
}
