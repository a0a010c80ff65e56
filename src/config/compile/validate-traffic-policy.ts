/** What is wrong with a traffic policy (Istio: pkg/config/validation validateTrafficPolicy and what it calls, agent.ValidateTLS). */
import { parseIp } from '#base/ip.ts';
import type {
  ClientTlsSpec,
  ConnectionPoolSpec,
  HttpPoolSpec,
  OutlierSpec,
  PortPolicySpec,
  TcpPoolSpec,
  TrafficPolicySpec,
  TunnelSpec,
} from './destination-rule-kinds.ts';
import type { Findings } from './finding.ts';
import { domainProblem, portProblem } from './names.ts';
import { checkedDuration, parseDouble, parseDurationMs } from './scalars.ts';
import { checkLoadBalancer } from './validate-load-balancer.ts';

const FIELDS = [
  'outlierDetection',
  'connectionPool',
  'loadBalancer',
  'tls',
  'portLevelSettings',
  'tunnel',
  'proxyProtocol',
  'retryBudget',
] as const;
const CONFIG_MAP = 'configmap://';

export interface PolicyScope {
  readonly findings: Findings;
  /** Of the object. */
  readonly namespace: string;
}

export function checkTrafficPolicy(
  spec: TrafficPolicySpec | undefined,
  path: string,
  scope: PolicyScope,
): void {
  const { findings } = scope;
  if (!spec) return;
  if (FIELDS.every((name) => !spec[name])) {
    findings.invalid(path, 'a traffic policy must have at least one field');
    return;
  }
  if (spec.tunnel && spec.proxyProtocol)
    findings.invalid(path, 'tunnel and proxyProtocol exclude each other');
  checkBlocks(spec, path, scope);
  for (const [at, settings] of (spec.portLevelSettings ?? []).entries()) {
    const here = `${path}.portLevelSettings[${at}]`;
    if (!settings) findings.invalid(here, 'settings of a port cannot be null');
    else checkPortPolicy(settings, here, scope);
  }
  if (spec.tunnel) checkTunnel(spec.tunnel, `${path}.tunnel`, findings);
  const { version = 'V1' } = spec.proxyProtocol ?? {};
  if (version !== 'V1' && version !== 'V2')
    findings.invalid(`${path}.proxyProtocol.version`, `${version} is neither V1 nor V2`);
  const percent = parseDouble(spec.retryBudget?.percent?.value);
  if (percent !== undefined && !(percent >= 0 && percent <= 100))
    findings.invalid(`${path}.retryBudget.percent`, `${percent} is not within 0 to 100`);
}

function checkPortPolicy(spec: PortPolicySpec, path: string, scope: PolicyScope): void {
  const { findings } = scope;
  if (spec.port?.number === undefined)
    findings.invalid(`${path}.port.number`, 'a port number is required');
  if (!spec.outlierDetection && !spec.connectionPool && !spec.loadBalancer && !spec.tls)
    findings.invalid(path, 'the settings of a port must have at least one field');
  checkBlocks(spec, path, scope);
}

function checkBlocks(spec: PortPolicySpec, path: string, scope: PolicyScope): void {
  const { findings } = scope;
  checkOutlier(spec.outlierDetection, `${path}.outlierDetection`, findings);
  checkPool(spec.connectionPool, `${path}.connectionPool`, findings);
  const hasOutlier = Boolean(spec.outlierDetection);
  checkLoadBalancer(spec.loadBalancer, `${path}.loadBalancer`, { findings, hasOutlier });
  if (spec.tls) checkTls(spec.tls, `${path}.tls`, scope);
}

function checkOutlier(spec: OutlierSpec | undefined, path: string, findings: Findings): void {
  if (!spec) return;
  checkedDuration(spec.baseEjectionTime, `${path}.baseEjectionTime`, findings);
  checkedDuration(spec.interval, `${path}.interval`, findings);
  if (spec.consecutiveErrors)
    findings.deprecated(
      `${path}.consecutiveErrors`,
      'consecutiveGatewayErrors or consecutive5xxErrors',
    );
  if (!spec.splitExternalLocalOriginErrors && (spec.consecutiveLocalOriginFailures ?? 0) > 0)
    findings.invalid(
      `${path}.consecutiveLocalOriginFailures`,
      'consecutiveLocalOriginFailures counts only with splitExternalLocalOriginErrors: true',
    );
  for (const name of ['maxEjectionPercent', 'minHealthPercent'] as const) {
    const value = spec[name] ?? 0;
    if (!(value >= 0 && value <= 100))
      findings.invalid(`${path}.${name}`, `${value} is not within 0 to 100`);
  }
}

export function checkPool(
  spec: ConnectionPoolSpec | undefined,
  path: string,
  findings: Findings,
): void {
  if (!spec) return;
  if (!spec.http && !spec.tcp)
    findings.invalid(path, 'a connection pool must have at least one of http and tcp');
  if (spec.http) checkHttpPool(spec.http, `${path}.http`, findings);
  if (spec.tcp) checkTcpPool(spec.tcp, `${path}.tcp`, findings);
}

function checkHttpPool(spec: HttpPoolSpec, path: string, findings: Findings): void {
  for (const name of [
    'http1MaxPendingRequests',
    'http2MaxRequests',
    'maxRequestsPerConnection',
    'maxRetries',
    'maxConcurrentStreams',
  ] as const)
    checkCount(spec[name], `${path}.${name}`, findings);
  checkedDuration(spec.idleTimeout, `${path}.idleTimeout`, findings);
  if (spec.h2UpgradePolicy === 'UPGRADE' && spec.useClientProtocol)
    findings.invalid(
      `${path}.useClientProtocol`,
      'useClientProtocol and h2UpgradePolicy UPGRADE exclude each other',
    );
  const keepAlive = spec.http2KeepAlive;
  if (!keepAlive) return;
  for (const name of ['interval', 'timeout'] as const) {
    const here = `${path}.http2KeepAlive.${name}`;
    if (!keepAlive[name]) findings.invalid(here, `${name} is required`);
    else checkedDuration(keepAlive[name], here, findings);
  }
}

function checkTcpPool(spec: TcpPoolSpec, path: string, findings: Findings): void {
  checkCount(spec.maxConnections, `${path}.maxConnections`, findings);
  checkedDuration(spec.connectTimeout, `${path}.connectTimeout`, findings);
  checkedDuration(spec.maxConnectionDuration, `${path}.maxConnectionDuration`, findings);
  // 0s turns the timeout off.
  if (spec.idleTimeout && parseDurationMs(spec.idleTimeout) !== 0)
    checkedDuration(spec.idleTimeout, `${path}.idleTimeout`, findings);
  checkedDuration(spec.tcpKeepalive?.time, `${path}.tcpKeepalive.time`, findings);
  checkedDuration(spec.tcpKeepalive?.interval, `${path}.tcpKeepalive.interval`, findings);
}

function checkCount(value: number | undefined, path: string, findings: Findings): void {
  if (value !== undefined && value < 0) findings.invalid(path, `${value} is negative`);
}

function checkTls(spec: ClientTlsSpec, path: string, { findings, namespace }: PolicyScope): void {
  const { mode = 'DISABLE', credentialName } = spec;
  const originates = mode === 'SIMPLE' || mode === 'MUTUAL';
  if (credentialName?.startsWith(CONFIG_MAP)) {
    const owner = credentialName.slice(CONFIG_MAP.length).split('/');
    if (owner.length !== 2 || owner[0] !== namespace || owner[1] === '')
      findings.invalid(
        `${path}.credentialName`,
        `a ${CONFIG_MAP} credential must be ${CONFIG_MAP}${namespace}/NAME`,
      );
  }
  if (spec.insecureSkipVerify && originates) {
    // What a mutual credentialName holds of roots cannot be told apart.
    const isChecked =
      spec.caCertificates || spec.subjectAltNames || (mode === 'SIMPLE' && credentialName);
    if (isChecked)
      findings.invalid(
        `${path}.insecureSkipVerify`,
        'insecureSkipVerify excludes caCertificates, credentialName and subjectAltNames',
      );
  }
  if (originates && credentialName) {
    if (spec.clientCertificate || spec.caCertificates || spec.privateKey || spec.caCrl)
      findings.invalid(`${path}.credentialName`, 'credentialName and files exclude each other');
    return;
  }
  if (mode !== 'MUTUAL') return;
  for (const name of ['clientCertificate', 'privateKey'] as const)
    if (!spec[name]) findings.invalid(`${path}.${name}`, `${name} is required for MUTUAL`);
}

function checkTunnel(spec: TunnelSpec, path: string, findings: Findings): void {
  const { protocol = '', targetHost = '' } = spec;
  if (protocol !== '' && protocol !== 'CONNECT' && protocol !== 'POST')
    findings.invalid(`${path}.protocol`, `${protocol} is neither CONNECT nor POST`);
  if (parseIp(targetHost) === undefined)
    findings.check(`${path}.targetHost`, domainProblem(targetHost));
  findings.check(`${path}.targetPort`, portProblem(spec.targetPort));
}
