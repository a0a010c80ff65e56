/** DestinationRule.loadBalancer. */
import type {
  ConsistentHash,
  HashKey,
  LoadBalancer,
  WarmupPolicy,
} from '#model/route/route-table.ts';
import type {
  ConsistentHashSpec,
  LoadBalancerSpec,
  LocalitySettingSpec,
  ZoneAwareSpec,
} from './destination-rule-kinds.ts';
import type { Findings } from './finding.ts';
import { duration } from './scalars.ts';

export interface LoadBalancerBlock {
  readonly loadBalancer: LoadBalancer;
  readonly hash?: ConsistentHash;
  readonly warmup?: WarmupPolicy;
  /** As written: what of them is in force depends on the other blocks, the service and the mesh. */
  readonly locality?: LocalitySettingSpec;
  readonly zoneAware?: ZoneAwareSpec;
}

const SIMPLE: Readonly<Record<string, LoadBalancer>> = {
  UNSPECIFIED: 'least-request',
  LEAST_CONN: 'least-request',
  LEAST_REQUEST: 'least-request',
  ROUND_ROBIN: 'round-robin',
  RANDOM: 'random',
  PASSTHROUGH: 'passthrough',
};

/** Envoy's defaults, as Istio writes them. */
const RING_SIZE_MIN = 1024;
const MAGLEV_SIZE = 65_537;

export function compileLoadBalancer(
  spec: LoadBalancerSpec,
  path: string,
  findings: Findings,
): LoadBalancerBlock {
  const { simple = 'UNSPECIFIED', consistentHash, localityLbSetting, zoneAwareLbSetting } = spec;
  if (spec.backendUtilization)
    findings.ineffective(
      `${path}.backendUtilization`,
      "endpoints' reports of their load are not read: least request is used",
    );
  if (zoneAwareLbSetting?.minClusterSize !== undefined)
    findings.ineffective(
      `${path}.zoneAwareLbSetting.minClusterSize`,
      'zones of a region are alike, whatever its size',
    );
  const loadBalancer = SIMPLE[simple];
  if (loadBalancer === undefined)
    findings.invalid(`${path}.simple`, `unknown load balancer ${simple}`);
  const warmup = compileWarmup(spec, path, findings);
  const takesWarmup =
    !consistentHash && (loadBalancer === 'least-request' || loadBalancer === 'round-robin');
  if (warmup && !takesWarmup)
    findings.ineffective(`${path}.warmup`, 'only ROUND_ROBIN and LEAST_REQUEST warm endpoints up');
  return {
    loadBalancer: loadBalancer ?? 'least-request',
    ...(consistentHash && {
      hash: compileHash(consistentHash, `${path}.consistentHash`, findings),
    }),
    ...(warmup && takesWarmup && { warmup }),
    ...(localityLbSetting && { locality: localityLbSetting }),
    ...(zoneAwareLbSetting && { zoneAware: zoneAwareLbSetting }),
  };
}

function compileWarmup(
  { warmup, warmupDurationSecs }: LoadBalancerSpec,
  path: string,
  findings: Findings,
): WarmupPolicy | undefined {
  const durationMs = warmup
    ? duration(warmup.duration, `${path}.warmup.duration`, findings)
    : duration(warmupDurationSecs, `${path}.warmupDurationSecs`, findings);
  if (!durationMs) return undefined;
  const { minimumPercent = 10, aggression = 1 } = warmup ?? {};
  return { durationMs, minimumPercent, aggression };
}

function compileHash(spec: ConsistentHashSpec, path: string, findings: Findings): ConsistentHash {
  const key = compileKey(spec, path, findings);
  const keys = key === undefined ? [] : [key];
  if (spec.maglev)
    return { keys, algorithm: 'maglev', size: Number(spec.maglev.tableSize) || MAGLEV_SIZE };
  const points = Number(spec.ringHash?.minimumRingSize) || Number(spec.minimumRingSize);
  return { keys, algorithm: 'ring-hash', size: points || RING_SIZE_MIN };
}

/** Without a key every request is spread by chance, as Envoy does without a hash policy. */
function compileKey(
  spec: ConsistentHashSpec,
  path: string,
  findings: Findings,
): HashKey | undefined {
  const { httpCookie: cookie } = spec;
  if (spec.httpHeaderName) return { kind: 'header', name: spec.httpHeaderName.toLowerCase() };
  if (cookie) {
    const ttlMs = duration(cookie.ttl, `${path}.httpCookie.ttl`, findings);
    return {
      kind: 'cookie',
      name: cookie.name ?? '',
      ...(cookie.path && { path: cookie.path }),
      ...(ttlMs !== undefined && { ttlSeconds: Math.floor(ttlMs / 1000) }),
      ...(cookie.attributes?.length && {
        attributes: cookie.attributes.map(({ name = '', value }) => ({
          name,
          ...(value && { value }),
        })),
      }),
    };
  }
  if (spec.useSourceIp) return { kind: 'source-ip' };
  if (spec.httpQueryParameterName) return { kind: 'query', name: spec.httpQueryParameterName };
  findings.ineffective(path, 'without a key to hash by, requests are spread by chance');
  return undefined;
}
