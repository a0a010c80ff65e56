/** Field names as bytes: comparison without decoding. Names are ASCII tokens (RFC 9110 §5.1). */

/** Whether the bytes at `start` spell `name` (lower case) in any case; the caller compared the lengths. */
export function equalsIgnoreCase(bytes: Uint8Array, start: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[start + index];
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name.charCodeAt(index)) return false;
  }
  return true;
}
