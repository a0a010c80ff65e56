/** The only place that draws chance. Simulations hand in a seeded `Random` and replay from the seed. */

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  bytes(count: number): Uint8Array;
  /** Random hexadecimal digits, lower case. */
  hex(digits: number): string;
  /** RFC 9562 version 4 UUID, lower case. */
  uuid(): string;
}

/** Drawn ahead: asking the system for a few bytes at a time costs far more than the bytes. */
const POOL_BYTES = 4096;
const pool = new Uint8Array(POOL_BYTES);
let poolAt = POOL_BYTES;

function systemBytes(count: number): Uint8Array {
  if (count > POOL_BYTES) return crypto.getRandomValues(new Uint8Array(count));
  if (poolAt + count > POOL_BYTES) {
    crypto.getRandomValues(pool);
    poolAt = 0;
  }
  const bytes = pool.slice(poolAt, poolAt + count);
  // What was handed out is nobody else's.
  pool.fill(0, poolAt, poolAt + count);
  poolAt += count;
  return bytes;
}

/** Written as digits ahead, too: 32 of them are cut out in 40 ns, where so many drawn bytes take 160 ns to be written as digits. */
const HEX_POOL_BYTES = 2048;
let digitsAhead = '';
let digitsAt = 0;

function systemHex(digits: number): string {
  if (digitsAt + digits > digitsAhead.length) {
    const bytes = crypto.getRandomValues(new Uint8Array(Math.max(HEX_POOL_BYTES, digits)));
    digitsAhead = bytes.toHex();
    digitsAt = 0;
  }
  digitsAt += digits;
  return digitsAhead.slice(digitsAt - digits, digitsAt);
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  integer: (bound) => Math.floor(Math.random() * bound),
  bytes: systemBytes,
  hex: systemHex,
  uuid: () => crypto.randomUUID(),
};

/** Deterministic generator (mulberry32); not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => fraction() * 256);
  return {
    fraction,
    integer: (bound) => Math.floor(fraction() * bound),
    bytes,
    hex: (digits) =>
      bytes(Math.ceil(digits / 2))
        .toHex()
        .slice(0, digits),
    uuid() {
      const raw = bytes(16);
      raw[6] = (raw[6] & 0x0f) | 0x40;
      raw[8] = (raw[8] & 0x3f) | 0x80;
      const hex = raw.toHex();
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
}
