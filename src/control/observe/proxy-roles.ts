/** Which pods are proxies of the mesh, which workloads they are, and who may report as one of them. */
import type { Clock } from '#base/clock.ts';
import type { ProxyKey } from '#console/telemetry-sink.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { FlowEdge, FlowPeer } from '#telemetry/flow/flow-frame.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import { ownerName } from '../derive/workload.ts';
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import { labelledRole } from '../ingest/own-pods.ts';
import type { Caller } from '../push/caller.ts';
import { ROLES_KEPT_MS } from './limits.ts';

export type ProxyRole = 'node' | 'waypoint' | 'gateway';

/** What of the mesh says so. */
type Known = Pick<MeshGraph, 'gatewayProxies' | 'ownPods'> & {
  readonly sources: Pick<MeshGraph['sources'], 'pods' | 'gateways' | 'workloadEntries'>;
};

/** `key`: `namespace/name` of the pod. */
export function roleOfPod(mesh: Known, key: string, pod: Pod): ProxyRole | undefined {
  // Also pods that nobody here made, where an Istio Gateway selects them.
  if (mesh.gatewayProxies.get(key) !== undefined) return 'gateway';
  return labelledRole(pod);
}

/** By `namespace/name` of the workload: waypoints and gateways. */
export function workloadRoles(
  clock: Clock,
  mesh: Known,
): (workload: string) => FlowPeer['kind'] | undefined {
  let roles = new Map<string, FlowPeer['kind']>();
  let readAt = Number.NEGATIVE_INFINITY;
  return (workload) => {
    if (clock.now() - readAt >= ROLES_KEPT_MS) {
      readAt = clock.now();
      roles = readRoles(mesh);
    }
    return roles.get(workload);
  };
}

function readRoles(mesh: Known): Map<string, FlowPeer['kind']> {
  const roles = new Map<string, FlowPeer['kind']>();
  // Its name is its Deployment's, unless that was named otherwise: known before its first pod is.
  for (const [key, { spec }] of mesh.sources.gateways.entries())
    if (WAYPOINT_CLASSES.includes(spec.gatewayClassName)) roles.set(key, 'waypoint');
  const add = (key: string, pod: Pod | undefined) => {
    const role = pod && roleOfPod(mesh, key, pod);
    if (pod !== undefined && (role === 'waypoint' || role === 'gateway'))
      roles.set(`${key.slice(0, key.indexOf('/'))}/${ownerName(pod)}`, role);
  };
  for (const [key, pod] of mesh.ownPods.proxies.entries()) add(key, pod);
  for (const [key] of mesh.gatewayProxies.entries()) add(key, mesh.sources.pods.get(key));
  return roles;
}

/** Proxies know their peers as workloads; which of them are waypoints and gateways the mesh knows. */
export function refined(
  edge: FlowEdge,
  roleOf: (workload: string) => FlowPeer['kind'] | undefined,
): FlowEdge {
  const peer = (each: FlowPeer): FlowPeer => {
    const kind =
      each.kind === 'workload' ? roleOf(`${each.namespace}/${each.workload}`) : undefined;
    return kind === undefined ? each : { ...each, kind };
  };
  return { ...edge, source: peer(edge.source), destination: peer(edge.destination) };
}

/** Why a caller may not report as a proxy: it has to be that pod, and the pod a proxy of the mesh; or that machine. */
export function reportProblem(
  mesh: Known,
  of: { readonly caller: Caller; readonly proxy: ProxyKey; readonly rootNamespace: string },
): string | undefined {
  const { caller, proxy, rootNamespace } = of;
  const [namespace, name] = proxy.split('/');
  const account = `${caller.namespace}/${caller.serviceAccount}`;
  if (namespace !== caller.namespace) return `${account} may not report as ${proxy}`;
  if (caller.pod !== undefined && caller.pod.name !== name)
    return `pod ${caller.pod.name} may not report as ${proxy}`;
  const pod = mesh.sources.pods.get(proxy);
  if (pod === undefined) {
    const entry = caller.pod === undefined ? mesh.sources.workloadEntries.get(proxy) : undefined;
    if (entry === undefined) return `${proxy} is not known`;
    const runsAs = entry.spec?.serviceAccount || 'default';
    return runsAs === caller.serviceAccount ? undefined : `${proxy} runs as ${runsAs}`;
  }
  const runsAs = pod.spec.serviceAccountName ?? 'default';
  if (runsAs !== caller.serviceAccount) return `pod ${name} runs as ${runsAs}`;
  if (caller.pod !== undefined && caller.pod.uid !== pod.metadata.uid)
    return `pod ${name} was replaced since`;
  const role = roleOfPod(mesh, proxy, pod);
  const isProxy = role === 'node' ? namespace === rootNamespace : role !== undefined;
  return isProxy ? undefined : `pod ${proxy} is no proxy of the mesh`;
}
