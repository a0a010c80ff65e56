/** meshConfig.defaultHttpRetryPolicy: what rules that say nothing of retries get, of VirtualServices and HTTPRoutes alike. */
import type { Collection, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Compiled } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import { compileRetries } from '#config/compile/http-features.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import { checkRetries } from '#config/compile/validate-http-features.ts';
import type { RetryPolicy } from '#model/route/route-table.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import type { MeshConfigObject } from '../derive/mesh-config.ts';
import { meshConfigKey, readMeshConfig } from '../derive/mesh-config.ts';
import type { Kept } from './last-good.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';

export interface DefaultRetries {
  /** Undefined: MeshConfig says nothing. */
  readonly get: (reads: Reads) => RetryPolicy | undefined;
  readonly good: Collection<RetryPolicy>;
  readonly kept: Collection<Kept<RetryPolicy>>;
}

export function defaultRetries(
  graph: Graph,
  mesh: MeshSettings,
  sources: MeshSources,
): DefaultRetries {
  const { good, kept } = keepLastGood(graph, 'meshConfig.retries', sources.meshConfig, compile);
  return { get: (reads) => reads.get(good, meshConfigKey(mesh)), good, kept };
}

function compile(object: MeshConfigObject): Compiled<RetryPolicy> {
  const findings = new Findings('ConfigMap', identityOf(object));
  const path = 'data.mesh.defaultHttpRetryPolicy';
  const { defaultHttpRetryPolicy: policy } = readMeshConfig(object);
  checkRetries(policy, path, findings);
  const isUsable = policy !== undefined && !findings.failed;
  const value = isUsable ? compileRetries(policy, path, findings) : undefined;
  return { value, findings: findings.list };
}
