/**
 * One server of an Istio Gateway in the model's words, as far as it depends on nothing else. Of a server without
 * errors (validate-istio-gateway.ts).
 */
import type { ServerTls } from '#model/route/gateway-config.ts';
import type { Findings } from './finding.ts';
import type { ServerSpec, ServerTlsSpec } from './gateway-kinds.ts';
import { parsePortProtocol } from './port-protocol.ts';
import { isCipherSuite, terminatesTls, tlsMode } from './validate-server-tls.ts';

export interface CompiledServer {
  /** Of the server, else of its port. */
  readonly name: string;
  /** Of the server in its Gateway, for findings. */
  readonly path: string;
  /** As the Gateway names it: a port of the gateway's Service, or the bound port itself. */
  readonly port: number;
  readonly bind: string | undefined;
  readonly protocol: 'http' | 'https' | 'tcp' | 'tls';
  /** With a namespace: only for VirtualServices of it. */
  readonly hosts: readonly { readonly namespace: string | undefined; readonly host: string }[];
  /**
   * TLS that the gateway ends; undefined with protocol `tls`: passed through. Names of Secrets are as written: they
   * belong to the namespace of the proxy that serves them.
   */
  readonly tls: ServerTls | undefined;
  /** No roots are named: those of the certificate's Secret `NAME`, unless a Secret `NAME-cacert` is there. */
  readonly rootsBeside: boolean;
  readonly httpsRedirect: boolean;
}

/** Undefined, with a finding: a server that is not served here. */
export function compileServer(
  spec: ServerSpec,
  at: number,
  context: { namespace: string; findings: Findings },
): CompiledServer | undefined {
  const { findings } = context;
  const path = `spec.servers[${at}]`;
  const { port = {}, bind, tls, defaultEndpoint } = spec;
  const protocol = parsePortProtocol(port.protocol);
  const refuse = (field: string, message: string, hint: string) => {
    findings.ineffective(`${path}.${field}`, `${message}: the server is not served`, { hint });
    return undefined;
  };
  if (protocol === undefined || protocol === 'udp')
    return refuse('port.protocol', `${port.protocol} is no protocol of a gateway`, 'use TCP');
  if (bind?.startsWith('unix:'))
    return refuse('bind', 'gateways listen on no Unix sockets', 'bind an address');
  if (tls && tlsMode(tls) === 'AUTO_PASSTHROUGH')
    return refuse(
      'tls.mode',
      'AUTO_PASSTHROUGH joins networks of sidecars by SNI, which ambient meshes do not use',
      'use a Gateway of class istio-east-west, or PASSTHROUGH with a VirtualService',
    );
  if (defaultEndpoint)
    findings.ineffective(`${path}.defaultEndpoint`, 'it has no effect, nor has it in Istio', {
      level: 'info',
    });
  const ended = protocol !== 'http' && terminatesTls(tls) ? tls : undefined;
  if (ended && tlsMode(ended) !== 'ISTIO_MUTUAL' && secretsOf(ended).length === 0)
    return refuse(
      'tls',
      'certificates in files of the gateway are not read',
      'put certificate and key into a Secret, and name it in credentialName',
    );
  const isPassedThrough = protocol === 'https' && ended === undefined;
  return {
    name: spec.name || port.name || String(at),
    path,
    port: port.number ?? 0,
    bind: bind || undefined,
    protocol: isPassedThrough ? 'tls' : protocol,
    hosts: serverHosts(spec.hosts ?? [], context.namespace),
    tls: ended && compileTls(ended, `${path}.tls`, findings),
    rootsBeside: !ended?.caCertCredentialName,
    httpsRedirect: protocol === 'http' && tls?.httpsRedirect === true,
  };
}

/** `./host` is the Gateway's namespace; all others (`*` followed by a slash) is the same as none. */
function serverHosts(hosts: readonly string[], own: string): CompiledServer['hosts'] {
  return hosts.map((text) => {
    const slash = text.indexOf('/');
    const scope = slash === -1 ? '*' : text.slice(0, slash);
    const host = text.slice(slash + 1).toLowerCase();
    if (scope === '*') return { namespace: undefined, host };
    return { namespace: scope === '.' ? own : scope, host };
  });
}

const MODES: Readonly<Record<string, ServerTls['mode']>> = {
  SIMPLE: 'simple',
  MUTUAL: 'mutual',
  OPTIONAL_MUTUAL: 'optional',
  ISTIO_MUTUAL: 'istio-mutual',
};

function compileTls(spec: ServerTlsSpec, path: string, findings: Findings): ServerTls {
  const mode = MODES[tlsMode(spec)];
  if (spec.insecureSkipVerify)
    findings.ineffective(
      `${path}.insecureSkipVerify`,
      'certificates of clients are always verified',
    );
  if (spec.ecdhCurves?.length)
    findings.ineffective(
      `${path}.ecdhCurves`,
      'curves are negotiated, X25519MLKEM768 first: none can be named',
    );
  const suites = [...new Set(spec.cipherSuites ?? [])].filter(isCipherSuite);
  const minVersion = tlsVersion(spec.minProtocolVersion);
  const maxVersion = tlsVersion(spec.maxProtocolVersion);
  const asksClients = mode === 'mutual' || mode === 'optional';
  return {
    mode,
    certificates: mode === 'istio-mutual' ? [] : secretsOf(spec),
    ...(asksClients && { clientRoots: spec.caCertCredentialName || secretsOf(spec)[0] }),
    ...(spec.subjectAltNames?.length && { clientSubjectAltNames: spec.subjectAltNames }),
    ...(spec.verifyCertificateHash?.length && {
      clientCertificateHashes: spec.verifyCertificateHash.map((hash) =>
        hash.replaceAll(':', '').toLowerCase(),
      ),
    }),
    ...(spec.verifyCertificateSpki?.length && { clientSpkiHashes: spec.verifyCertificateSpki }),
    ...(minVersion && { minVersion }),
    ...(maxVersion && { maxVersion }),
    ...(suites.length > 0 && { cipherSuites: suites }),
  };
}

/** TLS_AUTO and what is older than 1.2 leave the default. */
function tlsVersion(text: string | undefined): 'TLSv1.2' | 'TLSv1.3' | undefined {
  if (text === 'TLSV1_2') return 'TLSv1.2';
  return text === 'TLSV1_3' ? 'TLSv1.3' : undefined;
}

function secretsOf(spec: ServerTlsSpec): string[] {
  const names = spec.credentialNames?.length ? spec.credentialNames : [spec.credentialName];
  return names.flatMap((name) => name || []);
}
