/**
 * DestinationRules: each checked on its own, then those in force for a service merged into policies for the whole
 * destination, each subset and each port (Istio: PushContext.destinationRule, mergeDestinationRule, MergeSubsetTrafficPolicy).
 */
import type { Provenance, Subset, TrafficPolicy } from '#model/route/route-table.ts';
import type { LoadBalancing, Service } from '#model/service/service.ts';
import type { DestinationRuleObject, DestinationRuleSpec } from './destination-rule-kinds.ts';
import { DESTINATION_RULE } from './destination-rule-shape.ts';
import type { Compiled } from './finding.ts';
import { Findings } from './finding.ts';
import { hostSpecificity, isExportedTo, resolveHost } from './hosts.ts';
import type { ObjectIdentity } from './istio-kinds.ts';
import { byAge, identityOf } from './istio-kinds.ts';
import {
  compileLeveled,
  fillPolicy,
  given,
  type LeveledPolicy,
  type MeshDefaults,
  NO_MESH_DEFAULTS,
  type PolicyBlocks,
} from './policy-blocks.ts';
import { readShape } from './shape.ts';
import { checkDestinationRule } from './validate-destination-rule.ts';

export interface CompiledDestinationRule extends ObjectIdentity {
  readonly host: string;
  readonly exportTo: readonly string[];
  /** Given: only for proxies of its own namespace with these labels. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly policy: LeveledPolicy | undefined;
  readonly subsets: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly policy: LeveledPolicy | undefined;
  }[];
}

export interface DestinationPolicies {
  readonly policy: TrafficPolicy;
  readonly portPolicies?: Readonly<Record<number, TrafficPolicy>>;
  readonly subsets: readonly Subset[];
  readonly provenance?: Provenance;
}

export type BalancedService = Pick<Service, 'hostname' | 'namespace'> & {
  readonly loadBalancing?: LoadBalancing | undefined;
};

export interface PolicyContext {
  readonly rootNamespace: string;
  readonly mesh?: MeshDefaults;
  /** The proxy that asks. Undefined = one of the service's own namespace. */
  readonly client?: {
    readonly namespace: string;
    /** Of a gateway: selectors look at them. A waypoint has none: there, as in Istio, no selector counts. */
    readonly labels?: Readonly<Record<string, string>>;
  };
}

export const DEFAULT_POLICY: TrafficPolicy = fillPolicy({}, NO_MESH_DEFAULTS, undefined);

export function compileDestinationRule(
  object: DestinationRuleObject,
  options: { domain: string },
): Compiled<CompiledDestinationRule> {
  const identity = identityOf(object);
  const { namespace } = identity;
  const findings = new Findings('DestinationRule', identity);
  const spec = (readShape(object.spec ?? {}, DESTINATION_RULE, 'spec', findings) ??
    {}) as DestinationRuleSpec;
  if (findings.failed) return { value: undefined, findings: findings.list };
  checkDestinationRule(spec, namespace, findings);
  const scope = { findings, namespace };
  if (spec.workloadSelector)
    findings.ineffective(
      'spec.workloadSelector',
      'a selector has a say at gateways; waypoints serve every client alike and leave the rule out',
      { level: 'info' },
    );
  const subsets = (spec.subsets ?? []).flatMap((subset, at) => {
    if (!subset) return [];
    const policy = compileLeveled(subset.trafficPolicy, `spec.subsets[${at}].trafficPolicy`, scope);
    return [{ name: subset.name ?? '', labels: subset.labels ?? {}, policy }];
  });
  const value: CompiledDestinationRule = {
    ...identity,
    host: resolveHost(spec.host ?? '', { namespace, domain: options.domain }),
    exportTo: spec.exportTo ?? [],
    selector: spec.workloadSelector ? (spec.workloadSelector.matchLabels ?? {}) : undefined,
    policy: compileLeveled(spec.trafficPolicy, 'spec.trafficPolicy', scope),
    subsets,
  };
  return { value: findings.failed ? undefined : value, findings: findings.list };
}

/** The rules in force for a service, merged: what `rulesInForce` says. */
export function destinationPolicies(
  service: BalancedService,
  rules: Iterable<CompiledDestinationRule>,
  context: PolicyContext,
): DestinationPolicies {
  const fill = (blocks: PolicyBlocks) =>
    fillPolicy(blocks, context.mesh ?? NO_MESH_DEFAULTS, service.loadBalancing);
  return merge(rulesInForce(service, rules, context), fill);
}

/**
 * Those of the client's namespace, else of the service's, else of the root namespace, as far as they are exported to the client;
 * there the most specific host, oldest first. The root namespace's own proxies look at the service's namespace before theirs.
 */
export function rulesInForce(
  service: BalancedService,
  rules: Iterable<CompiledDestinationRule>,
  { rootNamespace, client }: PolicyContext,
): readonly CompiledDestinationRule[] {
  const from = client?.namespace ?? service.namespace;
  const all = [...rules];
  const first = (namespace: string, isWanted: (rule: CompiledDestinationRule) => boolean) => {
    const candidates = all.filter((rule) => rule.namespace === namespace && isWanted(rule));
    return bySelector(mostSpecific(candidates, service.hostname).sort(byAge), client?.labels);
  };
  const own = first(from, (rule) => from !== rootNamespace || isPrivate(rule));
  if (own.length > 0) return own;
  for (const namespace of [service.namespace, rootNamespace]) {
    const chosen = first(namespace, (rule) => isExportedTo(rule, from));
    if (chosen.length > 0) return chosen;
  }
  return [];
}

/** Only for its own namespace: in the root namespace, meant for the proxies there. */
function isPrivate({ exportTo, namespace }: CompiledDestinationRule): boolean {
  return exportTo.length > 0 && exportTo.every((target) => target === '.' || target === namespace);
}

function mostSpecific(
  rules: readonly CompiledDestinationRule[],
  hostname: string,
): CompiledDestinationRule[] {
  let best = -1;
  let chosen: CompiledDestinationRule[] = [];
  for (const rule of rules) {
    const specificity = hostSpecificity(rule.host, hostname) ?? -1;
    if (specificity === -1 || specificity < best) continue;
    if (specificity > best) chosen = [];
    best = specificity;
    chosen.push(rule);
  }
  return chosen;
}

/** The first rule that selects the proxy, with those of the same selector; else the rules without one. */
function bySelector(
  rules: readonly CompiledDestinationRule[],
  labels: Readonly<Record<string, string>> | undefined,
): readonly CompiledDestinationRule[] {
  const selects = ({ selector }: CompiledDestinationRule) =>
    labels !== undefined &&
    selector !== undefined &&
    Object.entries(selector).every(([key, value]) => labels[key] === value);
  const selected = rules.find(selects);
  if (selected === undefined) return rules.filter(({ selector }) => selector === undefined);
  const wanted = canonical(selected.selector);
  return rules.filter(({ selector }) => selector !== undefined && canonical(selector) === wanted);
}

function canonical(selector: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify(
    Object.entries(selector).sort(([left], [right]) => (left < right ? -1 : 1)),
  );
}

function merge(
  rules: readonly CompiledDestinationRule[],
  fill: (blocks: PolicyBlocks) => TrafficPolicy,
): DestinationPolicies {
  if (rules.length === 0) return { policy: fill({}), subsets: [] };
  const top = rules.find((rule) => rule.policy !== undefined)?.policy;
  const [{ namespace, name }] = rules;
  const refusing = (blocks: PolicyBlocks): TrafficPolicy => {
    const policy = fill(blocks);
    if (blocks.tunnel === undefined) return policy;
    const { targetHost, targetPort } = blocks.tunnel;
    const refusal = `DestinationRule ${namespace}/${name} asks for a tunnel to ${targetHost}:${targetPort}, which this proxy does not open`;
    return { ...policy, refusal };
  };
  const subsets = new Map<string, Subset>();
  for (const rule of rules)
    for (const subset of rule.subsets) {
      if (subsets.has(subset.name)) continue;
      const { labels, policy } = subset;
      subsets.set(subset.name, { name: subset.name, labels, ...levels(top, policy, refusing) });
    }
  return {
    ...levels(top, undefined, refusing),
    subsets: [...subsets.values()],
    provenance: { kind: 'DestinationRule', namespace, name },
  };
}

function levels(
  top: LeveledPolicy | undefined,
  subset: LeveledPolicy | undefined,
  fill: (blocks: PolicyBlocks) => TrafficPolicy,
): Pick<DestinationPolicies, 'policy' | 'portPolicies'> {
  const ports = new Set([...Object.keys(top?.ports ?? {}), ...Object.keys(subset?.ports ?? {})]);
  const portPolicies: Record<number, TrafficPolicy> = {};
  for (const port of ports) portPolicies[Number(port)] = fill(blocksAt(top, subset, Number(port)));
  const policy = fill({ ...given(top), ...given(subset) });
  return ports.size === 0 ? { policy } : { policy, portPolicies };
}

/**
 * Port settings replace everything of their level; a subset's blocks override those of the destination. What a port cannot
 * say (tunnel, PROXY protocol, retry budget) a subset's port takes from the destination.
 */
function blocksAt(
  top: LeveledPolicy | undefined,
  subset: LeveledPolicy | undefined,
  port: number,
): PolicyBlocks {
  const base = given(top?.ports[port] ?? top);
  const ofSubset = subset?.ports[port];
  if (ofSubset === undefined) return { ...base, ...given(subset) };
  const { tunnel, proxyProtocol, retryBudget } = base;
  return { ...given({ tunnel, proxyProtocol, retryBudget }), ...ofSubset };
}
