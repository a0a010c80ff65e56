/**
 * Creates the mesh's own parts and keeps a node proxy pod on every node. One that is deleted gets its successor while it still
 * ends, as a DaemonSet with a surge does it: it hands its pods over, so deleting one is how a node proxy is replaced.
 */
import type { Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Cluster } from '../controllers/cluster.ts';
import { Reconciler } from '../controllers/reconciler.ts';
import { isActive } from '../controllers/replica-plan.ts';
import { SYSTEM_NAMESPACE } from '../kubelet/cni.ts';
import type { NodePlan } from '../topology/addresses.ts';
import {
  controlPlaneObjects,
  createOnce,
  isNodeProxy,
  nodeProxyName,
  nodeProxyPod,
} from './bootstrap.ts';

export async function createMesh(cluster: Cluster, nodes: readonly NodePlan[]): Promise<void> {
  const { client, pods } = cluster;
  const log = cluster.log.child('nodeproxies');
  await Promise.all(
    controlPlaneObjects().map(({ ref, object }) => createOnce(client, ref, object)),
  );
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const reconciler = new Reconciler({ ...cluster, log }, async (nodeName) => {
    const node = byName.get(nodeName);
    const live = pods
      .list(SYSTEM_NAMESPACE)
      .filter((pod) => isNodeProxy(pod) && pod.spec.nodeName === nodeName);
    if (node === undefined || live.some(isActive)) return;
    const finished = live.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    for (const pod of finished)
      await client.delete(RESOURCES.pods, pod.metadata, { gracePeriodSeconds: 0 });
    const base = nodeProxyName(node);
    const newest = live.toSorted((one, other) => createdAt(one) - createdAt(other)).at(-1);
    const taken = live.some((pod) => pod.metadata.name === base);
    // After the one that it follows, so the same at each try: our list of pods may be behind.
    const name = taken ? `${base}-${newest?.metadata.uid?.slice(0, 8)}` : base;
    await createOnce(client, RESOURCES.pods, nodeProxyPod(node, name));
  });
  const react = (pod: Pod) => {
    if (isNodeProxy(pod)) reconciler.add(pod.spec.nodeName ?? '');
  };
  pods.subscribe({ onAdd: react, onUpdate: react, onDelete: react });
  for (const name of byName.keys()) reconciler.add(name);
}

function createdAt({ metadata }: Pod): number {
  return Date.parse(metadata.creationTimestamp ?? '');
}
