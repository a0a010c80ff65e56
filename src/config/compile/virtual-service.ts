/**
 * A VirtualService on its own: checked, defaults filled in, short names made full. What it names is looked up later
 * (bind-route.ts), because services, subsets and delegates come and go without it.
 */
import type { MergedRule } from './delegate.ts';
import { mergeRule } from './delegate.ts';
import type { Compiled, Finding } from './finding.ts';
import { Findings } from './finding.ts';
import { fullGatewayName, fullHttpRule, fullL4Rule, MESH_GATEWAY } from './full-names.ts';
import { hostSpecificity, isExportedTo, resolveHost } from './hosts.ts';
import type { PendingRoute } from './http-route.ts';
import { compileHttpRule } from './http-route.ts';
import type { ObjectIdentity } from './istio-kinds.ts';
import { byAge, identityOf } from './istio-kinds.ts';
import type { PendingL4Route } from './l4-route.ts';
import { compileL4Rule } from './l4-route.ts';
import { readShape } from './shape.ts';
import { checkVirtualService } from './validate-virtual-service.ts';
import type {
  HttpRouteSpec,
  VirtualServiceObject,
  VirtualServiceSpec,
} from './virtual-service-kinds.ts';
import { VIRTUAL_SERVICE } from './virtual-service-shape.ts';

export interface CompiledVirtualService extends ObjectIdentity {
  /** Empty: a delegate, which acts only through its roots. */
  readonly hosts: readonly string[];
  readonly exportTo: readonly string[];
  /** `mesh`, or `namespace/name` of Istio Gateways. */
  readonly gateways: readonly string[];
  /** Of a root: without the rules that delegate, until `mergeDelegates` puts the delegates' in their place. */
  readonly http: readonly PendingRoute[];
  readonly tls: readonly PendingL4Route[];
  readonly tcp: readonly PendingL4Route[];
  /** Its `http` rules with full names, where they are needed again: of a delegate, and of a root that delegates. */
  readonly rules: readonly HttpRouteSpec[];
}

export function compileVirtualService(
  object: VirtualServiceObject,
  /** DNS suffix of services, `cluster.local`. */
  options: { readonly domain: string },
): Compiled<CompiledVirtualService> {
  const identity = identityOf(object);
  const findings = new Findings('VirtualService', identity);
  const spec = (readShape(object.spec ?? {}, VIRTUAL_SERVICE, 'spec', findings) ??
    {}) as VirtualServiceSpec;
  if (!findings.failed) checkVirtualService(spec, identity.namespace, findings);
  if (findings.failed) return { value: undefined, findings: findings.list };
  const scope = { namespace: identity.namespace, domain: options.domain };
  const hosts = (spec.hosts ?? []).map((host) => resolveHost(host, scope));
  const rules = (spec.http ?? []).map((rule) => fullHttpRule(rule, scope));
  const isDelegate = hosts.length === 0;
  const delegates = rules.some(({ delegate }) => delegate !== undefined);
  const http = isDelegate ? [] : compileRules(rules, findings);
  const value: CompiledVirtualService = {
    ...identity,
    hosts,
    exportTo: spec.exportTo ?? [],
    gateways: spec.gateways?.length
      ? spec.gateways.map((name) => fullGatewayName(name, identity.namespace))
      : [MESH_GATEWAY],
    http,
    tls: (spec.tls ?? []).map((rule, at) => compileL4Rule(fullL4Rule(rule, scope), 'tls', at)),
    tcp: (spec.tcp ?? []).map((rule, at) => compileL4Rule(fullL4Rule(rule, scope), 'tcp', at)),
    rules: isDelegate || delegates ? rules : [],
  };
  return { value: findings.failed ? undefined : value, findings: findings.list };
}

/** meshConfig.defaultVirtualServiceExportTo, for those that say nothing themselves; without it everybody sees them. */
export function withDefaultExport(
  virtualService: CompiledVirtualService,
  defaultExportTo: readonly string[] | undefined,
): CompiledVirtualService {
  return virtualService.exportTo.length > 0 || defaultExportTo === undefined
    ? virtualService
    : { ...virtualService, exportTo: defaultExportTo };
}

function compileRules(rules: readonly HttpRouteSpec[], findings: Findings): PendingRoute[] {
  return rules.flatMap((rule, index) =>
    rule.delegate === undefined
      ? [compileHttpRule(rule, { index, path: `spec.http[${index}]`, rule: index }, findings)]
      : [],
  );
}

/**
 * The root with its delegates' rules in the place of those that delegate; any other VirtualService as it is. What a
 * root cannot delegate to is left out, with a finding: its requests go on to the next rule, as with Istio.
 */
export function mergeDelegates(
  root: CompiledVirtualService,
  find: (key: string) => CompiledVirtualService | undefined,
): { readonly value: CompiledVirtualService; readonly findings: readonly Finding[] } {
  if (root.hosts.length === 0 || root.rules.length === 0) return { value: root, findings: [] };
  const findings = new Findings('VirtualService', root);
  // The findings of the root's own rules were made when it was compiled.
  const said = new Findings('VirtualService', root);
  const http = root.rules.flatMap((rule, index) => {
    const path = `spec.http[${index}]`;
    if (rule.delegate === undefined)
      return [compileHttpRule(rule, { index, path, rule: index }, said)];
    const key = `${rule.delegate.namespace}/${rule.delegate.name}`;
    const leaf = find(key);
    const problem = delegateProblem(leaf, key, root);
    if (leaf === undefined || problem !== undefined) {
      const message = `${problem ?? key}: the rule takes no requests`;
      findings.missing(`${path}.delegate`, message, `create VirtualService ${key} without hosts`);
      return [];
    }
    return leaf.rules.flatMap((own, at) => {
      const merged: MergedRule = mergeRule(rule, own);
      const place = { index, path, rule: `${index}: ${key} ${at}` };
      if ('rule' in merged) return [compileHttpRule(merged.rule, place, findings)];
      findings.conflict(
        `${path}.delegate`,
        `rule ${own.name || at} of VirtualService ${key} is dropped: ${merged.conflict}`,
        'make its match at least as narrow as the match of the root',
      );
      return [];
    });
  });
  return { value: { ...root, http }, findings: findings.list };
}

function delegateProblem(
  leaf: CompiledVirtualService | undefined,
  key: string,
  root: ObjectIdentity,
): string | undefined {
  if (leaf === undefined) return `VirtualService ${key} does not exist`;
  if (leaf.hosts.length > 0) return `VirtualService ${key} has hosts, so it is no delegate`;
  return isExportedTo(leaf, root.namespace)
    ? undefined
    : `VirtualService ${key} is not exported to namespace ${root.namespace}`;
}

/** Objects compiled together, delegates merged; what has errors is left out. For answers from files alone. */
export function compileVirtualServices(
  objects: Iterable<VirtualServiceObject>,
  options: { readonly domain: string; readonly defaultExportTo?: readonly string[] },
): { readonly virtualServices: CompiledVirtualService[]; readonly findings: Finding[] } {
  const findings: Finding[] = [];
  const compiled = new Map<string, CompiledVirtualService>();
  for (const object of objects) {
    const { value, findings: own } = compileVirtualService(object, options);
    findings.push(...own);
    if (value !== undefined)
      compiled.set(
        `${value.namespace}/${value.name}`,
        withDefaultExport(value, options.defaultExportTo),
      );
  }
  const virtualServices = [...compiled.values()].map((root) => {
    const { value, findings: own } = mergeDelegates(root, (key) => compiled.get(key));
    findings.push(...own);
    return value;
  });
  return { virtualServices, findings };
}

/**
 * What keeps rules for traffic between workloads from being enforced at all: no service of the name, or none that a waypoint
 * serves. Wildcards are not looked up.
 */
export function unservedHosts(
  virtualService: CompiledVirtualService,
  servicesOf: (
    host: string,
  ) => readonly { readonly hasWaypoint: boolean; readonly namespace: string }[],
): readonly Finding[] {
  if (!virtualService.gateways.includes(MESH_GATEWAY)) return [];
  const findings = new Findings('VirtualService', virtualService);
  for (const [at, host] of virtualService.hosts.entries()) {
    if (host.startsWith('*')) continue;
    const path = `spec.hosts[${at}]`;
    const services = servicesOf(host);
    const [first] = services;
    if (first === undefined)
      findings.ineffective(path, `no service is called ${host}: nothing in the mesh routes to it`, {
        hint: `create the service, or a ServiceEntry for ${host}`,
      });
    else if (services.every(({ hasWaypoint }) => !hasWaypoint))
      findings.ineffective(path, `${host} has no waypoint, which alone enforces the rules`, {
        hint: `tulle waypoint apply -n ${first.namespace}`,
      });
  }
  return findings.list;
}

/** How a VirtualService became visible in a namespace, which is what Istio orders them by before their age. */
function visibilityRank(candidate: CompiledVirtualService, namespace: string): number {
  const { exportTo } = candidate;
  if (exportTo.length === 0 || exportTo.includes('*')) return 2;
  return candidate.namespace === namespace ? 0 : 1;
}

/** As a namespace sees them: private ones first, then those exported to it, then public ones, each by age. */
export function inForceOrder(
  namespace: string,
): (left: CompiledVirtualService, right: CompiledVirtualService) => number {
  return (left, right) =>
    visibilityRank(left, namespace) - visibilityRank(right, namespace) || byAge(left, right);
}

/** In the order in which they are in force. */
export function visibleVirtualServices(
  candidates: Iterable<CompiledVirtualService>,
  proxy: { readonly namespace: string; readonly gateways: readonly string[] },
): CompiledVirtualService[] {
  return [...candidates]
    .filter(
      (each) =>
        each.hosts.length > 0 &&
        each.gateways.some((name) => proxy.gateways.includes(name)) &&
        isExportedTo(each, proxy.namespace),
    )
    .sort(inForceOrder(proxy.namespace));
}

/**
 * The one VirtualService in force for a service host: most specific host, then the first of those visible. `others`
 * claim a host just as specific and are not in force.
 */
export function selectVirtualService(
  hostname: string,
  visible: Iterable<CompiledVirtualService>,
): { selected: CompiledVirtualService | undefined; others: readonly CompiledVirtualService[] } {
  let best = -1;
  let claims: CompiledVirtualService[] = [];
  for (const candidate of visible) {
    let specificity = -1;
    for (const host of candidate.hosts)
      specificity = Math.max(specificity, hostSpecificity(host, hostname) ?? -1);
    if (specificity === -1 || specificity < best) continue;
    if (specificity > best) claims = [];
    best = specificity;
    claims.push(candidate);
  }
  const [selected, ...others] = claims;
  return { selected, others };
}
