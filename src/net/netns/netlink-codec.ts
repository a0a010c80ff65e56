/**
 * Messages of netlink(7) as values: a header, a family header, and attributes that may nest, all aligned to four
 * bytes. Pure; who sends them is netlink.ts. Both ABIs we run on are little endian, and so is host order here.
 */

/** Type and value; a list of attributes nests. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

export interface NetlinkRequest {
  type: number;
  flags: number;
  sequence: number;
  /** struct nfgenmsg, rtmsg, fib_rule_hdr, …: what comes before the attributes. */
  header: Uint8Array;
  attributes: readonly Attribute[];
}

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  /** After the netlink header. */
  body: Uint8Array;
}

const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
/** linux/netlink.h NLA_F_NESTED; the kernel demands it of some nests only, so none is sent without. */
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

const align = (length: number) => (length + 3) & ~3;

export function encodeRequests(requests: readonly NetlinkRequest[]): Uint8Array {
  const lengths = requests.map(
    ({ header, attributes }) => HEADER_BYTES + align(header.length) + lengthOf(attributes),
  );
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  requests.forEach(({ type, flags, sequence, header, attributes }, index) => {
    view.setUint32(offset, lengths[index], true);
    view.setUint16(offset + 4, type, true);
    view.setUint16(offset + 6, flags, true);
    view.setUint32(offset + 8, sequence, true);
    bytes.set(header, offset + HEADER_BYTES);
    writeAttributes(view, offset + HEADER_BYTES + align(header.length), attributes);
    offset += lengths[index];
  });
  return bytes;
}

function lengthOf(attributes: readonly Attribute[]): number {
  let length = 0;
  for (const [, value] of attributes) length += ATTRIBUTE_HEADER_BYTES + align(valueLength(value));
  return length;
}

function valueLength(value: Attribute[1]): number {
  return value instanceof Uint8Array ? value.length : lengthOf(value);
}

function writeAttributes(view: DataView, start: number, attributes: readonly Attribute[]): void {
  let offset = start;
  for (const [type, value] of attributes) {
    const length = valueLength(value);
    const raw = value instanceof Uint8Array;
    view.setUint16(offset, ATTRIBUTE_HEADER_BYTES + length, true);
    view.setUint16(offset + 2, raw ? type : type | NESTED, true);
    const body = offset + ATTRIBUTE_HEADER_BYTES;
    if (raw) new Uint8Array(view.buffer).set(value, view.byteOffset + body);
    else writeAttributes(view, body, value);
    offset = body + align(length);
  }
}

/** Stops at the first message that does not fit: the kernel sends none such. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset + HEADER_BYTES <= bytes.length) {
    const length = view.getUint32(offset, true);
    if (length < HEADER_BYTES || offset + length > bytes.length) break;
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      body: bytes.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** By type, without the flags of the type; of repeated ones (lists) only the last. */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  return new Map(listAttributes(bytes));
}

export function listAttributes(bytes: Uint8Array): [type: number, value: Uint8Array][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes: [number, Uint8Array][] = [];
  let offset = 0;
  while (offset + ATTRIBUTE_HEADER_BYTES <= bytes.length) {
    const length = view.getUint16(offset, true);
    if (length < ATTRIBUTE_HEADER_BYTES || offset + length > bytes.length) break;
    const type = view.getUint16(offset + 2, true) & TYPE_MASK;
    attributes.push([type, bytes.subarray(offset + ATTRIBUTE_HEADER_BYTES, offset + length)]);
    offset += align(length);
  }
  return attributes;
}

/** Host order, as rtnetlink(7) wants numbers. */
export function host32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Network order, as nf_tables wants numbers. */
export function network32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function network16(value: number): Uint8Array {
  return new Uint8Array([value >> 8, value & 255]);
}

/** With the NUL at the end that the kernel wants of names. */
export function textBytes(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
