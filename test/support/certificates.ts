/** A throw-away CA and SPIFFE leaves for tests and benchmarks: P-256, made with WebCrypto in milliseconds. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { TlsIdentity } from '#net/connection.ts';
import { encodePem } from '#wire/x509/pem.ts';

x509.cryptoProvider.set(crypto);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;

export interface IssueOptions {
  /** Negative: expired that long ago. */
  validForMs?: number;
  /** A DNS name instead of the URI. */
  dns?: string;
  /** An IP address instead of the URI. */
  ip?: string;
  /** Good for this end of a connection only. */
  only?: 'client' | 'server';
}

export interface TestCa {
  rootPem: string;
  /** A leaf for `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`, or for the URI itself. */
  issue(uri: string, options?: IssueOptions): Promise<TlsIdentity>;
  /**
   * A CA below this one: its leaves come with its own certificate behind them, verified against the same root. An `impostor`
   * was given no right to sign.
   */
  subordinate(name: string, options?: { impostor?: boolean }): Promise<TestCa>;
  /** A revocation list (PEM) of the first certificate of each chain. */
  revoke(chains: readonly string[]): Promise<string>;
}

/** The first certificate of `chain` is the CA's own. */
interface Issuer {
  name: string;
  keys: CryptoKeyPair;
  chain: string;
  rootPem: string;
}

function usagesOf({ only }: IssueOptions): x509.ExtendedKeyUsage[] {
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  if (only === undefined) return [serverAuth, clientAuth];
  return [only === 'server' ? serverAuth : clientAuth];
}

function nameOf(uri: string, options: IssueOptions): x509.JsonGeneralName {
  if (options.dns !== undefined) return { type: 'dns', value: options.dns };
  if (options.ip !== undefined) return { type: 'ip', value: options.ip };
  return { type: 'url', value: uri };
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/(.{64})/g, '$1\n').trim()}\n-----END PRIVATE KEY-----\n`;
}

const makeKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

const CA_EXTENSIONS = () => [
  new x509.BasicConstraintsExtension(true, undefined, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
];

export async function createTestCa(name = 'test'): Promise<TestCa> {
  const keys = await makeKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `O=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(24 * HOUR_MS),
    extensions: CA_EXTENSIONS(),
  });
  const rootPem = `${root.toString('pem')}\n`;
  return caOf({ name: root.subject, keys, chain: '', rootPem });
}

function caOf(issuer: Issuer): TestCa {
  return {
    rootPem: issuer.rootPem,
    async issue(uri, options = {}) {
      const keys = await makeKeys();
      const leaf = await signed(issuer, keys, {
        subject: '',
        ...validity(options.validForMs ?? HOUR_MS),
        extensions: [
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension(usagesOf(options)),
          new x509.SubjectAlternativeNameExtension([nameOf(uri, options)], true),
        ],
      });
      return {
        certificateChain: `${leaf.toString('pem')}\n${issuer.chain}`,
        privateKey: await privateKeyPem(keys.privateKey),
        trustBundle: issuer.rootPem,
      };
    },
    async subordinate(name, { impostor = false } = {}) {
      const keys = await makeKeys();
      const extensions = impostor ? [] : CA_EXTENSIONS();
      const subject = `O=${name}`;
      const own = await signed(issuer, keys, { subject, ...validity(24 * HOUR_MS), extensions });
      const chain = `${own.toString('pem')}\n${issuer.chain}`;
      return caOf({ name: subject, keys, chain, rootPem: issuer.rootPem });
    },
    async revoke(chains) {
      const list = await x509.X509CrlGenerator.create({
        issuer: issuer.name,
        thisUpdate: new Date(),
        nextUpdate: new Date(Date.now() + HOUR_MS),
        signingAlgorithm: ALGORITHM,
        signingKey: issuer.keys.privateKey,
        entries: chains.map((chain) => ({
          serialNumber: new x509.X509Certificate(chain).serialNumber,
          revocationDate: new Date(),
          reason: x509.X509CrlReason.keyCompromise,
        })),
      });
      // The library's own PEM has another label than RFC 7468 §6.
      return encodePem('X509 CRL', new Uint8Array(list.rawData));
    },
  };
}

function signed(
  issuer: Issuer,
  keys: CryptoKeyPair,
  fields: { subject: string; notBefore: Date; notAfter: Date; extensions: x509.Extension[] },
) {
  return x509.X509CertificateGenerator.create({
    ...fields,
    issuer: issuer.name,
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: ALGORITHM,
  });
}

function validity(validForMs: number) {
  const now = Date.now();
  return { notBefore: new Date(now - HOUR_MS), notAfter: new Date(now + validForMs) };
}
