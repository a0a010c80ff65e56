/**
 * A VirtualService on its own: checked, defaults filled in, short names resolved. What it names is looked up later
 * (route-table.ts), because services and subsets come and go without it.
 */
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';
import { hostSpecificity, isExportedTo, resolveHost } from './hosts.ts';
import type { PendingRoute } from './http-route.ts';
import { compileHttpRoute } from './http-route.ts';
import type { ObjectIdentity, VirtualServiceObject } from './istio-kinds.ts';
import { byAge, identityOf } from './istio-kinds.ts';

export interface CompiledVirtualService extends ObjectIdentity {
  readonly hosts: readonly string[];
  readonly exportTo: readonly string[];
  /** Whether it is for traffic between workloads, not only for gateways. */
  readonly mesh: boolean;
  readonly http: readonly PendingRoute[];
}

export interface Compiled<T> {
  /** Undefined when there is an error among the findings. */
  readonly value: T | undefined;
  readonly findings: readonly Finding[];
}

export function compileVirtualService(
  object: VirtualServiceObject,
  options: { domain: string },
): Compiled<CompiledVirtualService> {
  const identity = identityOf(object);
  const findings = new Findings('VirtualService', identity);
  const spec = object.spec ?? {};
  const scope = { namespace: identity.namespace, domain: options.domain };
  const mesh = !spec.gateways?.length || spec.gateways.includes('mesh');
  // A VirtualService without hosts is a delegate: it acts only through its root.
  const hosts = (spec.hosts ?? []).map((host) => resolveHost(host, scope));
  if (mesh && spec.gateways === undefined && hosts.includes('*'))
    findings.invalid('spec.hosts', 'the host * is allowed only with gateways');
  for (const field of ['tcp', 'tls'] as const)
    if (spec[field]?.length)
      findings.ineffective(`spec.${field}`, `${field} routes are not enforced by this version`);
  const http = (spec.http ?? []).map((route, index) =>
    compileHttpRoute(route, index, { ...scope, findings }),
  );
  const value = { ...identity, hosts, exportTo: spec.exportTo ?? [], mesh, http };
  return { value: findings.failed ? undefined : value, findings: findings.list };
}

/**
 * The one VirtualService in force for a service host: most specific host, then the oldest. `others` claim a host
 * just as specific and are not in force.
 */
export function selectVirtualService(
  service: { hostname: string; namespace: string },
  candidates: Iterable<CompiledVirtualService>,
): { selected: CompiledVirtualService | undefined; others: readonly CompiledVirtualService[] } {
  let best = -1;
  let claims: CompiledVirtualService[] = [];
  for (const candidate of candidates) {
    if (!candidate.mesh || !isExportedTo(candidate, service.namespace)) continue;
    let specificity = -1;
    for (const host of candidate.hosts)
      specificity = Math.max(specificity, hostSpecificity(host, service.hostname) ?? -1);
    if (specificity === -1 || specificity < best) continue;
    if (specificity > best) claims = [];
    best = specificity;
    claims.push(candidate);
  }
  const [selected, ...others] = claims.sort(byAge);
  return { selected, others };
}
