/** Names that certificates prove; what a gateway demands of a client's beyond its chain, and tells the application of it. */
import { createHash, X509Certificate } from 'node:crypto';
import { MeshError } from '#base/errors.ts';
import { revocationOf } from '#identity/trust/revocation.ts';
import type { ServerTls } from '#model/route/gateway-config.ts';
import { NET_ERRORS } from '#net/errors.ts';
import type { JudgePeer } from '#net/network.ts';
import { uriNamesOf } from '#wire/x509/certificate.ts';
import type { RevocationList } from '#wire/x509/crl.ts';
import { encodePem } from '#wire/x509/pem.ts';

/** Undefined when the chain alone decides. */
export function clientJudge(
  tls: ServerTls,
  revoked: readonly RevocationList[],
): JudgePeer | undefined {
  const hashes = (tls.clientCertificateHashes ?? []).map((hash) =>
    hash.replaceAll(':', '').toLowerCase(),
  );
  const spkis = tls.clientSpkiHashes ?? [];
  const names = tls.clientSubjectAltNames ?? [];
  const isPinned = hashes.length > 0 || spkis.length > 0;
  if (!isPinned && names.length === 0 && revoked.length === 0) return undefined;
  return (chain) => {
    if (chain.length === 0) return refused('the client showed no certificate');
    const leaf = readCertificate(chain[0]);
    if (leaf === undefined) return refused('the client certificate cannot be read');
    if (isPinned && !hashes.includes(certificateHash(leaf)) && !spkis.includes(spkiHash(leaf))) {
      return refused('the client certificate is none of those whose hash is configured');
    }
    if (names.length > 0 && !names.some((name) => provesName(leaf, name))) {
      const shown = provedNames(leaf).slice(0, 5).join(', ') || 'no name';
      return refused(`the client certificate is for ${shown}, expected ${names.join(' or ')}`);
    }
    return revocationOf(chain, revoked, 'downstream');
  };
}

function refused(message: string): MeshError {
  const hint = NET_ERRORS.NET_PEER_IDENTITY;
  return new MeshError('NET_PEER_IDENTITY', message, { side: 'downstream', hint });
}

function certificateHash(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex');
}

/** RFC 7469 §2.4: of the DER SubjectPublicKeyInfo. */
function spkiHash(certificate: X509Certificate): string {
  try {
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(spki).digest('base64');
  } catch {
    // A kind of key that this library does not know: equal to no hash.
    return 'unreadable';
  }
}

/** Istio's subjectAltNames are compared whole; a name that begins with `*.` takes one label more (Envoy's DNS matcher). */
export function provesName(certificate: X509Certificate, wanted: string): boolean {
  const dot = wanted.indexOf('.');
  return provedNames(certificate).some((proved) => {
    if (wanted === proved) return true;
    return proved.startsWith('*.') && dot > 0 && wanted.slice(dot) === proved.slice(1);
  });
}

const NAME_TYPES: Readonly<Record<string, string>> = {
  DNS: 'dns',
  'IP Address': 'ip',
  email: 'email',
};

/** URIs out of the DER; DNS, IP and mail names as the library prints them. A name that holds a quote or a comma is printed quoted, and is none that could be asked for. */
export function provedNames(certificate: X509Certificate): string[] {
  const others = namesOf(certificate).map(([, value]) => value);
  return [...uriNamesOf(certificate.raw), ...others];
}

function namesOf({ subjectAltName = '' }: X509Certificate): [type: string, value: string][] {
  // `DNS:a.test, URI:"a, b"`: quoted where a value could pass itself off as two.
  return [...subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/g)]
    .map(([, type, value]): [string, string] => [NAME_TYPES[type] ?? '', value])
    .filter(([type, value]) => type !== '' && !value.startsWith('"'));
}

/** Undefined where the library that verified the chain and this one differ on what a certificate is. */
export function readCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

/** `x-forwarded-client-cert` as Istio's gateways set it: hash, certificate, subject, URI and DNS names (Envoy: SANITIZE_SET). */
export function forwardedClientCertificate(der: Uint8Array): string | undefined {
  const leaf = readCertificate(der);
  if (leaf === undefined) return undefined;
  const names = namesOf(leaf);
  const pem = encodeURIComponent(`${encodePem('CERTIFICATE', der).trim()}\n`);
  const quoted = (text: string) => `"${text.replaceAll('"', '\\"')}"`;
  // Undefined when it is empty.
  const subject = ((leaf.subject as string | undefined) ?? '').split('\n').reverse().join(',');
  return [
    `Hash=${certificateHash(leaf)}`,
    `Cert="${pem}"`,
    `Subject=${quoted(subject)}`,
    ...uriNamesOf(der).map((uri) => `URI=${uri}`),
    ...names.filter(([type]) => type === 'dns').map(([, value]) => `DNS=${value}`),
  ].join(';');
}
