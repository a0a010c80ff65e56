/**
 * The first question of a message without the rest: what a proxy needs to know of bytes that it passes on as they are.
 * Nothing here throws; offsets out, negative reasons as in codes.ts.
 */
import { DNS_REASON } from './codes.ts';
import { type Cursor, decodeName } from './name.ts';

export const HEADER_BYTES = 12;
const RESPONSE = 0x80;

export interface QueryHead {
  readonly response: boolean;
  readonly opcode: number;
  readonly questionCount: number;
}

export interface QueryQuestion {
  /** As asked: its case is kept. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Where the question ends. */
  readonly end: number;
}

export function readHead(bytes: Uint8Array): QueryHead | number {
  if (bytes.length < HEADER_BYTES) return DNS_REASON.truncated;
  return {
    response: (bytes[2] & RESPONSE) !== 0,
    opcode: (bytes[2] >> 3) & 0xf,
    questionCount: (bytes[4] << 8) | bytes[5],
  };
}

export function readQuestion(bytes: Uint8Array): QueryQuestion | number {
  const cursor: Cursor = { offset: HEADER_BYTES };
  const name = decodeName(bytes, cursor);
  if (typeof name === 'number') return name;
  const { offset } = cursor;
  if (offset + 4 > bytes.length) return DNS_REASON.truncated;
  return {
    name,
    type: (bytes[offset] << 8) | bytes[offset + 1],
    class: (bytes[offset + 2] << 8) | bytes[offset + 3],
    end: offset + 4,
  };
}

export function readId(bytes: Uint8Array): number {
  return (bytes[0] << 8) | bytes[1];
}

/** A copy with another id; every other byte as it was. */
export function withId(bytes: Uint8Array, id: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[0] = id >> 8;
  copy[1] = id & 0xff;
  return copy;
}

/**
 * Whether `response` answers `query`: same id, same question. Case may differ: not every server keeps it. A failure may
 * come without a question (RFC 1035 §4.1.1 lets servers that cannot read it leave it out).
 */
export function answersQuery(query: Uint8Array, response: Uint8Array): boolean {
  const head = readHead(response);
  if (typeof head === 'number' || !head.response || readId(response) !== readId(query))
    return false;
  const asked = readHead(query);
  if (typeof asked === 'number' || asked.opcode !== head.opcode) return false;
  if (head.questionCount === 0) return asked.questionCount === 0 || (response[3] & 0xf) !== 0;
  if (head.questionCount !== asked.questionCount) return false;
  const wanted = readQuestion(query);
  const got = readQuestion(response);
  return (
    typeof wanted === 'object' &&
    typeof got === 'object' &&
    wanted.type === got.type &&
    wanted.class === got.class &&
    wanted.name.toLowerCase() === got.name.toLowerCase()
  );
}

/** A refusal that repeats nothing but the id, opcode and RD: for queries that cannot be read further. */
export function bareRefusal(query: Uint8Array, rcode: number): Uint8Array {
  const refusal = new Uint8Array(HEADER_BYTES);
  refusal[0] = query[0];
  refusal[1] = query[1];
  // Opcode and RD as asked; QR set.
  refusal[2] = RESPONSE | (query[2] & 0x79);
  refusal[3] = 0x80 | (rcode & 0xf);
  return refusal;
}

/** A refusal that repeats the question as well, byte for byte. */
export function refusalOf(query: Uint8Array, questionEnd: number, rcode: number): Uint8Array {
  const refusal = new Uint8Array(questionEnd);
  refusal.set(bareRefusal(query, rcode));
  refusal.set(query.subarray(HEADER_BYTES, questionEnd), HEADER_BYTES);
  refusal[5] = 1;
  return refusal;
}
