/** DestinationRule.tls as the TLS that a proxy originates towards the destination. */
import type { UpstreamTls } from '#model/route/route-table.ts';
import type { ClientTlsSpec } from './destination-rule-kinds.ts';

const SECRET = 'kubernetes://';

/** `none`: between proxies HBONE is TLS already, so DISABLE and ISTIO_MUTUAL add nothing inside (Istio: cluster_waypoint.go). */
export function compileUpstreamTls(spec: ClientTlsSpec, namespace: string): UpstreamTls | 'none' {
  if (spec.mode !== 'SIMPLE' && spec.mode !== 'MUTUAL') return 'none';
  const files = spec.credentialName ? undefined : filesOf(spec);
  return {
    mode: spec.mode === 'MUTUAL' ? 'mutual' : 'simple',
    ...(spec.sni && { sni: spec.sni }),
    subjectAltNames: spec.subjectAltNames ?? [],
    ...(spec.credentialName && { material: materialName(spec.credentialName, namespace) }),
    ...(files && { files }),
    insecureSkipVerify: spec.insecureSkipVerify === true,
  };
}

/** A bare name is a Secret of the rule's own namespace: an author can use no other's. */
function materialName(credential: string, namespace: string): string {
  if (credential.includes('://')) {
    const rest = credential.slice(credential.indexOf('://') + 3);
    return rest.includes('/') ? credential : `${SECRET}${namespace}/${rest}`;
  }
  return `${SECRET}${namespace}/${credential}`;
}

function filesOf(spec: ClientTlsSpec): UpstreamTls['files'] {
  const { mode, clientCertificate, privateKey, caCertificates, caCrl } = spec;
  const isMutual = mode === 'MUTUAL';
  // `system` names the operating system's roots (Istio: ClientTLSSettings.ca_certificates).
  const roots = caCertificates === 'system' ? undefined : caCertificates;
  const files = {
    ...(isMutual && clientCertificate && { certificate: clientCertificate }),
    ...(isMutual && privateKey && { privateKey }),
    ...(roots && { roots }),
    ...(caCrl && { revocationList: caCrl }),
  };
  return Object.keys(files).length === 0 ? undefined : files;
}
