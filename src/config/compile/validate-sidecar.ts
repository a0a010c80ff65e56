/** What is wrong with a Sidecar, as Istio's webhook judges it (pkg/config/validation ValidateSidecar). */
import type { Findings } from './finding.ts';
import type {
  ServerPortSpec,
  ServerTlsSpec,
  SidecarEgressSpec,
  SidecarIngressSpec,
  SidecarSpec,
} from './gateway-kinds.ts';
import {
  addressProblem,
  domainProblem,
  isDnsLabel,
  portProblem,
  scopedHostProblem,
} from './names.ts';
import { parsePortProtocol, protocolProblem } from './port-protocol.ts';
import { checkDestination } from './validate-destinations.ts';
import { unixSocketProblem } from './validate-istio-gateway.ts';
import { checkServerTls, tlsMode } from './validate-server-tls.ts';
import { checkPool } from './validate-traffic-policy.ts';

const UNIX_SOCKET = 'unix://';
const LOCAL_ADDRESSES = ['', '127.0.0.1', '0.0.0.0', '::1', '::'];
const OUTBOUND_MODES = ['REGISTRY_ONLY', 'ALLOW_ANY'];

export function checkSidecar(spec: SidecarSpec, findings: Findings): void {
  checkSelector(spec.workloadSelector, findings);
  const { ingress = [], egress = [], outboundTrafficPolicy, inboundConnectionPool } = spec;
  const isEmpty = ingress.length + egress.length === 0;
  if (isEmpty && !outboundTrafficPolicy && !inboundConnectionPool)
    findings.invalid(
      'spec',
      'one of egress, ingress, outboundTrafficPolicy and inboundConnectionPool is required',
    );
  const ports = new Set<number | undefined>();
  for (const [at, listener] of ingress.entries()) {
    const path = `spec.ingress[${at}]`;
    if (listener === null) findings.invalid(path, 'a listener cannot be null');
    else checkIngress(listener, path, { ports, findings });
  }
  checkPool(inboundConnectionPool, 'spec.inboundConnectionPool', findings);
  checkEgress(egress, findings);
  checkOutbound(outboundTrafficPolicy, findings);
}

function checkSelector(selector: SidecarSpec['workloadSelector'], findings: Findings): void {
  if (selector === undefined) return;
  const path = 'spec.workloadSelector';
  for (const [key, value] of Object.entries(selector.labels ?? {})) {
    if (key === '') findings.invalid(path, 'a label key must not be empty');
    if (key.includes('*') || value.includes('*'))
      findings.invalid(path, `labels have no wildcards: ${key}=${value}`);
  }
  if (Object.keys(selector.labels ?? {}).length === 0)
    findings.ineffective(
      path,
      'a selector without labels chooses every workload of the namespace',
      {
        hint: 'name labels, or leave the selector out',
      },
    );
}

function checkIngress(
  listener: SidecarIngressSpec,
  path: string,
  { ports, findings }: { ports: Set<number | undefined>; findings: Findings },
): void {
  const { port, bind = '', defaultEndpoint, tls, connectionPool } = listener;
  if (port === undefined) {
    findings.invalid(`${path}.port`, 'a port is required');
    return;
  }
  checkPort(port, `${path}.port`, findings);
  findings.check(`${path}.port.number`, portProblem(port.number));
  if (bind !== '') findings.check(`${path}.bind`, addressProblem(bind));
  if (ports.has(port.number))
    findings.invalid(`${path}.port.number`, `port ${port.number} is there twice`);
  ports.add(port.number);
  if (defaultEndpoint)
    findings.check(`${path}.defaultEndpoint`, defaultEndpointProblem(defaultEndpoint));
  if (tls) checkIngressTls(tls, port, { path: `${path}.tls`, findings });
  checkPool(connectionPool, `${path}.connectionPool`, findings);
}

function checkPort(port: ServerPortSpec, path: string, findings: Findings): void {
  if (port.targetPort)
    findings.invalid(`${path}.targetPort`, 'targetPort has no effect on Sidecars');
  if (port.name && !isDnsLabel(port.name))
    findings.invalid(`${path}.name`, `${JSON.stringify(port.name)} is no port name`);
  // Without a protocol the bytes are looked at.
  if (port.protocol) findings.check(`${path}.protocol`, protocolProblem(port.protocol));
}

/** `127.0.0.1:80`, `[::1]:80`, `:80` or a Unix socket. */
function defaultEndpointProblem(endpoint: string): string | undefined {
  if (endpoint.startsWith(UNIX_SOCKET)) return unixSocketProblem(endpoint);
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(endpoint);
  if (match === null) return `${endpoint} is not of the form address:port`;
  const [, v6, v4 = '', port] = match;
  if (!LOCAL_ADDRESSES.includes(v6 ?? v4)) return `${endpoint} is not on the pod itself`;
  return /^\d+$/.test(port) ? portProblem(Number(port)) : `${port} is no port`;
}

function checkIngressTls(
  tls: ServerTlsSpec,
  port: ServerPortSpec,
  { path, findings }: { path: string; findings: Findings },
): void {
  const unsupported = [
    'subjectAltNames',
    'httpsRedirect',
    'credentialName',
    'credentialNames',
    'tlsCertificates',
  ] as const;
  for (const field of unsupported) {
    const value = tls[field];
    if (Array.isArray(value) ? value.length > 0 : value)
      findings.invalid(`${path}.${field}`, `${field} is not supported at a sidecar`);
  }
  if (['ISTIO_MUTUAL', 'AUTO_PASSTHROUGH'].includes(tlsMode(tls)))
    findings.invalid(`${path}.mode`, `${tls.mode} is not supported at a sidecar`);
  const protocol = parsePortProtocol(port.protocol);
  if (protocol !== 'https' && protocol !== 'tls')
    findings.invalid(path, `a server for ${port.protocol} cannot have TLS settings`);
  checkServerTls(tls, path, findings);
}

function checkEgress(egress: readonly (SidecarEgressSpec | null)[], findings: Findings): void {
  const ports = new Set<string>();
  for (const [at, listener] of egress.entries()) {
    const path = `spec.egress[${at}]`;
    if (listener === null) {
      findings.invalid(path, 'a listener cannot be null');
      continue;
    }
    const { port, bind = '', hosts = [] } = listener;
    if (port === undefined) {
      if (at < egress.length - 1)
        findings.invalid(`${path}.port`, 'only the last listener may leave out the port');
    } else {
      checkEgressPort(port, listener, { path, findings });
      const key = port.number ? String(port.number) : bind;
      if (ports.has(key)) findings.invalid(`${path}.port`, `${key} is there twice`);
      ports.add(key);
    }
    if (hosts.length === 0) findings.invalid(`${path}.hosts`, 'at least one host is required');
    for (const [index, host] of hosts.entries()) {
      findings.check(`${path}.hosts[${index}]`, scopedHostProblem(host, 'Sidecar'));
      if (hosts.indexOf(host) < index)
        findings.ineffective(`${path}.hosts[${index}]`, `${host} is there twice`);
    }
  }
}

function checkEgressPort(
  port: ServerPortSpec,
  { bind = '', captureMode = 'DEFAULT' }: SidecarEgressSpec,
  { path, findings }: { path: string; findings: Findings },
): void {
  checkPort(port, `${path}.port`, findings);
  if (port.number) {
    findings.check(`${path}.port.number`, portProblem(port.number));
    if (bind !== '') findings.check(`${path}.bind`, addressProblem(bind));
    return;
  }
  const problem = bind.startsWith(UNIX_SOCKET)
    ? unixSocketProblem(bind)
    : 'port 0 is for Unix sockets only';
  findings.check(`${path}.bind`, problem);
  if (captureMode === 'IPTABLES')
    findings.invalid(`${path}.captureMode`, 'a Unix socket cannot be captured');
}

function checkOutbound(policy: SidecarSpec['outboundTrafficPolicy'], findings: Findings): void {
  if (policy === undefined) return;
  const path = 'spec.outboundTrafficPolicy';
  const { mode = 'REGISTRY_ONLY', egressProxy } = policy;
  if (!OUTBOUND_MODES.includes(mode))
    findings.invalid(`${path}.mode`, `${mode} is no mode of a Sidecar`);
  if (egressProxy === undefined) return;
  if (mode !== 'ALLOW_ANY')
    findings.invalid(`${path}.egressProxy`, 'egressProxy goes with mode ALLOW_ANY only');
  const { host = '', port } = egressProxy;
  findings.check(`${path}.egressProxy.host`, domainProblem(host));
  if (port === undefined) findings.invalid(`${path}.egressProxy.port`, 'a port is required');
  checkDestination(egressProxy, `${path}.egressProxy`, findings);
}
