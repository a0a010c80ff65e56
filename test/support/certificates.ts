/** A throw-away CA and SPIFFE leaves for tests and benchmarks: P-256, made with WebCrypto in milliseconds. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { TlsIdentity } from '#net/connection.ts';

x509.cryptoProvider.set(crypto);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;

export interface IssueOptions {
  /** Negative: expired that long ago. */
  validForMs?: number;
  /** A DNS name instead of the URI. */
  dns?: string;
}

export interface TestCa {
  rootPem: string;
  /** A leaf for `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`, or for the URI itself. */
  issue(uri: string, options?: IssueOptions): Promise<TlsIdentity>;
}

function nameOf(uri: string, options: IssueOptions): x509.JsonGeneralName {
  if (options.dns !== undefined) return { type: 'dns', value: options.dns };
  return { type: 'url', value: uri };
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/(.{64})/g, '$1\n').trim()}\n-----END PRIVATE KEY-----\n`;
}

export async function createTestCa(name = 'test'): Promise<TestCa> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const now = Date.now();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `O=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(now - HOUR_MS),
    notAfter: new Date(now + 24 * HOUR_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const rootPem = `${root.toString('pem')}\n`;
  return {
    rootPem,
    async issue(uri, options = {}) {
      const leafKeys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const leaf = await x509.X509CertificateGenerator.create({
        issuer: root.subject,
        subject: '',
        publicKey: leafKeys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(now - HOUR_MS),
        notAfter: new Date(now + (options.validForMs ?? HOUR_MS)),
        extensions: [
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
          new x509.SubjectAlternativeNameExtension([nameOf(uri, options)], true),
        ],
      });
      return {
        certificateChain: `${leaf.toString('pem')}\n`,
        privateKey: await privateKeyPem(leafKeys.privateKey),
        trustBundle: rootPem,
      };
    },
  };
}
