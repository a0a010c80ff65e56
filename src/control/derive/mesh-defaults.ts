/** What MeshConfig says for destinations whose DestinationRule says nothing. Checked like the DestinationRule's own blocks. */
import {
  compileKeepalive,
  H2_UPGRADE,
  type PoolDefaults,
} from '#config/compile/connection-pool.ts';
import type { Compiled } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import { compileBlocks, type MeshDefaults } from '#config/compile/policy-blocks.ts';
import { duration } from '#config/compile/scalars.ts';
import { checkLoadBalancer } from '#config/compile/validate-load-balancer.ts';
import { checkTrafficPolicy } from '#config/compile/validate-traffic-policy.ts';
import { namespaceOf } from './mesh.ts';
import { type MeshConfigObject, readMeshConfig } from './mesh-config.ts';

export function compileMeshDefaults(object: MeshConfigObject): Compiled<MeshDefaults> {
  const namespace = namespaceOf(object);
  const findings = new Findings('ConfigMap', { namespace, name: object.metadata.name });
  const scope = { findings, namespace };
  const config = readMeshConfig(object);
  const { defaultTrafficPolicy, localityLbSetting, zoneAwareLbSetting } = config;
  // Istio takes these two blocks of it and no other.
  const { connectionPool, outlierDetection } = defaultTrafficPolicy ?? {};
  const policy = {
    ...(connectionPool && { connectionPool }),
    ...(outlierDetection && { outlierDetection }),
  };
  const path = 'mesh.defaultTrafficPolicy';
  if (connectionPool || outlierDetection) checkTrafficPolicy(policy, path, scope);
  for (const setting of [{ localityLbSetting }, { zoneAwareLbSetting }])
    checkLoadBalancer(setting, 'mesh', { findings, hasOutlier: true });
  const value: MeshDefaults = {
    pool: poolDefaults(config, findings),
    blocks: compileBlocks(policy, path, scope),
    locality: localityLbSetting,
    zoneAware: zoneAwareLbSetting,
  };
  return { value: findings.failed ? undefined : value, findings: findings.list };
}

function poolDefaults(config: ReturnType<typeof readMeshConfig>, findings: Findings): PoolDefaults {
  const { tcpKeepalive, h2UpgradePolicy = 'DO_NOT_UPGRADE' } = config;
  const connectTimeoutMs = duration(config.connectTimeout, 'mesh.connectTimeout', findings);
  const time = (text: string | undefined) => duration(text, 'mesh.tcpKeepalive', findings);
  return {
    ...(connectTimeoutMs && { connectTimeoutMs }),
    ...(tcpKeepalive && { tcpKeepalive: compileKeepalive(tcpKeepalive, time) }),
    ...(h2UpgradePolicy === 'UPGRADE' && { h2Upgrade: H2_UPGRADE.UPGRADE }),
  };
}
