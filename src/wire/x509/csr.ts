/**
 * PKCS #10 certification request (RFC 2986) as ztunnel makes it: empty subject, one critical URI SAN, ECDSA with
 * SHA-256. Written by hand because every proxy makes some and the general library costs 20 MB.
 */
import { bitString, element, oid, sequence, TAG } from './der.ts';

const EXTENSION_REQUEST = oid('1.2.840.113549.1.9.14');
const SUBJECT_ALT_NAME = oid('2.5.29.17');
const ECDSA_WITH_SHA256 = oid('1.2.840.10045.4.3.2');

/** What is signed. `publicKey` is a DER SubjectPublicKeyInfo. */
export function certificationRequestInfo(options: {
  publicKey: Uint8Array;
  uri: string;
}): Uint8Array {
  const name = element(TAG.uri, new TextEncoder().encode(options.uri));
  const critical = element(TAG.boolean, new Uint8Array([0xff]));
  const names = element(TAG.octetString, sequence(name));
  const extensions = sequence(sequence(SUBJECT_ALT_NAME, critical, names));
  const attribute = sequence(EXTENSION_REQUEST, element(TAG.set, extensions));
  const version = element(TAG.integer, new Uint8Array([0]));
  return sequence(version, sequence(), options.publicKey, element(TAG.context0, attribute));
}

/** `signature` is the DER form of an ECDSA signature over `info`. */
export function certificationRequest(info: Uint8Array, signature: Uint8Array): Uint8Array {
  return sequence(info, sequence(ECDSA_WITH_SHA256), bitString(signature));
}
