/**
 * TLS material out of Secrets and ConfigMaps, under the names that configuration calls it by. Istio keeps the roots of `name` in the
 * Secret `name` itself or in `name-cacert`, which is found under its own name as any other.
 */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import { materialName } from '#config/compile/gateway-api/tls-material.ts';
import type { ConfigMap, Secret } from '#kube/client/kinds.ts';
import type { TlsMaterial } from '#model/route/gateway-config.ts';
import { keyOf } from '../derive/mesh.ts';
import type { MeshSources } from './mesh-graph.ts';

export function tlsMaterialCollection(graph: Graph, sources: MeshSources): Collection<TlsMaterial> {
  const secrets = graph.flatMap('tlsMaterials.secrets', sources.secrets, (secret) =>
    named(materialName('Secret', keyOf(secret)), decoded(secret)),
  );
  const configMaps = graph.flatMap('tlsMaterials.configMaps', sources.configMaps, (configMap) =>
    named(materialName('ConfigMap', keyOf(configMap)), (configMap as ConfigMap).data ?? {}),
  );
  return graph.join('tlsMaterials', [secrets, configMaps]);
}

function decoded({ data = {} }: Secret): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
}

/** Kubernetes' keys before Istio's (pilot/pkg/credentials/kube/secrets.go). */
function named(name: string, data: Readonly<Record<string, string>>): [string, TlsMaterial][] {
  const certificateChain = data['tls.crt'] ?? data.cert;
  const privateKey = data['tls.key'] ?? data.key;
  const roots = data['ca.crt'] ?? data.cacert;
  const revocationList = data['ca.crl'] ?? data.crl;
  if (certificateChain === undefined && privateKey === undefined && roots === undefined) return [];
  const material: TlsMaterial = {
    name,
    ...(certificateChain !== undefined && { certificateChain }),
    ...(privateKey !== undefined && { privateKey }),
    ...(roots !== undefined && { roots }),
    ...(revocationList !== undefined && { revocationList }),
  };
  return [[name, material]];
}
