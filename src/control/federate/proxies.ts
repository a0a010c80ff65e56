/** Every proxy that has an address: of nodes, waypoints, and both kinds of gateways. */
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import { proxyTargets } from '../observe/observatory.ts';
import type { FederatedProxy } from './federate.ts';

export function federatedProxies(mesh: MeshGraph): FederatedProxy[] {
  const known = proxyTargets(mesh).map((target): FederatedProxy => {
    const isGateway = mesh.gatewayProxies.get(target.key) !== undefined;
    return { ...target, kind: isGateway ? 'gateway' : target.kind };
  });
  const keys = new Set(known.map(({ key }) => key));
  // Istio Gateways choose pods by any labels.
  const chosen = [...mesh.gatewayProxies.entries()].flatMap(([key]): FederatedProxy[] => {
    const pod = mesh.sources.pods.get(key);
    const { podIP: ip, phase } = pod?.status ?? {};
    if (pod === undefined || keys.has(key) || !ip || phase !== 'Running') return [];
    return [{ key, kind: 'gateway', node: pod.spec.nodeName ?? '', ip }];
  });
  return [...known, ...chosen].sort((left, right) => (left.key < right.key ? -1 : 1));
}
