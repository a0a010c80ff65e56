/** Ties telemetry to the mesh: which pods are proxies, and the answers of api.ts out of collector, graph and push. */
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { keyOf, LABEL } from '../derive/mesh.ts';
import { waypointKeysOf } from '../derive/service.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import type { StatusAnswer } from './api.ts';
import type { CollectorDeps, ScrapeTarget } from './collector.ts';
import { Collector } from './collector.ts';
import { buildGraph } from './graph.ts';
import type { Answers } from './server.ts';
import { buildStatus, ejectionsOf } from './status.ts';

export interface Observatory extends Answers {
  readonly collector: Collector;
}

export function createObservatory(
  deps: { clock: Clock; fetch: CollectorDeps['fetch']; mesh: MeshGraph },
  own: { streams: () => ProxySyncState[]; control: () => StatusAnswer['control'] },
): Observatory {
  const { clock, fetch, mesh } = deps;
  const targets = () => proxyTargets(mesh);
  const isWaypoint = (key: string) => {
    const gateway = mesh.sources.gateways.get(key);
    return gateway !== undefined && WAYPOINT_CLASSES.includes(gateway.spec.gatewayClassName);
  };
  const collector = new Collector({ clock, fetch, targets, isWaypoint });
  return {
    collector,
    graph: ({ namespace, windowSeconds }) =>
      buildGraph(collector.store, {
        second: collector.second(),
        windowSeconds,
        namespace,
        generatedAt: rfc3339(clock),
        ejections: targets().flatMap(({ key }) => ejectionsOf(collector.state(key))),
        versions: versionsOf(mesh),
      }),
    status: () =>
      buildStatus({
        generatedAt: rfc3339(clock),
        control: own.control(),
        targets: targets(),
        scrape: (key) => collector.state(key),
        streams: own.streams(),
        gateways: [...mesh.sources.gateways.entries()].map(([, gateway]) => gateway),
        served: (key) => servedBy(mesh, key),
        findings: mesh.findings(),
      }),
  };
}

/** Node proxies and waypoints that have an address. */
export function proxyTargets(mesh: MeshGraph): ScrapeTarget[] {
  const newest = new Map<string, Pod>();
  for (const [, pod] of mesh.sources.pods.entries()) {
    const ip = pod.status?.podIP;
    if (proxyKind(pod) === undefined || !ip || pod.status?.phase !== 'Running') continue;
    // Two generations of a node proxy share the node's address; the newer one has the ports.
    const other = newest.get(ip);
    if (other === undefined || createdAt(pod) > createdAt(other)) newest.set(ip, pod);
  }
  return [...newest]
    .map(([ip, pod]) => ({
      key: keyOf(pod),
      kind: proxyKind(pod) ?? 'node',
      node: pod.spec.nodeName ?? '',
      ip,
    }))
    .sort((left, right) => (left.key < right.key ? -1 : 1));
}

/** RFC 3339 in UTC: later is greater. Of two made in one second the one that ends is the older. */
function createdAt({ metadata }: Pod): string {
  return `${metadata.creationTimestamp} ${metadata.deletionTimestamp === undefined ? 1 : 0}`;
}

function proxyKind(pod: Pod): ScrapeTarget['kind'] | undefined {
  const labels = pod.metadata.labels ?? {};
  if (labels[LABEL.gatewayName] !== undefined) return 'waypoint';
  return labels.app === 'ztunnel' ? 'node' : undefined;
}

function servedBy(mesh: MeshGraph, waypointKey: string): string[] {
  const names: string[] = [];
  for (const [key, service] of mesh.services.entries())
    if (waypointKeysOf(service).includes(waypointKey)) names.push(key);
  return names.sort();
}

/** Revisions by `namespace/workload`; a workload with several has none to show. */
function versionsOf(mesh: MeshGraph): Map<string, string> {
  const versions = new Map<string, string>();
  const mixed = new Set<string>();
  for (const [, { workload }] of mesh.workloads.entries()) {
    const key = `${workload.namespace}/${workload.workloadName}`;
    const known = versions.get(key);
    if (known !== undefined && known !== workload.canonicalRevision) mixed.add(key);
    versions.set(key, workload.canonicalRevision);
  }
  for (const key of mixed) versions.delete(key);
  return versions;
}
