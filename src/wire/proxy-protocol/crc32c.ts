/** CRC-32C (Castagnoli), RFC 9260 appendix A, for the checksum of a PROXY header. */

const POLYNOMIAL_REVERSED = 0x82f63b78;
const TABLE = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? POLYNOMIAL_REVERSED : 0);
  TABLE[index] = value >>> 0;
}

export function crc32c(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum >>> 8) ^ TABLE[(sum ^ byte) & 0xff];
  return (sum ^ 0xffffffff) >>> 0;
}
