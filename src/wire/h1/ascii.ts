/** Byte classes of RFC 9110 §5 and comparison without case, for the parse loops. */

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;
export const COLON = 0x3a;

/** 1 for tchar (RFC 9110 §5.6.2). */
export const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = 1;
  TOKEN[char.toUpperCase().charCodeAt(0)] = 1;
}

/** 1 for what a field value may hold: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
export const FIELD_TEXT = new Uint8Array(256).fill(1, 0x20);
FIELD_TEXT[HTAB] = 1;
FIELD_TEXT[0x7f] = 0;

/** Whether bytes[start, end) spell `word` (lower case) in any case. */
export function spells(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let index = 0; index < word.length; index++) {
    const byte = bytes[start + index];
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== word.charCodeAt(index)) return false;
  }
  return true;
}
