/** What is wrong with a VirtualService, as Istio's webhook judges it (pkg/config/validation ValidateVirtualService). */
import { parseIp } from '#base/ip.ts';
import type { Findings } from './finding.ts';
import { fullGatewayName, MESH_GATEWAY } from './full-names.ts';
import { claimPath } from './header-names.ts';
import { coversHost } from './hosts.ts';
import { exportToProblems, gatewayNameProblem, hostProblem, subnetProblem } from './names.ts';
import { findShadowed, findUnreachable } from './unreachable-rules.ts';
import { checkDestinations } from './validate-destinations.ts';
import { checkHttpRule, checkSource } from './validate-http-rule.ts';
import type {
  HttpRouteSpec,
  TcpMatchSpec,
  TcpRouteSpec,
  TlsMatchSpec,
  TlsRouteSpec,
  VirtualServiceSpec,
} from './virtual-service-kinds.ts';

export function checkVirtualService(
  spec: VirtualServiceSpec,
  namespace: string,
  findings: Findings,
): void {
  const { http = [], tls = [], tcp = [], gateways = [] } = spec;
  const hosts = spec.hosts ?? [];
  const isDelegate = hosts.length === 0;
  // As Istio: bound to gateways only; a mix with the mesh is judged as mesh.
  const forGateways = gateways.length > 0 && !gateways.includes(MESH_GATEWAY);
  if (isDelegate)
    for (const field of ['gateways', 'tls', 'tcp'] as const)
      if (spec[field]?.length)
        findings.invalid(
          `spec.${field}`,
          `a VirtualService without hosts is a delegate, and has no ${field}`,
        );
  for (const [at, name] of gateways.entries()) {
    findings.check(`spec.gateways[${at}]`, gatewayNameProblem(name));
    if (!name.includes('/') && name.includes('.'))
      findings.deprecated(`spec.gateways[${at}]`, fullGatewayName(name, namespace));
  }
  checkHosts(hosts, { forGateways, tls }, findings);
  if (http.length + tls.length + tcp.length === 0)
    findings.invalid('spec', 'one of http, tls and tcp is required');
  for (const [at, rule] of http.entries()) {
    const path = `spec.http[${at}]`;
    if (!rule) findings.invalid(path, 'a rule cannot be null');
    else {
      checkHttpRule(rule, path, { findings, isDelegate });
      if (!forGateways) checkNoClaims(rule, path, findings);
    }
  }
  for (const [at, rule] of tls.entries())
    checkTlsRule(rule, `spec.tls[${at}]`, { hosts, forGateways, findings });
  for (const [at, rule] of tcp.entries()) checkTcpRule(rule, `spec.tcp[${at}]`, findings);
  for (const kind of ['http', 'tls', 'tcp'] as const)
    findUnreachable(spec[kind] ?? [], `spec.${kind}`, findings);
  findShadowed(http, findings);
  for (const problem of exportToProblems(spec.exportTo, namespace))
    findings.invalid('spec.exportTo', problem);
}

function checkHosts(
  hosts: readonly string[],
  { forGateways, tls }: { forGateways: boolean; tls: readonly TlsRouteSpec[] },
  findings: Findings,
): void {
  const bySni =
    forGateways && tls.some(({ match }) => match?.some((each) => each.sniHosts?.length));
  let failed = false;
  for (const [at, host] of hosts.entries()) {
    const problem =
      !forGateways && host === '*'
        ? 'the host * is allowed only with gateways'
        : sniProblem(host, bySni === true);
    findings.check(`spec.hosts[${at}]`, problem);
    failed ||= problem !== undefined;
  }
  if (failed) return;
  for (const [at, host] of hosts.entries())
    for (const other of hosts.slice(at + 1))
      if (coversHost(host, other) || coversHost(other, host))
        findings.invalid(`spec.hosts[${at}]`, `${host} and ${other} overlap`);
}

/** Istio's own names of clusters (`outbound_.80_._.host`) are SNI between gateways. */
function sniProblem(host: string, generated: boolean): string | undefined {
  if (!generated || !host.startsWith('outbound_')) return hostProblem(host);
  const [direction, port, , name, ...rest] = host.split('_');
  const isWhole =
    direction === 'outbound' &&
    /\d/.test(port ?? '') &&
    /[a-zA-Z]/.test(name ?? '') &&
    rest.length === 0;
  return isWhole ? undefined : `${host} is not of the form outbound_.<PORT>_._.<HOSTNAME>`;
}

/** Claims are known where tokens are verified before routing: at gateways. */
function checkNoClaims(rule: HttpRouteSpec, path: string, findings: Findings): void {
  for (const [at, match] of (rule.match ?? []).entries())
    for (const field of ['headers', 'withoutHeaders'] as const)
      for (const name of Object.keys(match?.[field] ?? {}))
        if (claimPath(name) !== undefined)
          findings.invalid(
            `${path}.match[${at}].${field}[${name}]`,
            'routing by claims of a token is for gateways only',
          );
}

function checkTlsRule(
  rule: TlsRouteSpec | null,
  path: string,
  context: { hosts: readonly string[]; forGateways: boolean; findings: Findings },
): void {
  const { findings } = context;
  if (!rule) return;
  if (!rule.match?.length) findings.invalid(`${path}.match`, 'a TLS rule needs a match');
  for (const [at, match] of (rule.match ?? []).entries()) {
    if (match) checkTlsMatch(match, `${path}.match[${at}]`, context);
    else findings.invalid(`${path}.match[${at}]`, 'a match cannot be null');
  }
  if (!rule.route?.length) findings.invalid(`${path}.route`, 'a rule needs a destination');
  checkDestinations(rule.route, `${path}.route`, findings);
}

function checkTlsMatch(
  match: TlsMatchSpec,
  path: string,
  {
    hosts,
    forGateways,
    findings,
  }: { hosts: readonly string[]; forGateways: boolean; findings: Findings },
): void {
  if (!match.sniHosts?.length) findings.invalid(`${path}.sniHosts`, 'an SNI host is required');
  for (const [at, sni] of (match.sniHosts ?? []).entries()) {
    const here = `${path}.sniHosts[${at}]`;
    if (parseIp(sni) !== undefined) {
      // RFC 6066 §3: an SNI is a name. As Istio: said, not refused.
      const message = `clients do not send an address such as ${sni} as SNI`;
      findings.ineffective(here, message, { hint: 'name hosts' });
      continue;
    }
    const problem = sniProblem(sni, forGateways);
    findings.check(here, problem);
    const isCovered = hosts.some((host) => coversHost(host, sni));
    if (problem === undefined && !isCovered)
      findings.invalid(here, `${sni} is covered by none of the hosts ${hosts.join(', ')}`);
  }
  checkL4Match(match, path, findings);
}

function checkTcpRule(rule: TcpRouteSpec | null, path: string, findings: Findings): void {
  if (!rule) return;
  for (const [at, match] of (rule.match ?? []).entries()) {
    const here = `${path}.match[${at}]`;
    if (!match) findings.invalid(here, 'a match cannot be null');
    else {
      checkL4Match(match, here, findings);
      if (match.sourceSubnet)
        findings.check(`${here}.sourceSubnet`, subnetProblem(match.sourceSubnet));
    }
  }
  if (!rule.route?.length) findings.invalid(`${path}.route`, 'a rule needs a destination');
  checkDestinations(rule.route, `${path}.route`, findings);
}

function checkL4Match(match: TlsMatchSpec | TcpMatchSpec, path: string, findings: Findings): void {
  for (const [at, subnet] of (match.destinationSubnets ?? []).entries())
    findings.check(`${path}.destinationSubnets[${at}]`, subnetProblem(subnet));
  checkSource(match, path, findings);
}
