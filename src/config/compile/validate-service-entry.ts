/** What is wrong with a ServiceEntry, as Istio's webhook judges it (pkg/config/validation ValidateServiceEntry). */
import type { Findings } from './finding.ts';
import {
  addressProblem,
  domainProblem,
  exportToProblems,
  isDnsLabel,
  labelProblems,
  portProblem,
  subnetProblem,
  wildcardDomainProblem,
} from './names.ts';
import type { ServiceEntrySpec, WorkloadEntrySpec } from './service-entry-kinds.ts';
import { checkEntryPorts, checkWorkloadEntry } from './validate-workload-entry.ts';

/** Istio's words for protocols (pkg/config/protocol), and which of them tell hosts apart. */
const HTTP = new Set(['http', 'http2', 'http_proxy', 'grpc', 'grpc-web']);
const TLS = new Set(['https', 'tls']);
const PROTOCOLS = new Set([...HTTP, ...TLS, 'tcp', 'udp', 'mongo', 'redis', 'mysql']);
const DYNAMIC = new Set(['http', 'http2', 'grpc', 'tls']);

export interface ServiceEntryContext {
  readonly namespace: string;
  readonly findings: Findings;
  readonly labels?: Readonly<Record<string, string>>;
}

export function checkServiceEntry(spec: ServiceEntrySpec, context: ServiceEntryContext): void {
  const { findings, namespace } = context;
  const { hosts = [], addresses = [], resolution = 'NONE' } = spec;
  checkSelector(spec, findings);
  if (hosts.length === 0)
    findings.invalid('spec.hosts', 'a service entry must have at least one host');
  for (const [at, host] of hosts.entries())
    checkHost(host, `spec.hosts[${at}]`, resolution, findings);
  for (const [at, address] of addresses.entries())
    findings.check(`spec.addresses[${at}]`, subnetProblem(address));
  if (
    addresses.some((each) => each.includes('/')) &&
    resolution !== 'NONE' &&
    resolution !== 'STATIC'
  )
    findings.invalid(
      'spec.addresses',
      'CIDR blocks are allowed only for resolution NONE and STATIC',
    );
  checkPorts(spec, findings);
  checkResolution(spec, resolution, context);
  if (resolution !== 'NONE' && hosts.length > 1 && spec.ports?.some((port) => !tellsHosts(port)))
    findings.invalid('spec.ports', 'with several hosts every port must be HTTP or TLS');
  // A service may be seen by nobody but its own proxies.
  const isHidden = spec.exportTo?.length === 1 && spec.exportTo[0] === '~';
  for (const problem of isHidden ? [] : exportToProblems(spec.exportTo, namespace))
    findings.invalid('spec.exportTo', problem);
}

function checkSelector(
  { workloadSelector, endpoints }: ServiceEntrySpec,
  findings: Findings,
): void {
  if (!workloadSelector) return;
  const path = 'spec.workloadSelector.labels';
  const labels = Object.entries(workloadSelector.labels ?? {});
  for (const [key, value] of labels) {
    if (key === '') findings.invalid(path, 'an empty key is not allowed');
    if (key.includes('*') || value.includes('*')) findings.invalid(path, '* is not allowed');
  }
  if (labels.length === 0)
    findings.ineffective(path, 'a selector without labels selects every workload of the namespace');
  if (endpoints)
    findings.invalid('spec.workloadSelector', 'workloadSelector and endpoints exclude each other');
}

function checkHost(host: string, path: string, resolution: string, findings: Findings): void {
  const problem = host === '*' ? 'the host * is not allowed' : wildcardDomainProblem(host);
  findings.check(path, problem);
  if (problem === undefined && resolution !== 'DYNAMIC_DNS' && /^\*[^.]/.test(host))
    findings.ineffective(path, `the partial wildcard ${host} matches nothing`);
}

function checkPorts({ ports = [] }: ServiceEntrySpec, findings: Findings): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  for (const [at, port] of ports.entries()) {
    const path = `spec.ports[${at}]`;
    if (!port) {
      findings.invalid(path, 'a port cannot be null');
      continue;
    }
    const { name = '', number, protocol = '', targetPort } = port;
    if (names.has(name)) findings.invalid(`${path}.name`, `the port name ${name} is given twice`);
    if (numbers.has(number))
      findings.invalid(`${path}.number`, `the port ${number} is given twice`);
    names.add(name);
    numbers.add(number);
    if (targetPort) findings.check(`${path}.targetPort`, portProblem(targetPort));
    if (!isDnsLabel(name))
      findings.invalid(`${path}.name`, `${JSON.stringify(name)} is no name of a port`);
    if (protocol !== '' && !PROTOCOLS.has(protocol.toLowerCase()))
      findings.invalid(`${path}.protocol`, `unknown protocol ${protocol}`);
    findings.check(`${path}.number`, portProblem(number));
  }
}

function tellsHosts(port: { protocol?: string } | null): boolean {
  const protocol = (port?.protocol ?? '').toLowerCase();
  return HTTP.has(protocol) || TLS.has(protocol);
}

function checkResolution(
  spec: ServiceEntrySpec,
  resolution: string,
  { findings, labels }: ServiceEntryContext,
): void {
  const { endpoints = [] } = spec;
  const ports = new Set(spec.ports?.map((port) => port?.name ?? ''));
  switch (resolution) {
    case 'NONE':
      if (endpoints.length > 0)
        findings.invalid(
          'spec.endpoints',
          'resolution NONE goes where the client dialled: no endpoints',
        );
      if (spec.workloadSelector)
        findings.ineffective('spec.workloadSelector', 'resolution NONE selects no workloads');
      return;
    case 'STATIC':
      for (const [at, endpoint] of endpoints.entries())
        checkWorkloadEntry(endpoint, `spec.endpoints[${at}]`, { findings, ports, names: false });
      return;
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      checkNamed(spec, resolution, { findings, ports });
      return;
    case 'DYNAMIC_DNS':
      checkDynamic(spec, labels, findings);
      return;
    default:
      findings.invalid('spec.resolution', `unknown resolution ${resolution}`);
  }
}

function checkNamed(
  { hosts = [], endpoints = [] }: ServiceEntrySpec,
  resolution: string,
  { findings, ports }: { findings: Findings; ports: ReadonlySet<string> },
): void {
  if (endpoints.length === 0)
    for (const [at, host] of hosts.entries())
      findings.check(
        `spec.hosts[${at}]`,
        domainProblem(host) &&
          `without endpoints ${resolution} looks ${host} up: it must be a full name`,
      );
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1)
    findings.invalid('spec.endpoints', 'DNS_ROUND_ROBIN takes one endpoint at most');
  for (const [at, endpoint] of endpoints.entries())
    checkNamedEndpoint(endpoint, `spec.endpoints[${at}]`, { findings, ports });
}

function checkNamedEndpoint(
  endpoint: WorkloadEntrySpec | null,
  path: string,
  { findings, ports }: { findings: Findings; ports: ReadonlySet<string> },
): void {
  if (!endpoint) {
    findings.invalid(path, 'an endpoint cannot be null');
    return;
  }
  const { address = '' } = endpoint;
  if (addressProblem(address) !== undefined) {
    const problem = domainProblem(address);
    findings.check(
      `${path}.address`,
      problem && `${JSON.stringify(address)} is neither a full name nor an IP address`,
    );
  }
  for (const problem of labelProblems(endpoint.labels)) findings.invalid(`${path}.labels`, problem);
  checkEntryPorts(endpoint, path, { findings, ports });
}

function checkDynamic(
  spec: ServiceEntrySpec,
  labels: Readonly<Record<string, string>> | undefined,
  findings: Findings,
): void {
  for (const [at, host] of (spec.hosts ?? []).entries())
    if (!host.startsWith('*'))
      findings.invalid(`spec.hosts[${at}]`, 'DYNAMIC_DNS is for wildcard hosts only');
  if (spec.addresses?.length)
    findings.invalid('spec.addresses', 'DYNAMIC_DNS finds the host in the traffic: no addresses');
  if (spec.endpoints?.length)
    findings.invalid('spec.endpoints', 'DYNAMIC_DNS finds the host in the traffic: no endpoints');
  for (const [at, port] of (spec.ports ?? []).entries())
    if (!DYNAMIC.has((port?.protocol ?? '').toLowerCase()))
      findings.invalid(
        `spec.ports[${at}].protocol`,
        'DYNAMIC_DNS takes HTTP, HTTP2, GRPC and TLS only',
      );
  const { location = 'MESH_EXTERNAL' } = spec;
  const waypoint = labels?.['istio.io/use-waypoint'];
  if (location === 'MESH_INTERNAL' && waypoint && waypoint.toLowerCase() !== 'none')
    findings.invalid('spec.location', 'a waypoint serves DYNAMIC_DNS only for MESH_EXTERNAL');
}
