/**
 * DestinationRules: each checked on its own, then those in force for a service merged into policies for the whole
 * destination, each subset and each port (Istio: pilot/pkg/networking/core/cluster_traffic_policy.go).
 */
import type {
  ConnectionPoolPolicy,
  LoadBalancer,
  OutlierPolicy,
  Provenance,
  Subset,
  TrafficPolicy,
} from '#model/route/route-table.ts';
import { Findings } from './finding.ts';
import { hostSpecificity, isExportedTo, resolveHost } from './hosts.ts';
import { duration } from './http-route.ts';
import type {
  ConnectionPoolSpec,
  DestinationRuleObject,
  ObjectIdentity,
  OutlierSpec,
  PolicySpec,
  TrafficPolicySpec,
} from './istio-kinds.ts';
import { byAge, identityOf } from './istio-kinds.ts';
import type { Compiled } from './virtual-service.ts';

/** Blocks that were given; the absent ones fall to the level above or the default. */
export interface PolicyBlocks {
  readonly loadBalancer?: LoadBalancer;
  readonly connectionPool?: ConnectionPoolPolicy;
  readonly outlier?: OutlierPolicy;
}

export interface LeveledPolicy extends PolicyBlocks {
  readonly ports: Readonly<Record<number, PolicyBlocks>>;
}

export interface CompiledDestinationRule extends ObjectIdentity {
  readonly host: string;
  readonly exportTo: readonly string[];
  /** Limited to some client workloads: a waypoint is none of them. */
  readonly selective: boolean;
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

/** Istio's mesh defaults: 10 s to connect, an hour of idleness. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;

export const DEFAULT_POLICY: TrafficPolicy = {
  loadBalancer: 'least-request',
  connectionPool: {
    connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS,
    idleTimeoutMs: DEFAULT_IDLE_TIMEOUT_MS,
    h2Upgrade: 'default',
  },
};

const LOAD_BALANCERS: Record<string, LoadBalancer> = {
  LEAST_CONN: 'least-request',
  LEAST_REQUEST: 'least-request',
  ROUND_ROBIN: 'round-robin',
  RANDOM: 'random',
  PASSTHROUGH: 'passthrough',
};
const H2_UPGRADE: Record<string, ConnectionPoolPolicy['h2Upgrade']> = {
  DEFAULT: 'default',
  UPGRADE: 'upgrade',
  DO_NOT_UPGRADE: 'do-not-upgrade',
};

export function compileDestinationRule(
  object: DestinationRuleObject,
  options: { domain: string },
): Compiled<CompiledDestinationRule> {
  const identity = identityOf(object);
  const findings = new Findings('DestinationRule', identity);
  const spec = object.spec ?? {};
  if (!spec.host) findings.invalid('spec.host', 'a host is required');
  if (spec.workloadSelector !== undefined)
    findings.ineffective(
      'spec.workloadSelector',
      'a rule for some clients has no effect at a waypoint',
    );
  const names = new Set<string>();
  const subsets = (spec.subsets ?? []).map((subset, at) => {
    const path = `spec.subsets[${at}]`;
    if (!subset.name) findings.invalid(`${path}.name`, 'a subset needs a name');
    const name = subset.name ?? '';
    if (names.has(name)) findings.invalid(`${path}.name`, `the subset ${name} is defined twice`);
    names.add(name);
    const policy = leveled(subset.trafficPolicy, `${path}.trafficPolicy`, findings);
    return { name, labels: subset.labels ?? {}, policy };
  });
  const value: CompiledDestinationRule = {
    ...identity,
    host: resolveHost(spec.host ?? '', { namespace: identity.namespace, domain: options.domain }),
    exportTo: spec.exportTo ?? [],
    selective: spec.workloadSelector !== undefined,
    policy: leveled(spec.trafficPolicy, 'spec.trafficPolicy', findings),
    subsets,
  };
  return { value: findings.failed ? undefined : value, findings: findings.list };
}

/**
 * The rules in force for a service: those of its own namespace, else of the root namespace; there the most specific
 * host. Rules for one host are merged, oldest first. An `Upstream` is the same for every waypoint, therefore the
 * client's namespace has no say.
 */
export function destinationPolicies(
  service: { hostname: string; namespace: string },
  rules: Iterable<CompiledDestinationRule>,
  rootNamespace: string,
): DestinationPolicies {
  const all = [...rules].filter((rule) => !rule.selective && isExportedTo(rule, service.namespace));
  for (const namespace of [service.namespace, rootNamespace]) {
    const chosen = mostSpecific(
      all.filter((rule) => rule.namespace === namespace),
      service.hostname,
    );
    if (chosen.length > 0) return merge(chosen.sort(byAge));
  }
  return { policy: DEFAULT_POLICY, subsets: [] };
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

function merge(rules: readonly CompiledDestinationRule[]): DestinationPolicies {
  const top = rules.find((rule) => rule.policy !== undefined)?.policy;
  const subsets = new Map<string, Subset>();
  for (const rule of rules)
    for (const { name, labels, policy } of rule.subsets)
      if (!subsets.has(name)) subsets.set(name, { name, labels, ...levels(top, policy) });
  const [{ namespace, name }] = rules;
  return {
    ...levels(top, undefined),
    subsets: [...subsets.values()],
    provenance: { kind: 'DestinationRule', namespace, name },
  };
}

function levels(
  top: LeveledPolicy | undefined,
  subset: LeveledPolicy | undefined,
): Pick<DestinationPolicies, 'policy' | 'portPolicies'> {
  const ports = new Set([...Object.keys(top?.ports ?? {}), ...Object.keys(subset?.ports ?? {})]);
  const portPolicies: Record<number, TrafficPolicy> = {};
  for (const port of ports) portPolicies[Number(port)] = policyAt(top, subset, Number(port));
  const policy = filled({ ...top, ...given(subset) });
  return ports.size === 0 ? { policy } : { policy, portPolicies };
}

/** Port settings replace everything of their level; a subset's blocks override those of the destination. */
function policyAt(
  top: LeveledPolicy | undefined,
  subset: LeveledPolicy | undefined,
  port: number,
): TrafficPolicy {
  const ofSubset = subset?.ports[port];
  if (ofSubset !== undefined) return filled(ofSubset);
  return filled({ ...(top?.ports[port] ?? top), ...given(subset) });
}

function given(blocks: PolicyBlocks | undefined): PolicyBlocks {
  const entries = Object.entries(blocks ?? {}).filter(
    ([name, value]) => value !== undefined && name !== 'ports',
  );
  return Object.fromEntries(entries) as PolicyBlocks;
}

function filled(blocks: PolicyBlocks): TrafficPolicy {
  const { loadBalancer, connectionPool, outlier } = blocks;
  return {
    loadBalancer: loadBalancer ?? DEFAULT_POLICY.loadBalancer,
    connectionPool: connectionPool ?? DEFAULT_POLICY.connectionPool,
    ...(outlier === undefined ? {} : { outlier }),
  };
}

function leveled(
  spec: TrafficPolicySpec | undefined,
  path: string,
  findings: Findings,
): LeveledPolicy | undefined {
  if (spec === undefined) return undefined;
  const ports: Record<number, PolicyBlocks> = {};
  for (const [at, settings] of (spec.portLevelSettings ?? []).entries()) {
    const inner = `${path}.portLevelSettings[${at}]`;
    const port = settings.port?.number;
    if (port === undefined) findings.invalid(`${inner}.port.number`, 'a port number is required');
    else ports[port] = blocks(settings, inner, findings);
  }
  return { ...blocks(spec, path, findings), ports };
}

function blocks(spec: PolicySpec, path: string, findings: Findings): PolicyBlocks {
  if (spec.tls?.mode === 'SIMPLE' || spec.tls?.mode === 'MUTUAL')
    findings.ineffective(
      `${path}.tls`,
      `tls.mode ${spec.tls.mode} is not enforced by this version`,
    );
  return {
    loadBalancer: loadBalancer(spec.loadBalancer, `${path}.loadBalancer`, findings),
    connectionPool: connectionPool(spec.connectionPool, `${path}.connectionPool`, findings),
    outlier: outlier(spec.outlierDetection, `${path}.outlierDetection`, findings),
  };
}

function loadBalancer(
  spec: PolicySpec['loadBalancer'],
  path: string,
  findings: Findings,
): LoadBalancer | undefined {
  if (spec === undefined) return undefined;
  if (spec.consistentHash !== undefined)
    findings.ineffective(
      `${path}.consistentHash`,
      'consistentHash is not enforced: least request is used',
    );
  if (spec.localityLbSetting !== undefined)
    findings.ineffective(
      `${path}.localityLbSetting`,
      'locality settings are not enforced by this version',
    );
  if (spec.simple === undefined || spec.simple === 'UNSPECIFIED') return undefined;
  const known = LOAD_BALANCERS[spec.simple];
  if (known === undefined)
    findings.invalid(`${path}.simple`, `unknown load balancer ${spec.simple}`);
  return known;
}

function connectionPool(
  spec: ConnectionPoolSpec | undefined,
  path: string,
  findings: Findings,
): ConnectionPoolPolicy | undefined {
  if (spec === undefined) return undefined;
  const { tcp = {}, http = {} } = spec;
  const h2Upgrade = H2_UPGRADE[http.h2UpgradePolicy ?? 'DEFAULT'];
  if (h2Upgrade === undefined)
    findings.invalid(`${path}.http.h2UpgradePolicy`, `unknown policy ${http.h2UpgradePolicy}`);
  const count = (value: number | undefined, name: string): number | undefined => {
    if (value !== undefined && value < 0)
      findings.invalid(`${path}.${name}`, `${value} is negative`);
    // Zero means unset in Istio's API.
    return value || undefined;
  };
  const time = (text: string | undefined, name: string) =>
    duration(text, `${path}.${name}`, findings);
  return {
    connectTimeoutMs: time(tcp.connectTimeout, 'tcp.connectTimeout') || DEFAULT_CONNECT_TIMEOUT_MS,
    maxConnections: count(tcp.maxConnections, 'tcp.maxConnections'),
    maxPendingRequests: count(http.http1MaxPendingRequests, 'http.http1MaxPendingRequests'),
    maxRequests: count(http.http2MaxRequests, 'http.http2MaxRequests'),
    maxRequestsPerConnection: count(http.maxRequestsPerConnection, 'http.maxRequestsPerConnection'),
    maxRetries: count(http.maxRetries, 'http.maxRetries'),
    idleTimeoutMs:
      time(http.idleTimeout, 'http.idleTimeout') ||
      time(tcp.idleTimeout, 'tcp.idleTimeout') ||
      DEFAULT_IDLE_TIMEOUT_MS,
    h2Upgrade: h2Upgrade ?? 'default',
  };
}

/** Off unless the block exists; inside it Istio's and Envoy's defaults. */
function outlier(
  spec: OutlierSpec | undefined,
  path: string,
  findings: Findings,
): OutlierPolicy | undefined {
  if (spec === undefined) return undefined;
  const time = (name: 'interval' | 'baseEjectionTime') =>
    duration(spec[name], `${path}.${name}`, findings);
  const percent = (name: 'maxEjectionPercent' | 'minHealthPercent') => {
    const value = spec[name];
    if (value !== undefined && (value < 0 || value > 100))
      findings.invalid(`${path}.${name}`, `${value} is not within 0 to 100`);
    return value;
  };
  return {
    consecutive5xx: spec.consecutive5xxErrors ?? 5,
    consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? 0,
    intervalMs: time('interval') || 10_000,
    baseEjectionTimeMs: time('baseEjectionTime') || 30_000,
    // Zero is "unset" in the API: Istio then leaves Envoy's 10 %.
    maxEjectionPercent: percent('maxEjectionPercent') || 10,
    minHealthPercent: percent('minHealthPercent') ?? 0,
  };
}
