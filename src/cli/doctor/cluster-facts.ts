/** Looks at a cluster for `judgeCluster`. Only reads, and asks what it may do. */
import { isMeshError, messageOf } from '#base/errors.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import { loadCrds } from '#crds/crd-cache.ts';
import { platformOf } from '#install/cluster/platform.ts';
import { missingRights, otherMeshes, rightsFor } from '#install/cluster/preflight.ts';
import { crdsToInstall, planCrds } from '#install/crds/install-crds.ts';
import { manifests } from '#install/manifests/manifests.ts';
import { LABEL, PART_OF } from '#install/manifests/object.ts';
import { MANAGED_BY_TULLE } from '#install/manifests/parameters.ts';
import { valuesOf } from '#install/values/values.ts';
import type { ConfigMap, Namespace, Node } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { ClusterFacts, Unseen } from './cluster.ts';
import { isUnseen } from './cluster.ts';

const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** Throws when the API server does not answer at all. */
export async function clusterFacts(client: KubeClient): Promise<ClusterFacts> {
  const values = valuesOf([]);
  const { namespace } = values;
  const { gitVersion } = (await client.request('GET', '/version')) as { gitVersion: string };
  const objects = manifests(values).map(({ object }) => object);
  const [missing, nodes, crds, meshes, control, place, cilium] = await Promise.all([
    missingRights(client, rightsFor(objects, namespace)),
    seen(async () => (await client.list<Node>(RESOURCES.nodes)).items),
    seen(async () => {
      const existing = await client.list<CustomResourceDefinition>(
        RESOURCES.customResourceDefinitions,
      );
      return planCrds(crdsToInstall(loadCrds(), MANAGED_BY_TULLE), existing.items);
    }),
    seen(() => otherMeshes(client)),
    found(client, RESOURCES.deployments, { namespace, name: 'istiod' }),
    found<Namespace>(client, RESOURCES.namespaces, { name: namespace }),
    found<ConfigMap>(client, RESOURCES.configMaps, {
      namespace: 'kube-system',
      name: 'cilium-config',
    }),
  ]);
  const { labels = {} } = control?.metadata ?? {};
  return {
    version: gitVersion,
    missingRights: missing,
    nodes,
    definitions: crds,
    otherMeshes: meshes,
    platform: isUnseen(nodes) ? undefined : platformOf(nodes)?.name,
    installed:
      labels[LABEL.partOf] === PART_OF
        ? { version: labels[LABEL.version] ?? 'unknown', by: labels[LABEL.managedBy] ?? 'hand' }
        : undefined,
    namespace,
    podSecurity: place?.metadata.labels?.[ENFORCE],
    cilium: cilium?.data,
  };
}

async function seen<T extends object>(look: () => Promise<T>): Promise<T | Unseen> {
  try {
    return await look();
  } catch (error) {
    if (!isMeshError(error, 'KUBE_FORBIDDEN')) throw error;
    return { unseen: messageOf(error) };
  }
}

/** Undefined where it is not there, or not ours to see. */
async function found<T extends KubeObject>(
  client: KubeClient,
  ref: ResourceRef,
  key: { namespace?: string; name: string },
): Promise<T | undefined> {
  try {
    return await client.get<T>(ref, key);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND') || isMeshError(error, 'KUBE_FORBIDDEN'))
      return undefined;
    throw error;
  }
}
