/**
 * Whether a peer's chain is revoked: pure, on the lists that were read. As ztunnel judges it (src/tls): every certificate
 * of the chain is looked at, what no list names is allowed, an old list still counts.
 */
import { verify, X509Certificate } from 'node:crypto';
import { MeshError } from '#base/errors.ts';
import { certificateNames, uriNamesOf } from '#wire/x509/certificate.ts';
import { CRL_REASON, parseCrl, type RevocationList } from '#wire/x509/crl.ts';
import { decodePem } from '#wire/x509/pem.ts';
import { IDENTITY_ERRORS } from '../errors.ts';

const LABEL = 'X509 CRL';

/** The lists in a file, PEM or DER; a MeshError when one of them cannot be used. Empty means that nothing is revoked. */
export function readRevocationLists(bytes: Uint8Array): readonly RevocationList[] | MeshError {
  const text = Buffer.from(bytes).toString('latin1');
  if (text.trim() === '') return [];
  const isPem = text.trimStart().startsWith('-----BEGIN');
  const ders = isPem ? decodePem(LABEL, text) : [bytes];
  // A file that is being written may end inside a block: that must not lift the rest.
  const begun = isPem ? text.split(`-----BEGIN ${LABEL}-----`).length - 1 : 1;
  if (begun === 0) return invalid(`it has no block "${LABEL}"`);
  if (ders.length !== begun) return invalid(`${begun - ders.length} of ${begun} lists are cut off`);
  const lists: RevocationList[] = [];
  for (const [index, der] of ders.entries()) {
    const list = parseCrl(der);
    if (typeof list === 'number') return invalid(`list ${index + 1}: ${CRL_REASON[list]}`);
    lists.push(list);
  }
  return lists;
}

/** Why the chain (DER, leaf first) is revoked, or undefined. */
export function revocationOf(
  chain: readonly Uint8Array[],
  lists: readonly RevocationList[],
  side: 'downstream' | 'upstream',
): MeshError | undefined {
  for (const [index, der] of chain.entries()) {
    const names = certificateNames(der);
    if (names === undefined) continue;
    for (const list of lists) {
      if (list.issuer !== names.issuer || !list.serials.has(names.serial)) continue;
      const issuer = chain[index + 1];
      // Without the issuer at hand the list is believed.
      if (issuer !== undefined && !isSignedBy(list, issuer)) continue;
      const owner = uriNamesOf(chain[0])[0] ?? 'a peer without identity';
      const what = index === 0 ? 'the certificate' : 'a CA above the certificate';
      const message = `${what} of ${owner} is revoked (serial ${names.serial})`;
      return new MeshError('TRUST_REVOKED', message, { side, hint: IDENTITY_ERRORS.TRUST_REVOKED });
    }
  }
  return undefined;
}

/** A list that the certificate's own issuer did not sign says nothing about it. */
function isSignedBy(list: RevocationList, issuer: Uint8Array): boolean {
  const { publicKey } = new X509Certificate(issuer);
  return verify(list.hash, list.signed, publicKey, list.signature);
}

function invalid(why: string): MeshError {
  return new MeshError('TRUST_CRL_INVALID', why, {
    side: 'config',
    hint: IDENTITY_ERRORS.TRUST_CRL_INVALID,
  });
}
