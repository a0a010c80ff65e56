/** Ties telemetry to the mesh: which pods are proxies, where their reports go, and the state of all parts out of collector and push. */
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ProxyKey, TelemetrySink } from '#console/telemetry-sink.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { serviceKey } from '#model/service/service.ts';
import type { FlowEdge } from '#telemetry/flow/flow-frame.ts';
import { keyOf } from '../derive/mesh.ts';
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import { labelledRole } from '../ingest/own-pods.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import type { StatusAnswer } from './api.ts';
import type { CollectorDeps, ScrapeTarget } from './collector.ts';
import { Collector } from './collector.ts';
import { Intake } from './intake.ts';
import { refined, reportProblem, workloadRoles } from './proxy-roles.ts';
import { buildStatus, proxyStatuses, waypointStatuses } from './status.ts';

export interface Observatory {
  readonly collector: Collector;
  readonly intake: Intake;
  status(): StatusAnswer;
  /** Parts of it. All of it has the findings, which are gathered over everything. */
  proxies(): StatusAnswer['proxies'];
  waypoints(): StatusAnswer['waypoints'];
}

export function createObservatory(
  deps: {
    clock: Clock;
    log: Logger;
    fetch: CollectorDeps['fetch'];
    mesh: MeshGraph;
    rootNamespace: string;
    /** Where everything that is carried goes. */
    sink: TelemetrySink;
  },
  own: { streams: () => ProxySyncState[]; control: () => StatusAnswer['control'] },
): Observatory {
  const { clock, fetch, mesh, sink } = deps;
  const targets = () => proxyTargets(mesh);
  const { pods, workloadEntries } = mesh.sources;
  const isThere = (proxy: ProxyKey) =>
    pods.get(proxy) !== undefined || workloadEntries.get(proxy) !== undefined;
  const roles = workloadRoles(clock, mesh);
  const refine = (edge: FlowEdge) => refined(edge, roles);
  const intake = new Intake({
    clock,
    log: deps.log,
    sink,
    refine,
    reportProblem: (caller, proxy) =>
      reportProblem(mesh, { caller, proxy, rootNamespace: deps.rootNamespace }),
  });
  const collector = new Collector({
    clock,
    fetch,
    targets,
    sink,
    refine,
    hasStreamed: (proxy) => intake.hasStreamed(proxy),
    onRound() {
      for (const proxy of intake.silent()) if (!isThere(proxy)) intake.forget(proxy);
    },
  });
  const proxies = () => ({
    targets: targets(),
    scrape: (key: string) => collector.state(key),
    streams: own.streams(),
  });
  const waypoints = () => ({
    gateways: [...mesh.sources.gateways.entries()].map(([, gateway]) => gateway),
    served: (key: string) => servedBy(mesh, key),
  });
  return {
    collector,
    intake,
    proxies: () => proxyStatuses(proxies()),
    waypoints: () => waypointStatuses(waypoints()),
    status: () =>
      buildStatus({
        generatedAt: rfc3339(clock),
        control: own.control(),
        ...proxies(),
        ...waypoints(),
        findings: mesh.findings(),
      }),
  };
}

/** Node proxies and waypoints that have an address. */
export function proxyTargets(mesh: MeshGraph): ScrapeTarget[] {
  const newest = new Map<string, Pod>();
  for (const [, pod] of mesh.ownPods.proxies.entries()) {
    const ip = pod.status?.podIP;
    if (!ip || pod.status?.phase !== 'Running') continue;
    // Two generations of a node proxy share the node's address; the newer one has the ports.
    const other = newest.get(ip);
    if (other === undefined || createdAt(pod) > createdAt(other)) newest.set(ip, pod);
  }
  return [...newest]
    .map(([ip, pod]) => ({
      key: keyOf(pod),
      kind: labelledRole(pod) ?? 'node',
      node: pod.spec.nodeName ?? '',
      ip,
    }))
    .sort((left, right) => (left.key < right.key ? -1 : 1));
}

/** RFC 3339 in UTC: later is greater. Of two made in one second the one that ends is the older. */
function createdAt({ metadata }: Pod): string {
  return `${metadata.creationTimestamp} ${metadata.deletionTimestamp === undefined ? 1 : 0}`;
}

function servedBy(mesh: MeshGraph, waypointKey: string): string[] {
  const services = mesh.servedBy.get(waypointKey) ?? [];
  return services.map(({ service }) => serviceKey(service)).sort();
}
