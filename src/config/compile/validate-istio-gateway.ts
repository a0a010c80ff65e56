/** What is wrong with an Istio Gateway, as Istio's webhook judges it (pkg/config/validation ValidateGateway). */
import type { Findings } from './finding.ts';
import type {
  IstioGatewaySpec,
  ServerPortSpec,
  ServerSpec,
  ServerTlsSpec,
} from './gateway-kinds.ts';
import { addressProblem, isDnsLabel, portProblem, scopedHostProblem } from './names.ts';
import { parsePortProtocol, protocolProblem } from './port-protocol.ts';
import { checkServerTls, terminatesTls } from './validate-server-tls.ts';

const UNIX_SOCKET = 'unix://';

export function checkIstioGateway(spec: IstioGatewaySpec, name: string, findings: Findings): void {
  if (!isDnsLabel(name)) findings.invalid('metadata.name', `${name} is no DNS label`);
  const { servers = [] } = spec;
  if (servers.length === 0) findings.invalid('spec.servers', 'at least one server is required');
  const names = new Set<string>();
  for (const [at, server] of servers.entries()) {
    const path = `spec.servers[${at}]`;
    if (server === null) findings.invalid(path, 'a server cannot be null');
    else checkServer(server, path, findings);
    const portName = server?.port?.name;
    if (portName && names.has(portName))
      findings.invalid(
        `${path}.port.name`,
        `port names must be unique: ${portName} is there twice`,
      );
    if (portName) names.add(portName);
  }
}

function checkServer(server: ServerSpec, path: string, findings: Findings): void {
  const { hosts = [], port, bind = '', tls } = server;
  if (hosts.length === 0) findings.invalid(`${path}.hosts`, 'at least one host is required');
  for (const [at, host] of hosts.entries())
    findings.check(`${path}.hosts[${at}]`, scopedHostProblem(host, 'Gateway'));
  checkPort(port, bind, { path: `${path}.port`, findings });
  checkBind(port, bind, { path: `${path}.bind`, findings });
  checkServerTls(tls, `${path}.tls`, findings);
  checkTlsFits(port, tls, { path: `${path}.tls`, findings });
}

function checkPort(
  port: ServerPortSpec | undefined,
  bind: string,
  { path, findings }: { path: string; findings: Findings },
): void {
  if (port === undefined) {
    findings.invalid(path, 'a port is required');
    return;
  }
  findings.check(`${path}.protocol`, protocolProblem(port.protocol));
  if (port.number || !bind.startsWith(UNIX_SOCKET))
    findings.check(`${path}.number`, portProblem(port.number));
  if (port.targetPort)
    findings.invalid(`${path}.targetPort`, 'targetPort has no effect on Gateways');
  if (!port.name) findings.invalid(`${path}.name`, 'a port name is required');
}

function checkBind(
  port: ServerPortSpec | undefined,
  bind: string,
  { path, findings }: { path: string; findings: Findings },
): void {
  if (!bind.startsWith(UNIX_SOCKET)) {
    if (bind !== '') findings.check(path, addressProblem(bind));
    return;
  }
  findings.check(path, unixSocketProblem(bind));
  if (port?.number) findings.invalid(path, 'a Unix socket has no port number');
}

/** `unix://@name` or `unix:///path/to/file`. */
export function unixSocketProblem(address: string): string | undefined {
  const name = address.slice(UNIX_SOCKET.length);
  const isFile = name.startsWith('/') && !name.endsWith('/');
  return name.startsWith('@') || isFile ? undefined : `${address} is no Unix socket`;
}

/** TLS goes with HTTPS and TLS ports; a plain HTTP port may redirect to HTTPS, and no more. */
function checkTlsFits(
  port: ServerPortSpec | undefined,
  tls: ServerTlsSpec | undefined,
  { path, findings }: { path: string; findings: Findings },
): void {
  const protocol = parsePortProtocol(port?.protocol);
  if (protocol === undefined) return;
  const speaksTls = protocol === 'https' || protocol === 'tls';
  if (speaksTls && tls === undefined)
    findings.invalid(path, `a server for ${port?.protocol} needs TLS settings`);
  else if (!speaksTls && tls !== undefined) {
    const isPlain = !terminatesTls(tls);
    const hasFiles = tls.caCertificates || tls.privateKey || tls.serverCertificate;
    if (protocol !== 'http' || !isPlain || hasFiles)
      findings.invalid(path, `a server for ${port?.protocol} cannot have TLS settings`);
  }
  if (protocol !== 'http' && tls?.httpsRedirect)
    findings.ineffective(`${path}.httpsRedirect`, 'only plain HTTP can be redirected to HTTPS');
}
