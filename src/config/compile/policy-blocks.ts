/**
 * One level of a DestinationRule's traffic policy, block by block: what is absent falls to the level above, and at the top to the
 * defaults of the mesh (`fillPolicy`). Values were judged before (validate-traffic-policy.ts).
 */
import type {
  ConnectionPoolPolicy,
  LocalityPolicy,
  OutlierPolicy,
  RetryBudgetPolicy,
  TrafficPolicy,
  UpstreamTls,
} from '#model/route/route-table.ts';
import type { LoadBalancing } from '#model/service/service.ts';
import { compileConnectionPool, DEFAULT_POOL, type PoolDefaults } from './connection-pool.ts';
import type {
  LocalitySettingSpec,
  OutlierSpec,
  PortPolicySpec,
  TrafficPolicySpec,
  TunnelSpec,
  ZoneAwareSpec,
} from './destination-rule-kinds.ts';
import type { Findings } from './finding.ts';
import { compileLoadBalancer, type LoadBalancerBlock } from './load-balancer.ts';
import { duration, parseDouble } from './scalars.ts';
import { compileUpstreamTls } from './upstream-tls.ts';

export interface PolicyBlocks {
  readonly loadBalancer?: LoadBalancerBlock;
  readonly connectionPool?: Partial<ConnectionPoolPolicy>;
  readonly outlier?: OutlierPolicy;
  /** `none`: given, and no TLS of its own (DISABLE, ISTIO_MUTUAL). */
  readonly tls?: UpstreamTls | 'none';
  readonly proxyProtocol?: 'v1' | 'v2';
  readonly retryBudget?: RetryBudgetPolicy;
  readonly tunnel?: TunnelSpec;
}

export interface LeveledPolicy extends PolicyBlocks {
  readonly ports: Readonly<Record<number, PolicyBlocks>>;
}

/** What MeshConfig says for destinations whose DestinationRule says nothing. */
export interface MeshDefaults {
  readonly pool: PoolDefaults;
  readonly blocks: PolicyBlocks;
  readonly locality: LocalitySettingSpec | undefined;
  readonly zoneAware: ZoneAwareSpec | undefined;
}

export const NO_MESH_DEFAULTS: MeshDefaults = {
  pool: {},
  blocks: {},
  locality: undefined,
  zoneAware: undefined,
};

export interface BlockScope {
  readonly findings: Findings;
  /** Of the object: where a credential without namespace is. */
  readonly namespace: string;
}

export function compileLeveled(
  spec: TrafficPolicySpec | undefined,
  path: string,
  scope: BlockScope,
): LeveledPolicy | undefined {
  if (!spec) return undefined;
  const ports: Record<number, PolicyBlocks> = {};
  for (const [at, settings] of (spec.portLevelSettings ?? []).entries()) {
    const port = settings?.port?.number;
    // The first of several for one port counts (Istio: GetPortLevelTrafficPolicy).
    if (port === undefined || ports[port] !== undefined) continue;
    ports[port] = compileBlocks(settings, `${path}.portLevelSettings[${at}]`, scope);
  }
  const { proxyProtocol, retryBudget, tunnel } = spec;
  const { findings } = scope;
  if (tunnel)
    findings.ineffective(
      `${path}.tunnel`,
      'tunnels are opened by sidecars: traffic of this destination is refused, rather than sent past the tunnel',
    );
  return {
    ...compileBlocks(spec, path, scope),
    ...(proxyProtocol && { proxyProtocol: proxyProtocol.version === 'V2' ? 'v2' : 'v1' }),
    ...(retryBudget && {
      retryBudget: {
        percent: parseDouble(retryBudget.percent?.value) ?? 20,
        // Zero is "unset" in the API.
        minRetryConcurrency: retryBudget.minRetryConcurrency || 3,
        intervalMs: duration(retryBudget.budgetInterval, `${path}.retryBudget`, findings) ?? 0,
      },
    }),
    ...(tunnel && { tunnel }),
    ports,
  };
}

export function compileBlocks(spec: PortPolicySpec, path: string, scope: BlockScope): PolicyBlocks {
  const { findings } = scope;
  const { loadBalancer, connectionPool, outlierDetection, tls } = spec;
  const blocks: PolicyBlocks = {
    loadBalancer:
      loadBalancer && compileLoadBalancer(loadBalancer, `${path}.loadBalancer`, findings),
    connectionPool:
      connectionPool && compileConnectionPool(connectionPool, `${path}.connectionPool`, findings),
    outlier: outlierDetection && outlier(outlierDetection, `${path}.outlierDetection`, findings),
    tls: tls && compileUpstreamTls(tls, scope.namespace),
  };
  return given(blocks);
}

/** The blocks that are there. */
export function given(blocks: PolicyBlocks | undefined): PolicyBlocks {
  const entries = Object.entries(blocks ?? {}).filter(
    ([name, value]) => value !== undefined && name !== 'ports',
  );
  return Object.fromEntries(entries) as PolicyBlocks;
}

/** Off unless the block exists; inside it Istio's and Envoy's defaults. */
function outlier(spec: OutlierSpec, path: string, findings: Findings): OutlierPolicy {
  const time = (name: 'interval' | 'baseEjectionTime') =>
    duration(spec[name], `${path}.${name}`, findings);
  const isSplit = spec.splitExternalLocalOriginErrors === true;
  return {
    consecutive5xx: spec.consecutive5xxErrors ?? 5,
    consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? 0,
    intervalMs: time('interval') || 10_000,
    baseEjectionTimeMs: time('baseEjectionTime') || 30_000,
    // Zero is "unset" in the API: Istio then leaves Envoy's 10 %.
    maxEjectionPercent: spec.maxEjectionPercent || 10,
    minHealthPercent: spec.minHealthPercent ?? 0,
    ...(isSplit && {
      splitExternalLocalOriginErrors: true,
      consecutiveLocalOriginFailures: spec.consecutiveLocalOriginFailures || 5,
    }),
    ...(spec.outlierDetectionHttpErrorCodes?.length && {
      errorCodes: spec.outlierDetectionHttpErrorCodes,
    }),
  };
}

/** The policy in force; `balancing` is what the service itself prefers (traffic distribution). */
export function fillPolicy(
  blocks: PolicyBlocks,
  mesh: MeshDefaults,
  balancing: LoadBalancing | undefined,
): TrafficPolicy {
  // As Istio: a block of the mesh counts where the DestinationRule has none.
  const merged = { ...mesh.blocks, ...given(blocks) };
  const { loadBalancer, connectionPool, tls, proxyProtocol, retryBudget } = merged;
  const locality = localityPolicy(merged, mesh, balancing);
  return {
    loadBalancer: loadBalancer?.loadBalancer ?? 'least-request',
    ...(loadBalancer?.hash && { hash: loadBalancer.hash }),
    ...(locality && { locality }),
    ...(loadBalancer?.warmup && { warmup: loadBalancer.warmup }),
    connectionPool: { ...DEFAULT_POOL, ...mesh.pool, ...connectionPool },
    ...(merged.outlier && { outlier: merged.outlier }),
    ...(tls && tls !== 'none' && { tls }),
    ...(proxyProtocol && { proxyProtocol }),
    ...(retryBudget && { retryBudget }),
  };
}

const SCOPE_LABELS: Partial<Record<LoadBalancing['scopes'][number], string>> = {
  network: 'topology.istio.io/network',
  region: 'topology.kubernetes.io/region',
  zone: 'topology.kubernetes.io/zone',
  subzone: 'topology.istio.io/subzone',
  node: 'kubernetes.io/hostname',
};

/**
 * DestinationRule before the service's traffic distribution before the mesh, zone aware before locality settings (Istio:
 * GetEffectiveLbSetting). Failover needs outlier detection, or nobody would see that something failed.
 */
function localityPolicy(
  { loadBalancer, outlier }: PolicyBlocks,
  mesh: MeshDefaults,
  balancing: LoadBalancing | undefined,
): LocalityPolicy | undefined {
  const hasOutlier = outlier !== undefined;
  if (loadBalancer?.zoneAware) return zoneAware(loadBalancer.zoneAware);
  if (loadBalancer?.locality) return fromSetting(loadBalancer.locality, hasOutlier);
  if (balancing?.mode === 'failover')
    return { failoverPriority: balancing.scopes.flatMap((scope) => SCOPE_LABELS[scope] ?? []) };
  if (mesh.zoneAware) return zoneAware(mesh.zoneAware);
  return fromSetting(mesh.locality ?? {}, hasOutlier);
}

function fromSetting(spec: LocalitySettingSpec, hasOutlier: boolean): LocalityPolicy | undefined {
  if (spec.enabled === false) return undefined;
  if (spec.distribute?.length)
    return { distribute: spec.distribute.map(({ from = '', to = {} }) => ({ from, to })) };
  return hasOutlier ? failoverOf(spec) : undefined;
}

function zoneAware(spec: ZoneAwareSpec): LocalityPolicy | undefined {
  return spec.enabled === false ? undefined : { ...failoverOf(spec), scope: 'region' };
}

function failoverOf({ failover, failoverPriority }: LocalitySettingSpec): LocalityPolicy {
  return {
    ...(failover?.length && {
      failover: failover.map(({ from = '', to = '' }) => ({ from, to })),
    }),
    ...(failoverPriority?.length && { failoverPriority }),
  };
}
