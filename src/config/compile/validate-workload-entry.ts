/** What is wrong with a WorkloadEntry or WorkloadGroup (Istio: pkg/config/validation ValidateWorkloadEntry, ValidateWorkloadGroup). */
import type { Findings } from './finding.ts';
import { addressProblem, domainProblem, isDnsLabel, labelProblems, portProblem } from './names.ts';
import type { ProbeSpec, WorkloadEntrySpec, WorkloadGroupSpec } from './service-entry-kinds.ts';

const UNIX = 'unix://';
const HEADER_NAME = /^[-A-Za-z0-9]+$/;

export interface EntryScope {
  readonly findings: Findings;
  /** Names of the service's ports, where a service is known. */
  readonly ports?: ReadonlySet<string>;
  /** The address may be a host name. */
  readonly names: boolean;
}

export function checkWorkloadEntry(
  spec: WorkloadEntrySpec | null,
  path: string,
  scope: EntryScope,
): void {
  const { findings, ports } = scope;
  if (!spec) {
    findings.invalid(path, 'an endpoint cannot be null');
    return;
  }
  const { address = '', network } = spec;
  if (address === '' && !network) {
    findings.invalid(`${path}.address`, 'an address is required');
    return;
  }
  if (address.startsWith(UNIX)) checkSocket(spec, path, scope);
  else if (address !== '' && addressProblem(address) !== undefined) {
    const isName = scope.names && domainProblem(address) === undefined;
    if (!isName)
      findings.invalid(
        `${path}.address`,
        `${JSON.stringify(address)} is ${scope.names ? 'neither a full name nor' : 'not'} an IP address`,
      );
  }
  checkEntryPorts(spec, path, { findings, ports });
  for (const problem of labelProblems(spec.labels)) findings.invalid(`${path}.labels`, problem);
}

function checkSocket(
  { address = '', ports = {} }: WorkloadEntrySpec,
  path: string,
  scope: EntryScope,
): void {
  const { findings } = scope;
  const file = address.slice(UNIX.length);
  // An abstract socket's name begins with @.
  if (!file.startsWith('@') && (!file.startsWith('/') || file.endsWith('/')))
    findings.invalid(`${path}.address`, `${JSON.stringify(file)} is no absolute path to a file`);
  if (Object.keys(ports).length > 0)
    findings.invalid(`${path}.ports`, 'a Unix socket has no ports');
  if (scope.ports !== undefined && scope.ports.size !== 1)
    findings.invalid(`${path}.address`, 'a Unix socket serves exactly one port');
  // As in Istio's ambient mode: a workload is found by its address on a network.
  const message = `the endpoint ${address} is left out: a Unix socket is on no network`;
  const hint = 'let it listen on an IP address, and give that';
  findings.ineffective(`${path}.address`, message, { hint });
}

export function checkEntryPorts(
  spec: WorkloadEntrySpec,
  path: string,
  { findings, ports }: { findings: Findings; ports?: ReadonlySet<string> | undefined },
): void {
  for (const [name, port] of Object.entries(spec.ports ?? {})) {
    const here = `${path}.ports.${name}`;
    if (ports !== undefined && !ports.has(name))
      findings.invalid(here, `the service entry defines no port ${name}`);
    if (!isDnsLabel(name)) findings.invalid(here, `${JSON.stringify(name)} is no name of a port`);
    findings.check(here, portProblem(port));
  }
}

export function checkWorkloadGroup(spec: WorkloadGroupSpec, findings: Findings): void {
  if (!spec.template) findings.invalid('spec.template', 'a template is required');
  for (const problem of labelProblems(spec.metadata?.labels))
    findings.invalid('spec.metadata.labels', problem);
  if (spec.probe) checkProbe(spec.probe, 'spec.probe', findings);
}

function checkProbe(spec: ProbeSpec, path: string, findings: Findings): void {
  for (const name of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const)
    if ((spec[name] ?? 0) < 0) findings.invalid(`${path}.${name}`, `${spec[name]} is negative`);
  const { httpGet, tcpSocket, exec, grpc } = spec;
  if (httpGet) {
    findings.check(`${path}.httpGet.port`, portProblem(httpGet.port));
    if (httpGet.scheme && httpGet.scheme !== 'HTTP' && httpGet.scheme !== 'HTTPS')
      findings.invalid(`${path}.httpGet.scheme`, `${httpGet.scheme} is neither HTTP nor HTTPS`);
    for (const [at, header] of (httpGet.httpHeaders ?? []).entries())
      if (!HEADER_NAME.test(header?.name ?? ''))
        findings.invalid(`${path}.httpGet.httpHeaders[${at}].name`, 'no name of a header');
  } else if (tcpSocket) findings.check(`${path}.tcpSocket.port`, portProblem(tcpSocket.port));
  else if (exec) {
    if (!exec.command?.length) findings.invalid(`${path}.exec.command`, 'a command is required');
  } else if (grpc) findings.check(`${path}.grpc.port`, portProblem(grpc.port));
  else findings.invalid(path, 'one of httpGet, tcpSocket, exec and grpc is required');
}
