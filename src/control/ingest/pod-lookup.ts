/** Pods by name and by node, as the CA asks for them: a node proxy may have the identities of its own node's pods only. */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { PodFacts, PodLookup } from '../ca/impersonation.ts';
import { namespaceOf } from '../derive/mesh.ts';

export function createPodLookup(graph: Graph, pods: Collection<Pod>): PodLookup {
  const byNode = graph.index('pods.byNode', pods, ({ spec }) =>
    spec.nodeName === undefined ? [] : [spec.nodeName],
  );
  return {
    pod(namespace, name) {
      const pod = pods.get(`${namespace}/${name}`);
      return pod && factsOf(pod);
    },
    podsOnNode: (nodeName) => (byNode.get(nodeName) ?? []).map(factsOf),
  };
}

function factsOf(pod: Pod): PodFacts {
  return {
    namespace: namespaceOf(pod),
    name: pod.metadata.name,
    uid: pod.metadata.uid ?? '',
    serviceAccount: pod.spec.serviceAccountName || 'default',
    nodeName: pod.spec.nodeName,
    phase: pod.status?.phase,
  };
}
