/**
 * DNS messages (RFC 1035 §4, EDNS RFC 6891) between bytes and values. `decodeMessage` never throws and answers a
 * negative reason (codes.ts); `encodeMessage` cuts whole records and sets TC when the answer does not fit.
 */
import { addressBytes, addressText } from './address.ts';
import { CLASS_IN, DNS_REASON, TYPE } from './codes.ts';
import { RECORDS_MAX } from './limits.ts';
import { type Cursor, decodeName, encodeName, type NameTable } from './name.ts';

export interface Question {
  name: string;
  type: number;
  class: number;
}

/** What a record says. `raw` is every type not listed: its bytes are passed on as they are. */
export type RecordValue =
  | { kind: 'address'; address: string }
  | { kind: 'name'; name: string }
  | { kind: 'service'; priority: number; weight: number; port: number; target: string }
  | { kind: 'mail'; preference: number; exchange: string }
  | { kind: 'text'; strings: Uint8Array[] }
  | { kind: 'authority'; primary: string; mailbox: string; numbers: readonly number[] }
  | { kind: 'raw'; bytes: Uint8Array };

export interface ResourceRecord {
  name: string;
  type: number;
  class: number;
  ttlSeconds: number;
  value: RecordValue;
}

export interface Edns {
  version: number;
  payloadBytes: number;
  dnssecOk: boolean;
}

export interface DnsMessage {
  id: number;
  response: boolean;
  opcode: number;
  authoritative: boolean;
  truncated: boolean;
  recursionDesired: boolean;
  recursionAvailable: boolean;
  checkingDisabled: boolean;
  /** With EDNS up to 12 bits: the upper eight are in the OPT record (RFC 6891 §6.1.3). */
  rcode: number;
  questions: Question[];
  answers: ResourceRecord[];
  authorities: ResourceRecord[];
  additionals: ResourceRecord[];
  /** From the OPT record, which is not among the additionals. */
  edns: Edns | undefined;
}

const HEADER_BYTES = 12;

export function decodeMessage(bytes: Uint8Array): DnsMessage | number {
  if (bytes.length < HEADER_BYTES) return DNS_REASON.truncated;
  const flags = u16(bytes, 2);
  const counts = [u16(bytes, 4), u16(bytes, 6), u16(bytes, 8), u16(bytes, 10)];
  if (counts[0] + counts[1] + counts[2] + counts[3] > RECORDS_MAX) return DNS_REASON.tooManyRecords;
  const message: DnsMessage = {
    id: u16(bytes, 0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: flags & 0xf,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
  };
  const cursor: Cursor = { offset: HEADER_BYTES };
  for (let index = 0; index < counts[0]; index++) {
    const name = decodeName(bytes, cursor);
    if (typeof name === 'number') return name;
    if (cursor.offset + 4 > bytes.length) return DNS_REASON.truncated;
    message.questions.push({
      name,
      type: u16(bytes, cursor.offset),
      class: u16(bytes, cursor.offset + 2),
    });
    cursor.offset += 4;
  }
  const sections = [message.answers, message.authorities, message.additionals];
  for (let section = 0; section < sections.length; section++) {
    for (let index = 0; index < counts[section + 1]; index++) {
      const failure = decodeRecord(bytes, cursor, message, sections[section]);
      if (failure < 0) return failure;
    }
  }
  return cursor.offset === bytes.length ? message : DNS_REASON.trailingBytes;
}

function decodeRecord(
  bytes: Uint8Array,
  cursor: Cursor,
  message: DnsMessage,
  section: ResourceRecord[],
): number {
  const name = decodeName(bytes, cursor);
  if (typeof name === 'number') return name;
  const head = cursor.offset;
  if (head + 10 > bytes.length) return DNS_REASON.truncated;
  const type = u16(bytes, head);
  const recordClass = u16(bytes, head + 2);
  const ttlSeconds = u16(bytes, head + 4) * 65536 + u16(bytes, head + 6);
  const start = head + 10;
  const end = start + u16(bytes, head + 8);
  if (end > bytes.length) return DNS_REASON.truncated;
  if (type === TYPE.OPT && section === message.additionals) {
    // RFC 6891 §6.1.1: more than one OPT is a format error.
    if (message.edns !== undefined) return DNS_REASON.duplicateOpt;
    message.edns = {
      version: bytes[head + 5],
      payloadBytes: recordClass,
      dnssecOk: (ttlSeconds & 0x8000) !== 0,
    };
    message.rcode |= bytes[head + 4] << 4;
    cursor.offset = end;
    return 0;
  }
  cursor.offset = start;
  const value = decodeValue(bytes, cursor, { type, end });
  if (typeof value === 'number') return value;
  if (cursor.offset !== end) return DNS_REASON.badRecordLength;
  section.push({ name, type, class: recordClass, ttlSeconds, value });
  return 0;
}

function decodeValue(
  bytes: Uint8Array,
  cursor: Cursor,
  { type, end }: { type: number; end: number },
): RecordValue | number {
  const start = cursor.offset;
  switch (type) {
    case TYPE.A:
    case TYPE.AAAA: {
      if (end - start !== (type === TYPE.A ? 4 : 16)) return DNS_REASON.badRecordLength;
      cursor.offset = end;
      return { kind: 'address', address: addressText(bytes.subarray(start, end)) };
    }
    case TYPE.NS:
    case TYPE.CNAME:
    case TYPE.PTR: {
      const name = decodeName(bytes, cursor);
      return typeof name === 'number' ? name : { kind: 'name', name };
    }
    case TYPE.SRV: {
      if (end - start < 7) return DNS_REASON.badRecordLength;
      cursor.offset = start + 6;
      const target = decodeName(bytes, cursor);
      if (typeof target === 'number') return target;
      const [priority, weight, port] = [0, 2, 4].map((at) => u16(bytes, start + at));
      return { kind: 'service', priority, weight, port, target };
    }
    case TYPE.MX: {
      if (end - start < 3) return DNS_REASON.badRecordLength;
      cursor.offset = start + 2;
      const exchange = decodeName(bytes, cursor);
      if (typeof exchange === 'number') return exchange;
      return { kind: 'mail', preference: u16(bytes, start), exchange };
    }
    case TYPE.TXT:
      return decodeStrings(bytes, cursor, end);
    case TYPE.SOA:
      return decodeAuthority(bytes, cursor, end);
    default:
      cursor.offset = end;
      return { kind: 'raw', bytes: new Uint8Array(bytes.subarray(start, end)) };
  }
}

function decodeStrings(bytes: Uint8Array, cursor: Cursor, end: number): RecordValue | number {
  const strings: Uint8Array[] = [];
  while (cursor.offset < end) {
    const start = cursor.offset + 1;
    const stop = start + bytes[cursor.offset];
    if (stop > end) return DNS_REASON.badRecordLength;
    strings.push(new Uint8Array(bytes.subarray(start, stop)));
    cursor.offset = stop;
  }
  return { kind: 'text', strings };
}

function decodeAuthority(bytes: Uint8Array, cursor: Cursor, end: number): RecordValue | number {
  const primary = decodeName(bytes, cursor);
  if (typeof primary === 'number') return primary;
  const mailbox = decodeName(bytes, cursor);
  if (typeof mailbox === 'number') return mailbox;
  const start = cursor.offset;
  if (end - start !== 20) return DNS_REASON.badRecordLength;
  const numbers = [0, 4, 8, 12, 16].map(
    (at) => u16(bytes, start + at) * 65536 + u16(bytes, start + at + 2),
  );
  cursor.offset = end;
  return { kind: 'authority', primary, mailbox, numbers };
}

/** Bytes of a message, at most `bytesMax`: answers that do not fit are cut and TC is set (RFC 2181 §9). */
export function encodeMessage(message: DnsMessage, bytesMax: number): Uint8Array {
  const out: number[] = new Array(HEADER_BYTES).fill(0);
  const table: NameTable = new Map();
  const counts = [0, 0, 0, 0];
  let truncated = message.truncated;
  for (const question of message.questions) {
    if (encodeName(out, question.name, table) < 0) continue;
    push16(out, question.type, question.class);
    counts[0]++;
  }
  const reserved = message.edns === undefined ? 0 : 11;
  const sections = [message.answers, message.authorities, message.additionals];
  for (let section = 0; section < sections.length && !truncated; section++) {
    for (const record of sections[section]) {
      const before = out.length;
      if (encodeRecord(out, record, table) < 0) {
        out.length = before;
        continue;
      }
      if (out.length + reserved > bytesMax) {
        out.length = before;
        // Losing an additional record is no loss of an answer.
        truncated = section < 2;
        break;
      }
      counts[section + 1]++;
    }
  }
  if (message.edns !== undefined) {
    out.push(0);
    const { version, payloadBytes, dnssecOk } = message.edns;
    const extended = ((message.rcode >> 4) << 8) | version;
    push16(out, TYPE.OPT, payloadBytes, extended, dnssecOk ? 0x8000 : 0, 0);
    counts[3]++;
  }
  const bytes = Uint8Array.from(out);
  put16(bytes, 0, message.id);
  put16(bytes, 2, flagsOf(message, truncated));
  for (let index = 0; index < counts.length; index++) put16(bytes, 4 + index * 2, counts[index]);
  return bytes;
}

function flagsOf(message: DnsMessage, truncated: boolean): number {
  return (
    (message.response ? 0x8000 : 0) |
    ((message.opcode & 0xf) << 11) |
    (message.authoritative ? 0x0400 : 0) |
    (truncated ? 0x0200 : 0) |
    (message.recursionDesired ? 0x0100 : 0) |
    (message.recursionAvailable ? 0x0080 : 0) |
    (message.checkingDisabled ? 0x0010 : 0) |
    (message.rcode & 0xf)
  );
}

function encodeRecord(out: number[], record: ResourceRecord, table: NameTable): number {
  const failure = encodeName(out, record.name, table);
  if (failure < 0) return failure;
  push16(out, record.type, record.class, record.ttlSeconds >>> 16, record.ttlSeconds & 0xffff, 0);
  const start = out.length;
  const result = encodeValue(out, record, table);
  if (result < 0) return result;
  const length = out.length - start;
  if (length > 0xffff) return DNS_REASON.badRecordLength;
  out[start - 2] = length >> 8;
  out[start - 1] = length & 0xff;
  return 0;
}

function encodeValue(out: number[], record: ResourceRecord, table: NameTable): number {
  const { value } = record;
  switch (value.kind) {
    case 'address': {
      const bytes = addressBytes(value.address);
      if (bytes?.length !== (record.type === TYPE.A ? 4 : 16)) return DNS_REASON.badRecordLength;
      out.push(...bytes);
      return 0;
    }
    case 'name':
      return encodeName(out, value.name, table);
    case 'service':
      push16(out, value.priority, value.weight, value.port);
      // RFC 2782: the target of SRV is not compressed.
      return encodeName(out, value.target, undefined);
    case 'mail':
      push16(out, value.preference);
      return encodeName(out, value.exchange, table);
    case 'text':
      for (const text of value.strings) {
        if (text.length > 255) return DNS_REASON.badRecordLength;
        out.push(text.length, ...text);
      }
      return 0;
    case 'authority': {
      const failure =
        encodeName(out, value.primary, table) || encodeName(out, value.mailbox, table);
      for (const number of value.numbers) push16(out, number >>> 16, number & 0xffff);
      return failure;
    }
    case 'raw':
      for (const byte of value.bytes) out.push(byte);
      return 0;
  }
}

/** An empty answer to a query: same id, question, RD and CD (RFC 4035 §3.1.6), EDNS version 0 with the DO bit mirrored. */
export function answerTo(
  query: DnsMessage,
  options: { rcode: number; authoritative: boolean; payloadBytes: number },
): DnsMessage {
  return {
    ...query,
    response: true,
    authoritative: options.authoritative,
    truncated: false,
    recursionAvailable: true,
    rcode: options.rcode,
    answers: [],
    authorities: [],
    additionals: [],
    edns:
      query.edns === undefined
        ? undefined
        : { version: 0, payloadBytes: options.payloadBytes, dnssecOk: query.edns.dnssecOk },
  };
}

/** A plain recursive query for one name. */
export function queryFor(id: number, name: string, type: number): DnsMessage {
  return {
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name, type, class: CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
  };
}

function u16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >> 8;
  bytes[offset + 1] = value & 0xff;
}

function push16(out: number[], ...values: number[]): void {
  for (const value of values) out.push((value >> 8) & 0xff, value & 0xff);
}
