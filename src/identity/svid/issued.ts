/** Reads what the CA answered: leaf first, last the roots, intermediates between (Istio's order). */
import { X509Certificate } from 'node:crypto';
import { rfc3339At } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { splitCertificates } from '#wire/x509/pem.ts';
import { IDENTITY_ERRORS } from '../errors.ts';

export interface IssuedSvid {
  readonly identity: TlsIdentity;
  /** Milliseconds since the Unix epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Hex. */
  readonly serial: string;
}

/** A MeshError when the answer is no certificate for that principal and key. */
export function readIssued(
  chain: readonly string[],
  expected: { principal: Principal; privateKey: string },
): IssuedSvid | MeshError {
  // One element holds the leaf alone: without a root nobody could be verified (as ztunnel refuses it).
  if (chain.length < 2) return invalid(`${chain.length} elements in the chain, no root`);
  const roots = splitCertificates(chain[chain.length - 1]);
  const certificates = chain.slice(0, -1).flatMap(splitCertificates);
  if (roots.length === 0 || certificates.length === 0) return invalid('no PEM in the chain');
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificates[0]);
  } catch (cause) {
    return invalid(`the leaf is unreadable: ${messageOf(cause)}`, cause);
  }
  const { principal, privateKey } = expected;
  const names = (leaf.subjectAltName ?? '').split(', ');
  if (!names.includes(`URI:${principal}`)) {
    return new MeshError(
      'SVID_IDENTITY_MISMATCH',
      `asked for ${principal}, the CA signed ${names.join(', ') || 'no name'}`,
      { side: 'upstream', hint: 'is this service account in CA_TRUSTED_NODE_ACCOUNTS?' },
    );
  }
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  if (!(notBefore < notAfter)) return invalid(`lifetime ${leaf.validFrom} to ${leaf.validTo}`);
  return {
    identity: {
      certificateChain: certificates.join(''),
      privateKey,
      trustBundle: roots.join(''),
    },
    notBefore,
    notAfter,
    serial: leaf.serialNumber.toLowerCase(),
  };
}

/** Undefined when the certificate is valid now; else by how much the clocks must differ at least. */
export function clockSkew(
  { notBefore, notAfter }: Pick<IssuedSvid, 'notBefore' | 'notAfter'>,
  now: number,
): MeshError | undefined {
  const apart =
    now < notBefore
      ? `is valid only from ${rfc3339At(notBefore)}, in ${minutes(notBefore - now)}: the control plane's clock is ahead, or this machine's behind`
      : now >= notAfter
        ? `ended at ${rfc3339At(notAfter)}, ${minutes(now - notAfter)} ago: the control plane's clock is behind, or this machine's ahead`
        : undefined;
  if (apart === undefined) return undefined;
  return new MeshError('SVID_CLOCK_SKEW', `clock skew: the certificate just signed ${apart}`, {
    side: 'upstream',
    hint: IDENTITY_ERRORS.SVID_CLOCK_SKEW,
  });
}

function minutes(ms: number): string {
  return `${Math.ceil(ms / 60_000)} min`;
}

function invalid(message: string, cause?: unknown): MeshError {
  return new MeshError('SVID_RESPONSE_INVALID', `certificate from the CA: ${message}`, {
    side: 'upstream',
    hint: 'compare the versions of the control plane and this proxy',
    cause,
  });
}
