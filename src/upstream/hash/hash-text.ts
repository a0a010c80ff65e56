/** The hash behind consistent hashing: xxHash64, as Envoy's, cut to the 53 bits that a number holds exactly. */

/** Not negative, below 2^53. */
export function hashText(text: string): number {
  return Number(Bun.hash.xxHash64(text) >> 11n);
}

/** Another hash of the same key, for the next choice when the first must not be used. Murmur's finalizer on both halves. */
export function rehash(hash: number, attempt: number): number {
  const low = mix((hash % 0x1_0000_0000) ^ Math.imul(attempt, 0x9e3779b1));
  const high = mix(Math.floor(hash / 0x1_0000_0000) ^ low);
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0);
}

function mix(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
