/** The pods that the mesh itself is made of: few among many, and looked for each second. */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { LABEL } from '../derive/mesh.ts';

export interface OwnPods {
  /** Of nodes, of waypoints and of gateways that a Gateway (Gateway API) was made into. */
  readonly proxies: Collection<Pod>;
  /** Replicas of the control plane, of every revision. */
  readonly control: Collection<Pod>;
}

export function ownPods(graph: Graph, mesh: MeshSettings, pods: Collection<Pod>): OwnPods {
  return {
    proxies: graph.map('pods.proxies', pods, (pod) =>
      labelledRole(pod) === undefined ? undefined : pod,
    ),
    control: graph.map('pods.control', pods, (pod) => {
      const { namespace, labels } = pod.metadata;
      return namespace === mesh.rootNamespace && labels?.app === 'istiod' ? pod : undefined;
    }),
  };
}

/** What a pod is by its labels. Gateways are told from waypoints elsewhere: by their class. */
export function labelledRole({ metadata: { labels } }: Pod): 'node' | 'waypoint' | undefined {
  if (labels?.[LABEL.gatewayName] !== undefined) return 'waypoint';
  return labels?.app === 'ztunnel' ? 'node' : undefined;
}
