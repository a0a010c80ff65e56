/**
 * URI SANs of a certificate, read from its DER. The text form that TLS libraries print joins all names with
 * commas and so lets a DNS name pass itself off as a URI; identities must not be taken from it.
 */
import { CERTIFICATE_ELEMENTS_MAX } from '../limits.ts';

/** DER of OBJECT IDENTIFIER 2.5.29.17 (RFC 5280 §4.2.1.6), tag and length included. */
const SUBJECT_ALT_NAME = Uint8Array.of(0x06, 0x03, 0x55, 0x1d, 0x11);
const TAG_OCTET_STRING = 0x04;
const TAG_SEQUENCE = 0x30;
const TAG_EXTENSIONS = 0xa3; // [3] EXPLICIT in TBSCertificate
const TAG_URI = 0x86; // [6] IMPLICIT IA5String in GeneralName

interface Element {
  tag: number;
  start: number;
  end: number;
}

/** In certificate order; empty when there are none or the DER is broken. */
export function uriNamesOf(certificate: Uint8Array): readonly string[] {
  const body = childrenOf(certificate, elementAt(certificate, 0, certificate.length));
  const fields = childrenOf(certificate, body[0]);
  const wrapper = fields.find((field) => field.tag === TAG_EXTENSIONS);
  const extensions = childrenOf(certificate, childrenOf(certificate, wrapper)[0]);
  for (const extension of extensions) {
    if (!startsWith(certificate, extension.start, SUBJECT_ALT_NAME)) continue;
    // Extension ::= SEQUENCE { extnID, critical BOOLEAN OPTIONAL, extnValue OCTET STRING }
    const value = childrenOf(certificate, extension).find((part) => part.tag === TAG_OCTET_STRING);
    const names = childrenOf(certificate, childrenOf(certificate, value)[0]);
    return names
      .filter((name) => name.tag === TAG_URI)
      .map((name) => Buffer.from(certificate.subarray(name.start, name.end)).toString('latin1'));
  }
  return [];
}

function childrenOf(bytes: Uint8Array, parent: Element | undefined): Element[] {
  const children: Element[] = [];
  if (parent === undefined) return children;
  if (
    parent.tag !== TAG_SEQUENCE &&
    parent.tag !== TAG_OCTET_STRING &&
    parent.tag !== TAG_EXTENSIONS
  )
    return children;
  let at = parent.start;
  while (at < parent.end && children.length < CERTIFICATE_ELEMENTS_MAX) {
    const child = elementAt(bytes, at, parent.end);
    if (child === undefined) return children;
    children.push(child);
    at = child.end;
  }
  return children;
}

/** X.690 §8.1.3: definite lengths only, at most four length bytes. */
function elementAt(bytes: Uint8Array, at: number, limit: number): Element | undefined {
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
  return end > limit ? undefined : { tag: bytes[at], start, end };
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[at + index] !== prefix[index]) return false;
  }
  return true;
}
