/** The few fields of a certificate (RFC 5280 §4.1) that revocation and identity need, read from its DER. */
import { childrenOf, type Element, elementAt, hexOf, latin1Of, wrappedIn } from './der-reader.ts';

/** DER of OBJECT IDENTIFIER 2.5.29.17 (§4.2.1.6), tag and length included. */
const SUBJECT_ALT_NAME = '\x06\x03\x55\x1d\x11';
const TAG_INTEGER = 0x02;
const TAG_OCTET_STRING = 0x04;
const TAG_SEQUENCE = 0x30;
const TAG_VERSION = 0xa0; // [0] EXPLICIT
const TAG_EXTENSIONS = 0xa3; // [3] EXPLICIT
const TAG_URI = 0x86; // [6] IMPLICIT IA5String in GeneralName
const TAG_IP = 0x87; // [7] IMPLICIT OCTET STRING: 4 or 16 bytes

export interface CertificateNames {
  /** Hex, lower case, without leading zeros. */
  readonly serial: string;
  /** DER of the issuer's Name, as text for comparing. */
  readonly issuer: string;
}

/** Undefined when the DER is no certificate. */
export function certificateNames(der: Uint8Array): CertificateNames | undefined {
  const fields = fieldsOf(der);
  const first = fields[0]?.tag === TAG_VERSION ? 1 : 0;
  const serial = fields[first];
  const issuer = fields[first + 2];
  if (serial?.tag !== TAG_INTEGER || issuer?.tag !== TAG_SEQUENCE) return undefined;
  return { serial: hexOf(der, serial), issuer: latin1Of(der, issuer.from, issuer.end) };
}

/**
 * URI SANs in certificate order; empty when there are none or the DER is broken. The text form that TLS libraries print
 * joins all names with commas and so lets a DNS name pass itself off as a URI: identities must not be taken from it.
 */
export function uriNamesOf(der: Uint8Array): readonly string[] {
  return namesOf(der, TAG_URI).map((name) => latin1Of(der, name.start, name.end));
}

export function ipNamesOf(der: Uint8Array): readonly Uint8Array[] {
  return namesOf(der, TAG_IP).map((name) => der.subarray(name.start, name.end));
}

function namesOf(der: Uint8Array, tag: number): Element[] {
  const wrapper = fieldsOf(der).find((field) => field.tag === TAG_EXTENSIONS);
  for (const extension of childrenOf(der, childrenOf(der, wrapper)[0])) {
    // Extension ::= SEQUENCE { extnID, critical BOOLEAN OPTIONAL, extnValue OCTET STRING }
    const parts = childrenOf(der, extension);
    if (parts.length === 0 || latin1Of(der, parts[0].from, parts[0].end) !== SUBJECT_ALT_NAME)
      continue;
    const value = parts.find((part) => part.tag === TAG_OCTET_STRING);
    return childrenOf(der, wrappedIn(der, value)).filter((name) => name.tag === tag);
  }
  return [];
}

/** Of TBSCertificate. */
function fieldsOf(der: Uint8Array): Element[] {
  const whole = elementAt(der, 0, der.length);
  return childrenOf(der, childrenOf(der, whole)[0]);
}
