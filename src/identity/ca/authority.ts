/**
 * The mesh's certificate authority: signs SPIFFE leaves for workloads and the control plane's own serving certificate, with
 * a self-signed root of its own making or with what an operator plugged in (an intermediate, of ECDSA or RSA). Who may
 * have which identity is decided by the caller (control/ca).
 */
import { createPrivateKey } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import { encodePem, splitCertificates } from '#wire/x509/pem.ts';
import {
  BACKDATE_SECONDS,
  BACKDATE_SECONDS_LONG,
  CSR_CHARS_MAX,
  LEAF_TTL_SECONDS,
  LEAF_TTL_SECONDS_MAX,
  ROOT_TTL_SECONDS,
  SERIAL_BYTES,
  SERVING_TTL_SECONDS,
} from '../limits.ts';
import * as x509 from './x509.ts';

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const;
const RSA_BITS_MIN = 2048;

export interface AuthorityDeps {
  readonly clock: Clock;
  readonly random: Random;
}

export interface RootMaterial {
  /** PEM: what signs. */
  readonly certificate: string;
  /** PEM: PKCS #8, PKCS #1 or SEC 1. */
  readonly privateKey: string;
  /** PEM: from the signer up towards the root; without it the signer alone, unless that is the root. */
  readonly chain?: string;
  /** PEM: what peers trust, perhaps several; without it the signer itself. */
  readonly roots?: string;
}

export interface ServingIdentity {
  readonly certificateChain: string;
  readonly privateKey: string;
}

export interface SignRequest {
  /** PEM. Only its public key counts: names in it are the client's wishes. */
  readonly csr: string;
  readonly principal: Principal;
  /** 0 or less: the default. */
  readonly ttlSeconds: number;
}

export interface CertificateAuthority {
  /** PEM: all roots. */
  readonly root: string;
  /** Leaf, then each intermediate, last all roots in one. Rejects with a MeshError. */
  sign(request: SignRequest): Promise<readonly string[]>;
  /** Key and certificate for the control plane's own port. */
  issueServing(dnsNames: readonly string[]): Promise<ServingIdentity>;
}

/** A new root for a mesh that has none. */
export async function createRoot(deps: AuthorityDeps, organization: string): Promise<RootMaterial> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(deps.random),
    name: new x509.Name([{ O: [organization] }]).toString(),
    ...lifetime(deps.clock, {
      ttlSeconds: ROOT_TTL_SECONDS,
      backdateSeconds: BACKDATE_SECONDS_LONG,
    }),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), privateKey: await exportKey(keys.privateKey) };
}

/** Rejects with CA_ROOT_INVALID when certificate and key are unreadable or do not belong together. */
export async function loadAuthority(
  deps: AuthorityDeps,
  material: RootMaterial,
): Promise<CertificateAuthority> {
  const { certificate, key, algorithm } = await readSigner(material);
  const { root, intermediates } = readChain(material, certificate);
  const authorityKey = await keyIdentifierOf(certificate);
  const issue = async (options: {
    publicKey: CryptoKey | x509.PublicKey;
    ttlSeconds: number;
    backdateSeconds?: number;
    names: x509.JsonGeneralNames;
  }) => {
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(deps.random),
      subject: '',
      issuer: certificate.subjectName,
      ...lifetime(deps.clock, { ...options, latest: certificate.notAfter }),
      signingAlgorithm: algorithm,
      signingKey: key,
      publicKey: options.publicKey,
      extensions: [
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
          true,
        ),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.BasicConstraintsExtension(false, undefined, true),
        authorityKey,
        // RFC 5280 §4.2.1.6: critical, because the subject is empty.
        new x509.SubjectAlternativeNameExtension(options.names, true),
      ],
    });
    return pemOf(leaf);
  };
  return {
    root,
    async sign({ csr, principal, ttlSeconds }) {
      if (ttlSeconds > LEAF_TTL_SECONDS_MAX) {
        throw new MeshError('CA_TTL_TOO_LONG', `lifetime of ${ttlSeconds} s for ${principal}`, {
          side: 'downstream',
          hint: `ask for at most ${LEAF_TTL_SECONDS_MAX} s`,
        });
      }
      const publicKey = await verifiedKey(csr);
      const leaf = await issue({
        publicKey,
        ttlSeconds: ttlSeconds > 0 ? ttlSeconds : LEAF_TTL_SECONDS,
        names: [{ type: 'url', value: principal }],
      });
      return [leaf, ...intermediates, root];
    },
    async issueServing(dnsNames) {
      const keys = await generateKeys();
      const leaf = await issue({
        publicKey: keys.publicKey,
        ttlSeconds: SERVING_TTL_SECONDS,
        backdateSeconds: BACKDATE_SECONDS_LONG,
        names: dnsNames.map((value) => ({ type: 'dns' as const, value })),
      });
      return {
        certificateChain: [leaf, ...intermediates].join(''),
        privateKey: await exportKey(keys.privateKey),
      };
    },
  };
}

type SigningAlgorithm =
  | { readonly name: 'ECDSA'; readonly namedCurve: string; readonly hash: string }
  | { readonly name: 'RSASSA-PKCS1-v1_5'; readonly hash: string };

async function readSigner({ certificate: pem, privateKey }: RootMaterial) {
  try {
    const certificate = new x509.X509Certificate(pem);
    const { der, algorithm } = readKey(privateKey);
    const key = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
    if (await belongTogether(certificate, key, algorithm)) return { certificate, key, algorithm };
  } catch (cause) {
    throw invalid(`the certificate or key of the CA is unreadable: ${messageOf(cause)}`, cause);
  }
  throw invalid('the key of the CA does not belong to its certificate');
}

/** Throws. */
function readKey(pem: string): { der: Uint8Array<ArrayBuffer>; algorithm: SigningAlgorithm } {
  const key = createPrivateKey(pem);
  const der = Uint8Array.from(key.export({ type: 'pkcs8', format: 'der' }));
  if (key.asymmetricKeyType === 'rsa') {
    return { der, algorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } };
  }
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return { der, algorithm: { ...KEY_ALGORITHM, hash: 'SHA-256' } };
  if (curve === 'secp384r1') {
    return { der, algorithm: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' } };
  }
  throw new Error(`keys of type ${key.asymmetricKeyType} ${curve ?? ''} sign no certificates here`);
}

async function belongTogether(
  certificate: x509.X509Certificate,
  key: CryptoKey,
  algorithm: SigningAlgorithm,
) {
  const probe = new TextEncoder().encode('probe');
  const signature = await crypto.subtle.sign(algorithm, key, probe);
  const publicKey = await certificate.publicKey.export(algorithm, ['verify']);
  return crypto.subtle.verify(algorithm, publicKey, signature, probe);
}

/** Istio's cert-chain.pem often ends with the root, which nobody needs to be shown. */
function readChain({ chain, roots }: RootMaterial, signer: x509.X509Certificate) {
  const own = pemOf(signer);
  const trusted = splitCertificates(roots ?? own);
  if (trusted.length === 0) throw invalid('there is no certificate among the roots of the CA');
  const given = splitCertificates(chain ?? own);
  const above = given.length === 0 ? [own] : given;
  try {
    const known = new Set(trusted.map(fingerprintOf));
    const intermediates = above.filter((each) => !known.has(fingerprintOf(each)));
    return { root: trusted.join(''), intermediates };
  } catch (cause) {
    throw invalid(`the chain or the roots of the CA are unreadable: ${messageOf(cause)}`, cause);
  }
}

function fingerprintOf(pem: string): string {
  return Buffer.from(new x509.X509Certificate(pem).rawData).toString('base64');
}

/** As the signer names its own key, else as RFC 5280 §4.2.1.2 derives it. */
async function keyIdentifierOf(signer: x509.X509Certificate) {
  const named = signer.getExtension(x509.SubjectKeyIdentifierExtension);
  if (named !== null) return new x509.AuthorityKeyIdentifierExtension(named.keyId);
  return x509.AuthorityKeyIdentifierExtension.create(signer.publicKey);
}

function invalid(message: string, cause?: unknown): MeshError {
  return new MeshError('CA_ROOT_INVALID', message, {
    side: 'config',
    hint: 'compare the Secret of the CA (cacerts, else istio-ca-secret) with what was meant to be in it',
    cause,
  });
}

/** The public key of a CSR whose signature proves that the client holds the private one. */
async function verifiedKey(csr: string): Promise<x509.PublicKey> {
  const rejected = (message: string, cause?: unknown) =>
    new MeshError('CA_CSR_REJECTED', message, {
      side: 'downstream',
      hint: 'send a PKCS #10 request in PEM, signed with the key that it carries',
      cause,
    });
  if (csr.length > CSR_CHARS_MAX) throw rejected(`CSR of ${csr.length} characters`);
  let request: x509.Pkcs10CertificateRequest;
  let proven: boolean;
  try {
    request = new x509.Pkcs10CertificateRequest(csr);
    proven = await request.verify();
  } catch (cause) {
    throw rejected(`CSR is unreadable: ${messageOf(cause)}`, cause);
  }
  if (!proven) throw rejected('the signature of the CSR is wrong');
  const { algorithm } = request.publicKey;
  const bits = 'modulusLength' in algorithm ? Number(algorithm.modulusLength) : undefined;
  if (bits !== undefined && bits < RSA_BITS_MIN) throw rejected(`RSA key of ${bits} bits`);
  return request.publicKey;
}

function generateKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: CryptoKey): Promise<string> {
  return encodePem('PRIVATE KEY', new Uint8Array(await crypto.subtle.exportKey('pkcs8', key)));
}

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. */
function serialNumber(random: Random): string {
  const bytes = random.bytes(SERIAL_BYTES);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

function lifetime(
  clock: Clock,
  options: { ttlSeconds: number; backdateSeconds?: number; latest?: Date },
) {
  const { ttlSeconds, backdateSeconds = BACKDATE_SECONDS, latest } = options;
  const now = clock.wallTime();
  const notAfter = now + ttlSeconds * 1000;
  return {
    notBefore: new Date(now - backdateSeconds * 1000),
    notAfter: latest === undefined ? new Date(notAfter) : new Date(Math.min(notAfter, +latest)),
  };
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}
