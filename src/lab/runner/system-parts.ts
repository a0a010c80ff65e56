/** Creates the mesh's own parts and keeps one node proxy pod on every node, like static pods. */
import type { Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Cluster } from '../controllers/cluster.ts';
import { Reconciler } from '../controllers/reconciler.ts';
import { isActive } from '../controllers/replica-plan.ts';
import { SYSTEM_NAMESPACE } from '../kubelet/cni.ts';
import type { NodePlan } from '../topology/addresses.ts';
import { controlPlaneObjects, createOnce, nodeProxyName, nodeProxyPod } from './bootstrap.ts';

export async function createMesh(cluster: Cluster, nodes: readonly NodePlan[]): Promise<void> {
  const { client, pods } = cluster;
  const log = cluster.log.child('nodeproxies');
  await Promise.all(
    controlPlaneObjects().map(({ ref, object }) => createOnce(client, ref, object)),
  );
  const byName = new Map(nodes.map((node) => [nodeProxyName(node), node]));
  const reconciler = new Reconciler({ ...cluster, log }, async (name) => {
    const node = byName.get(name);
    const live = pods.get({ namespace: SYSTEM_NAMESPACE, name });
    if (node === undefined || (live !== undefined && isActive(live))) return;
    // A finished one makes room; one that is ending has to be gone first, its removal brings us back.
    if (live !== undefined) {
      if (live.metadata.deletionTimestamp === undefined)
        await client.delete(RESOURCES.pods, live.metadata, { gracePeriodSeconds: 0 });
      return;
    }
    await createOnce(client, RESOURCES.pods, nodeProxyPod(node));
  });
  const react = (pod: Pod) => {
    if (pod.metadata.namespace === SYSTEM_NAMESPACE && byName.has(pod.metadata.name))
      reconciler.add(pod.metadata.name);
  };
  pods.subscribe({ onAdd: react, onUpdate: react, onDelete: react });
  for (const name of byName.keys()) reconciler.add(name);
}
