/**
 * Domain names between text and wire. Text has no final dot (the root is ''), keeps its case, and writes bytes
 * that would be ambiguous (`.`, `\`, controls, above 126) as `\DDD` (RFC 1035 §5.1).
 */
import { DNS_REASON } from './codes.ts';
import { COMPRESSION_JUMPS_MAX, LABEL_BYTES_MAX, NAME_BYTES_MAX } from './limits.ts';

/** Where reading goes on. One per decode, reused. */
export interface Cursor {
  offset: number;
}

const POINTER = 0xc0;

/** The name at the cursor, or a negative reason. A pointer must point before the name it stands in. */
export function decodeName(bytes: Uint8Array, cursor: Cursor): string | number {
  let offset = cursor.offset;
  let floor = offset;
  let resume = -1;
  let wireBytes = 1;
  let jumps = 0;
  let text = '';
  for (;;) {
    if (offset >= bytes.length) return DNS_REASON.truncated;
    const length = bytes[offset];
    if (length === 0) break;
    if ((length & POINTER) === POINTER) {
      if (offset + 1 >= bytes.length) return DNS_REASON.truncated;
      const target = ((length & 0x3f) << 8) | bytes[offset + 1];
      if (resume < 0) resume = offset + 2;
      // Strictly backwards, so a chain of pointers always ends.
      if (target >= floor || ++jumps > COMPRESSION_JUMPS_MAX) return DNS_REASON.compressionLoop;
      offset = target;
      floor = target;
      continue;
    }
    if ((length & POINTER) !== 0) return DNS_REASON.badLabelType;
    const end = offset + 1 + length;
    if (end > bytes.length) return DNS_REASON.truncated;
    wireBytes += length + 1;
    if (wireBytes > NAME_BYTES_MAX) return DNS_REASON.nameTooLong;
    text += (text === '' ? '' : '.') + labelText(bytes, offset + 1, end);
    offset = end;
  }
  cursor.offset = resume < 0 ? offset + 1 : resume;
  return text;
}

function labelText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let index = start; index < end; index++) {
    const byte = bytes[index];
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
  }
  return text;
}

/** Labels of a name as bytes; a negative reason when the name cannot be written. A final dot is allowed. */
export function labelsOf(name: string): Uint8Array[] | number {
  const labels: Uint8Array[] = [];
  let wireBytes = 1;
  let label: number[] = [];
  const finish = () => {
    wireBytes += label.length + 1;
    labels.push(Uint8Array.from(label));
    label = [];
  };
  for (let index = 0; index < name.length; index++) {
    const character = name[index];
    if (character === '.') {
      if (label.length === 0) return DNS_REASON.badLabelType;
      finish();
    } else if (character === '\\' && /^\d{3}$/.test(name.slice(index + 1, index + 4))) {
      label.push(Number(name.slice(index + 1, index + 4)) & 0xff);
      index += 3;
    } else label.push(name.charCodeAt(index) & 0xff);
    if (label.length > LABEL_BYTES_MAX) return DNS_REASON.labelTooLong;
  }
  if (label.length > 0) finish();
  return wireBytes > NAME_BYTES_MAX ? DNS_REASON.nameTooLong : labels;
}

/** Offsets of names already written, for compression (RFC 1035 §4.1.4). Keys are wire labels in latin1. */
export type NameTable = Map<string, number>;

const POINTER_OFFSET_MAX = 0x3fff;

/** Appends a name to `out`; with a table, a suffix written before becomes a pointer. */
export function encodeName(out: number[], name: string, table: NameTable | undefined): number {
  const labels = labelsOf(name);
  if (typeof labels === 'number') return labels;
  const keys = labels.map((label) => Buffer.from(label).toString('latin1'));
  for (let index = 0; index < labels.length; index++) {
    const suffix = keys.slice(index).join('\0');
    const seen = table?.get(suffix);
    if (seen !== undefined) {
      out.push(POINTER | (seen >> 8), seen & 0xff);
      return 0;
    }
    if (out.length <= POINTER_OFFSET_MAX) table?.set(suffix, out.length);
    out.push(labels[index].length, ...labels[index]);
  }
  out.push(0);
  return 0;
}
