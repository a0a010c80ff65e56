/**
 * The API server's own CA, its serving certificate and the key that signs service account tokens. Made on the first
 * start, kept in the data directory with mode 0600; the X.509 library is loaded only then.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import { CERTIFICATE_DAYS } from '../limits.ts';

export interface ServerKeys {
  /** PEM. */
  caCertificate: string;
  servingCertificate: string;
  servingKey: string;
  /** PKCS#8 PEM, EC P-256: signs service account tokens with ES256. */
  tokenKey: string;
  adminToken: string;
}

export interface KeyOptions {
  dataDir: string;
  /** IP addresses and DNS names of the serving certificate, besides the fixed ones. */
  names: readonly string[];
}

const FILES: Record<keyof ServerKeys, string> = {
  caCertificate: 'ca.crt',
  servingCertificate: 'serving.crt',
  servingKey: 'serving.key',
  tokenKey: 'service-account.key',
  adminToken: 'admin.token',
};

export const SERVING_NAMES = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  'localhost',
  '127.0.0.1',
  '198.18.255.1',
  '198.19.0.1',
] as const;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const ADMIN_TOKEN_BYTES = 32;
const SERIAL_BYTES = 16;

export async function loadOrCreateKeys(
  options: KeyOptions,
  deps: { clock: Clock; random: Random },
): Promise<ServerKeys> {
  const names = [...new Set([...SERVING_NAMES, ...options.names])];
  const wanted = names.join('\n');
  const namesFile = join(options.dataDir, 'serving.names');
  if (existsSync(namesFile) && readFileSync(namesFile, 'utf8') === wanted)
    return load(options.dataDir);
  const keys = await createKeys(names, deps);
  for (const [field, file] of Object.entries(FILES))
    writePrivate(join(options.dataDir, file), keys[field as keyof ServerKeys]);
  // Last, so that an interrupted first start starts over.
  writePrivate(namesFile, wanted);
  return keys;
}

function load(dataDir: string): ServerKeys {
  const read = (field: keyof ServerKeys) => readFileSync(join(dataDir, FILES[field]), 'utf8');
  return {
    caCertificate: read('caCertificate'),
    servingCertificate: read('servingCertificate'),
    servingKey: read('servingKey'),
    tokenKey: read('tokenKey'),
    adminToken: read('adminToken'),
  };
}

export function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
}

async function createKeys(
  names: readonly string[],
  { clock, random }: { clock: Clock; random: Random },
): Promise<ServerKeys> {
  const x509 = await import('#identity/ca/x509.ts');
  const [ca, serving, token] = await Promise.all([newKeyPair(), newKeyPair(), newKeyPair()]);
  const notBefore = new Date(clock.wallTime() - DAY_MS);
  const notAfter = new Date(clock.wallTime() + CERTIFICATE_DAYS * DAY_MS);
  const serialNumber = () => `0${Buffer.from(random.bytes(SERIAL_BYTES)).toString('hex').slice(1)}`;
  const caName = 'CN=tulle-apiserver-ca';
  const caCertificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: caName,
    notBefore,
    notAfter,
    keys: ca,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  const servingCertificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=kubernetes',
    issuer: caName,
    notBefore,
    notAfter,
    publicKey: serving.publicKey,
    signingKey: ca.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map(generalName)),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  return {
    caCertificate: `${caCertificate.toString('pem')}\n`,
    servingCertificate: `${servingCertificate.toString('pem')}\n`,
    servingKey: await exportKey(serving.privateKey),
    tokenKey: await exportKey(token.privateKey),
    adminToken: Buffer.from(random.bytes(ADMIN_TOKEN_BYTES)).toString('base64url'),
  };
}

function generalName(name: string): { type: 'ip' | 'dns'; value: string } {
  return { type: /^[\d.]+$|:/.test(name) ? 'ip' : 'dns', value: name };
}

function newKeyPair(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;
}

async function exportKey(key: CryptoKey): Promise<string> {
  const base64 = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}
