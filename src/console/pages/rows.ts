/** Rows of the lists: what there is, from the mesh, with what flows, from the store. Pure. */
import type { Finding } from '../api/config.ts';
import type { Traffic } from '../api/graph.ts';
import type { Health } from '../api/health.ts';
import type { AppRow, NamespaceRow, NodeTraffic, ServiceRow, WorkloadRow } from '../api/lists.ts';
import { QUIET } from '../health/judge.ts';
import type { NamespaceView, ServiceView, WorkloadView } from '../mesh-view.ts';
import {
  appId,
  namespaceId,
  namespaceOfResource,
  resourceOf,
  serviceId,
  workloadId,
} from './names.ts';

export type TrafficOf = ReadonlyMap<string, NodeTraffic>;

export const NO_TRAFFIC: Traffic = {
  requestsPerSecond: 0,
  errorRate: 0,
  connectionsPerSecond: 0,
  bytesPerSecond: 0,
  classes: { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
};

const SILENT: NodeTraffic = { health: QUIET, inbound: NO_TRAFFIC, outbound: NO_TRAFFIC, spark: [] };

export function trafficOf(traffic: TrafficOf, id: string): NodeTraffic {
  return traffic.get(id) ?? SILENT;
}

export function workloadRow(view: WorkloadView, traffic: TrafficOf): WorkloadRow {
  const id = workloadId(view);
  const { health, inbound, outbound, p95Ms } = trafficOf(traffic, id);
  const {
    namespace,
    name,
    kind,
    app,
    versions,
    replicas,
    isCaptured,
    notCaptured,
    waypoint,
    identity,
  } = view;
  return {
    id,
    namespace,
    name,
    kind,
    app,
    versions,
    replicas,
    isCaptured,
    notCaptured,
    waypoint,
    identity,
    health: withReplicas(health, replicas),
    inbound,
    outbound,
    p95Ms,
  };
}

/** Without a ready replica there is nothing to judge by its traffic. */
export function withReplicas(health: Health, { ready, desired }: WorkloadView['replicas']): Health {
  if (desired === 0 || ready >= desired) return health;
  if (ready === 0)
    return { ...health, status: 'failing', reason: `none of ${desired} replicas is ready` };
  if (health.status === 'failing') return health;
  return { ...health, status: 'degraded', reason: `${ready} of ${desired} replicas are ready` };
}

export function serviceRow(
  view: ServiceView,
  traffic: TrafficOf,
  findings: readonly Finding[],
): ServiceRow {
  const id = serviceId(view);
  const { health, inbound, p95Ms } = trafficOf(traffic, id);
  const { namespace, name, host, kind, addresses, ports, waypoint } = view;
  const endpoints = view.endpoints();
  const ready = endpoints.filter((each) => each.health === 'healthy').length;
  const resource = resourceOf(view);
  return {
    id,
    namespace,
    name,
    host,
    kind,
    addresses,
    ports,
    endpoints: {
      ready,
      total: endpoints.length,
      ejected: endpoints.filter((each) => each.health === 'ejected').length,
    },
    waypoint,
    health: withEndpoints(health, { ready, total: endpoints.length }),
    inbound,
    p95Ms,
    findings: findings.filter((finding) => finding.resource === resource).length,
  };
}

/** Traffic to a service without endpoints fails, whatever it did before. */
function withEndpoints(health: Health, { ready, total }: { ready: number; total: number }): Health {
  return total > 0 && ready === 0
    ? { ...health, status: 'failing', reason: `none of ${total} endpoints is ready` }
    : health;
}

export function appRows(workloads: Iterable<WorkloadView>, traffic: TrafficOf): AppRow[] {
  const apps = Map.groupBy(
    [...workloads].filter(({ role }) => role === 'workload'),
    ({ namespace, app }) => appId(namespace, app),
  );
  return [...apps].map(([id, views]) => {
    const { health, inbound, outbound, p95Ms } = trafficOf(traffic, id);
    const replicas = views.reduce(
      (sum, { replicas: { ready, desired } }) => ({
        ready: sum.ready + ready,
        desired: sum.desired + desired,
      }),
      { ready: 0, desired: 0 },
    );
    return {
      id,
      namespace: views[0].namespace,
      name: views[0].app,
      versions: [...new Set(views.flatMap(({ versions }) => versions))].sort(),
      workloads: views.map(({ key }) => key).sort(),
      health: withReplicas(health, replicas),
      inbound,
      outbound,
      p95Ms,
    };
  });
}

export function namespaceRow(
  view: NamespaceView,
  from: {
    readonly workloads: readonly WorkloadRow[];
    readonly findings: readonly Finding[];
    readonly traffic: TrafficOf;
  },
): NamespaceRow {
  const { name, isEnrolled, waypoint, mtlsMode } = view;
  const traffic = trafficOf(from.traffic, namespaceId(name));
  return {
    name,
    isEnrolled,
    waypoint,
    workloads: from.workloads.length,
    health: worst(traffic.health, from.workloads),
    inbound: traffic.inbound,
    p95Ms: traffic.p95Ms,
    mtls: traffic.mtls,
    mtlsMode,
    findings: from.findings.filter(({ resource }) => namespaceOfResource(resource) === name).length,
    spark: traffic.spark,
  };
}

/** A namespace is as well as its traffic; a workload that fails in it is named. */
function worst(health: Health, workloads: readonly WorkloadRow[]): Health {
  const failing = workloads.filter((each) => each.health.status === 'failing');
  if (failing.length === 0 || health.status === 'failing') return health;
  const [first] = failing;
  const more = failing.length > 1 ? ` (and ${failing.length - 1} more)` : '';
  return {
    status: 'degraded',
    reason: `${first.name}${more}: ${first.health.reason}`,
    samples: health.samples,
  };
}

/** By name within namespaces: lists stay where they are while numbers change. */
export function byName<T extends { readonly namespace: string; readonly name: string }>(
  rows: readonly T[],
): T[] {
  return [...rows].sort((left, right) =>
    left.namespace === right.namespace
      ? compare(left.name, right.name)
      : compare(left.namespace, right.namespace),
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
