/** Walks DER (X.690) as offsets into the bytes, for the few structures that we read ourselves. Never throws. */
import { ELEMENTS_MAX } from './limits.ts';

export interface Element {
  readonly tag: number;
  /** The whole element is [from, end), its content [start, end). */
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

/** Bit 6 of a tag: the content is elements. An OCTET STRING that wraps DER is entered with `wrappedIn`. */
const CONSTRUCTED = 0x20;

/** The element at `at`; undefined when it does not end by `limit`. Definite lengths only, at most four length bytes. */
export function elementAt(bytes: Uint8Array, at: number, limit: number): Element | undefined {
  if (at + 2 > limit) return undefined;
  let length = bytes[at + 1];
  let start = at + 2;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 4 || start + count > limit) return undefined;
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[start++];
  }
  const end = start + length;
  return end > limit ? undefined : { tag: bytes[at], from: at, start, end };
}

/** Empty for an element that has none. A broken child ends the walk. */
export function childrenOf(bytes: Uint8Array, parent: Element | undefined): Element[] {
  const children: Element[] = [];
  if (parent === undefined || (parent.tag & CONSTRUCTED) === 0) return children;
  let at = parent.start;
  while (at < parent.end && children.length < ELEMENTS_MAX) {
    const child = elementAt(bytes, at, parent.end);
    if (child === undefined) return children;
    children.push(child);
    at = child.end;
  }
  return children;
}

/** The element that an OCTET STRING holds. */
export function wrappedIn(bytes: Uint8Array, octets: Element | undefined): Element | undefined {
  return octets && elementAt(bytes, octets.start, octets.end);
}

/** Bytes of the whole element, as a key for comparing. */
export function latin1Of(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.subarray(from, end)).toString('latin1');
}

/** Content of an INTEGER as hex without leading zeros: how serial numbers are compared and shown. */
export function hexOf(bytes: Uint8Array, integer: Element): string {
  const content = Buffer.from(bytes.subarray(integer.start, integer.end));
  return content.toString('hex').replace(/^0+(?=.)/, '');
}
