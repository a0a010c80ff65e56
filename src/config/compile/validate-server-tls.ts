/** What is wrong with the TLS settings of a server (Istio: pkg/config/validation validateTLSOptions). */
import type { Findings } from './finding.ts';
import type { ServerTlsSpec } from './gateway-kinds.ts';

/** BoringSSL's, as Gateways may name them (Istio: pkg/config/security/security.go). */
const CIPHER_SUITES = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
  'DES-CBC3-SHA',
];
const MODES = [
  'PASSTHROUGH',
  'SIMPLE',
  'MUTUAL',
  'AUTO_PASSTHROUGH',
  'ISTIO_MUTUAL',
  'OPTIONAL_MUTUAL',
];
/** Where a server's own certificate comes from. */
const CERTIFICATE_FIELDS = [
  'serverCertificate',
  'privateKey',
  'caCertificates',
  'tlsCertificates',
  'credentialName',
  'credentialNames',
] as const;

/** PASSTHROUGH is protobuf's zero value: what settings without a mode mean. */
export function tlsMode(spec: ServerTlsSpec): string {
  return spec.mode || 'PASSTHROUGH';
}

export function terminatesTls(spec: ServerTlsSpec | undefined): boolean {
  return spec !== undefined && !tlsMode(spec).endsWith('PASSTHROUGH');
}

/** A name of a suite, or an operator of OpenSSL's cipher strings. */
export function isCipherSuite(name: string): boolean {
  return (
    name === '' || name === 'ALL' || !/^[A-Za-z0-9]/.test(name) || CIPHER_SUITES.includes(name)
  );
}

export function checkServerTls(
  spec: ServerTlsSpec | undefined,
  path: string,
  findings: Findings,
): void {
  if (spec === undefined) return;
  const mode = tlsMode(spec);
  findings.check(`${path}.mode`, MODES.includes(mode) ? undefined : `${mode} is no TLS mode`);
  checkCiphers(spec, path, findings);
  const given = CERTIFICATE_FIELDS.filter((field) => isGiven(spec[field]));
  if (mode === 'ISTIO_MUTUAL') {
    for (const field of given)
      findings.invalid(
        `${path}.${field}`,
        "ISTIO_MUTUAL uses the mesh's certificates and takes no others",
      );
    return;
  }
  if (!terminatesTls(spec)) {
    if (given.length > 0 || spec.caCrl)
      findings.ineffective(path, `${mode} does not end TLS: its certificates are not used`);
    return;
  }
  checkCertificates(spec, path, findings);
}

function isGiven(value: string | readonly unknown[] | undefined): boolean {
  return value !== undefined && value.length > 0;
}

function checkCiphers(spec: ServerTlsSpec, path: string, findings: Findings): void {
  const { cipherSuites = [], minProtocolVersion } = spec;
  const unknown = cipherSuites.filter((name) => !isCipherSuite(name));
  if (unknown.length > 0)
    findings.ineffective(
      `${path}.cipherSuites`,
      `unknown suites are left out: ${unknown.join(', ')}`,
    );
  if (new Set(cipherSuites).size < cipherSuites.length)
    findings.ineffective(`${path}.cipherSuites`, 'suites that are named twice count once');
  if (['TLSV1_0', 'TLSV1_1'].includes(minProtocolVersion ?? ''))
    findings.ineffective(
      `${path}.minProtocolVersion`,
      `${minProtocolVersion} is not spoken: the oldest version is TLSV1_2`,
      { hint: 'set TLSV1_2 or later' },
    );
}

function checkCertificates(spec: ServerTlsSpec, path: string, findings: Findings): void {
  const { credentialName, credentialNames = [], tlsCertificates = [] } = spec;
  const sources = [
    spec.serverCertificate && spec.privateKey,
    credentialName,
    credentialNames.length,
    tlsCertificates.length,
  ].filter(Boolean);
  if (sources.length > 1)
    findings.invalid(
      path,
      'credentialName, credentialNames, serverCertificate with privateKey, and tlsCertificates exclude each other',
    );
  if (credentialName || credentialNames.length > 0) {
    if (spec.caCertificates)
      findings.ineffective(
        `${path}.caCertificates`,
        'with credentialName the roots are in a Secret',
        {
          hint: 'put them into the Secret under ca.crt, or name one in caCertCredentialName',
        },
      );
    // As Istio, which judges the list of revocations for certificates in files only.
    if (spec.caCrl)
      findings.ineffective(
        `${path}.caCrl`,
        'with credentialName the list of revocations is in the Secret',
        {
          hint: 'put it into the Secret under ca.crl',
        },
      );
    return;
  }
  if (spec.caCrl && tlsMode(spec) === 'SIMPLE')
    findings.invalid(
      `${path}.caCrl`,
      'SIMPLE asks clients for no certificate that could be revoked',
    );
  if (tlsMode(spec) !== 'SIMPLE' && !spec.caCertificates)
    findings.invalid(
      `${path}.caCertificates`,
      `${tlsMode(spec)} needs roots for client certificates`,
    );
  if (tlsCertificates.length > 2)
    findings.ineffective(`${path}.tlsCertificates`, 'clients are offered two certificates at most');
  const pairs = tlsCertificates.length > 0 ? tlsCertificates : [spec];
  for (const { serverCertificate, privateKey } of pairs) {
    if (!serverCertificate)
      findings.invalid(`${path}.serverCertificate`, `${tlsMode(spec)} needs a certificate`);
    if (!privateKey) findings.invalid(`${path}.privateKey`, `${tlsMode(spec)} needs a private key`);
  }
}
