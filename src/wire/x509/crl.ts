/**
 * Certificate revocation lists (RFC 5280 §5) out of DER: who issued it, which serial numbers it names, and what was signed.
 * A list that may say something we do not understand (an unknown critical extension) is refused whole.
 */
import { childrenOf, type Element, elementAt, hexOf, latin1Of } from './der-reader.ts';
import { REVOKED_MAX } from './limits.ts';

export const CRL_BROKEN = -1;
export const CRL_UNKNOWN_EXTENSION = -2;
export const CRL_TOO_LONG = -3;
export const CRL_UNKNOWN_SIGNATURE = -4;

export const CRL_REASON: Readonly<Record<number, string>> = {
  [CRL_BROKEN]: 'it is no DER of a CertificateList',
  [CRL_UNKNOWN_EXTENSION]: 'it has a critical extension that is not known here',
  [CRL_TOO_LONG]: `it names more than ${REVOKED_MAX} certificates`,
  [CRL_UNKNOWN_SIGNATURE]: 'its signature algorithm is not known here',
};

export interface RevocationList {
  /** DER of the issuer's Name, as text for comparing with a certificate's. */
  readonly issuer: string;
  /** Hex, lower case, without leading zeros. */
  readonly serials: ReadonlySet<string>;
  /** What was signed, by which hash (undefined: the scheme has its own), and the signature. */
  readonly signed: Uint8Array;
  readonly hash: string | undefined;
  readonly signature: Uint8Array;
}

const TAG_BOOLEAN = 0x01;
const TAG_INTEGER = 0x02;
const TAG_BIT_STRING = 0x03;
const TAG_OID = 0x06;
const TAG_UTC_TIME = 0x17;
const TAG_GENERALIZED_TIME = 0x18;
const TAG_SEQUENCE = 0x30;
const TAG_EXTENSIONS = 0xa0; // [0] EXPLICIT

/** Content of the OIDs, in hex. */
const HASHES: Readonly<Record<string, string | undefined>> = {
  '2a8648ce3d040302': 'sha256', // ecdsa-with-SHA256
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2a864886f70d01010b': 'sha256', // sha256WithRSAEncryption
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2b6570': undefined, // Ed25519
};

/**
 * Extensions that change nothing for us: cRLNumber, authorityKeyIdentifier, reasonCode, invalidityDate, and the
 * issuingDistributionPoint, which only narrows what an absence means (an indirect list has critical entry extensions).
 */
const HARMLESS = new Set(['551d14', '551d23', '551d15', '551d18', '551d1c']);

/** The list, or a reason of CRL_REASON. */
export function parseCrl(der: Uint8Array): RevocationList | number {
  // CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue BIT STRING }
  const whole = elementAt(der, 0, der.length);
  if (whole === undefined || whole.tag !== TAG_SEQUENCE || whole.end !== der.length) {
    return CRL_BROKEN;
  }
  const parts = childrenOf(der, whole);
  const [list, algorithm, signature] = parts;
  if (parts.length !== 3 || list.tag !== TAG_SEQUENCE) return CRL_BROKEN;
  // A BIT STRING begins with the count of unused bits.
  if (signature.tag !== TAG_BIT_STRING || der[signature.start] !== 0) return CRL_BROKEN;
  const scheme = oidOf(der, childrenOf(der, algorithm)[0]);
  if (!(scheme in HASHES)) return CRL_UNKNOWN_SIGNATURE;
  const body = readBody(der, list);
  if (typeof body === 'number') return body;
  return {
    ...body,
    signed: der.slice(list.from, list.end),
    hash: HASHES[scheme],
    signature: der.slice(signature.start + 1, signature.end),
  };
}

/** TBSCertList ::= SEQUENCE { version?, signature, issuer, thisUpdate, nextUpdate?, revokedCertificates?, [0] extensions? } */
function readBody(
  der: Uint8Array,
  list: Element,
): Pick<RevocationList, 'issuer' | 'serials'> | number {
  const fields = childrenOf(der, list);
  let at = fields[0]?.tag === TAG_INTEGER ? 1 : 0;
  const [signature, issuer, thisUpdate] = fields.slice(at, at + 3);
  at += 3;
  if (signature?.tag !== TAG_SEQUENCE || issuer?.tag !== TAG_SEQUENCE) return CRL_BROKEN;
  if (!isTime(thisUpdate)) return CRL_BROKEN;
  if (isTime(fields[at])) at += 1;
  const serials = new Set<string>();
  if (fields[at]?.tag === TAG_SEQUENCE) {
    const verdict = readRevoked(der, fields[at], serials);
    if (verdict < 0) return verdict;
    at += 1;
  }
  if (fields[at]?.tag === TAG_EXTENSIONS) {
    const verdict = checkExtensions(der, childrenOf(der, fields[at])[0]);
    if (verdict < 0) return verdict;
    at += 1;
  }
  if (at !== fields.length || fields[at - 1].end !== list.end) return CRL_BROKEN;
  return { issuer: latin1Of(der, issuer.from, issuer.end), serials };
}

function readRevoked(der: Uint8Array, revoked: Element, serials: Set<string>): number {
  for (let at = revoked.start; at < revoked.end; ) {
    const entry = elementAt(der, at, revoked.end);
    if (entry === undefined || entry.tag !== TAG_SEQUENCE) return CRL_BROKEN;
    at = entry.end;
    const serial = elementAt(der, entry.start, entry.end);
    if (serial === undefined || serial.tag !== TAG_INTEGER) return CRL_BROKEN;
    const date = elementAt(der, serial.end, entry.end);
    if (date === undefined || !isTime(date)) return CRL_BROKEN;
    if (date.end < entry.end) {
      const verdict = checkExtensions(der, elementAt(der, date.end, entry.end));
      if (verdict < 0) return verdict;
    }
    if (serials.size >= REVOKED_MAX) return CRL_TOO_LONG;
    serials.add(hexOf(der, serial));
  }
  return 0;
}

function checkExtensions(der: Uint8Array, extensions: Element | undefined): number {
  if (extensions === undefined || extensions.tag !== TAG_SEQUENCE) return CRL_BROKEN;
  for (const extension of childrenOf(der, extensions)) {
    const [id, critical] = childrenOf(der, extension);
    const isCritical = critical?.tag === TAG_BOOLEAN && der[critical.start] !== 0;
    if (isCritical && !HARMLESS.has(oidOf(der, id))) return CRL_UNKNOWN_EXTENSION;
  }
  return 0;
}

function isTime(element: Element | undefined): boolean {
  return element?.tag === TAG_UTC_TIME || element?.tag === TAG_GENERALIZED_TIME;
}

function oidOf(der: Uint8Array, element: Element | undefined): string {
  return element?.tag === TAG_OID ? hexContent(der, element) : '';
}

function hexContent(der: Uint8Array, element: Element): string {
  return Buffer.from(der.subarray(element.start, element.end)).toString('hex');
}
