/** A fresh ECDSA P-256 key and the CSR for it. The key exists only in the returned text. */
import { generateKeyPair, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { Principal } from '#model/identity/spiffe.ts';
import { certificationRequest, certificationRequestInfo } from '#wire/x509/csr.ts';
import { encodePem } from '#wire/x509/pem.ts';

export interface KeyRequest {
  /** PEM, PKCS #8. Never logged. */
  readonly privateKey: string;
  /** PEM. */
  readonly csr: string;
}

const generate = promisify(generateKeyPair);

export async function makeKeyRequest(principal: Principal): Promise<KeyRequest> {
  const { publicKey, privateKey } = await generate('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const info = certificationRequestInfo({ publicKey, uri: principal });
  const signature = sign('sha256', info, privateKey);
  return {
    privateKey,
    csr: encodePem('CERTIFICATE REQUEST', certificationRequest(info, signature)),
  };
}
