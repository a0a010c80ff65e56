/** Hexadecimal digits in header values, looked at where they stand. */

/** Lower case only: what W3C wants. */
export function isHexLower(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index);
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && !(code >= 0x61 && code <= 0x66)) return false;
  }
  return true;
}

/** At most eight digits; -1 when one is none. */
export function hexValue(text: string, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index);
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && !(code >= 0x61 && code <= 0x66)) return -1;
    value = value * 16 + code - (isDigit ? 0x30 : 0x57);
  }
  return value;
}

export function isZeros(text: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (text.charCodeAt(index) !== 0x30) return false;
  return true;
}
