/**
 * What the console shows of workloads, services and splits, as collections of their own at the end of the graph: a change makes anew the
 * rows that it is about. All rows at once take a tenth of a second in a large mesh, and the control loop must not be held for them.
 */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { EjectedEndpoint } from '#console/api/graph.ts';
import type { ServiceView, SplitView, WorkloadView } from '#console/mesh-view.ts';
import type { GatewayAddress } from '#model/service/service.ts';
import type { MeshSettings } from '../../derive/mesh.ts';
import type { MeshGraph } from '../../ingest/mesh-graph.ts';
import { serviceView } from './services.ts';
import { splitViews } from './splits.ts';
import { HEALTH_RATE, workloadKeyOf, workloadKeyOfPod, workloadView } from './workloads.ts';

export interface ViewCollections {
  /** By `namespace/name`. */
  readonly workloads: Collection<WorkloadView>;
  /** By service key. */
  readonly services: Collection<ServiceView>;
  readonly splits: Collection<SplitView>;
}

export function viewCollections(
  graph: Graph,
  mesh: MeshGraph,
  { settings, ejected }: { settings: MeshSettings; ejected: () => readonly EjectedEndpoint[] },
): ViewCollections {
  return {
    workloads: workloadCollection(graph, mesh, settings.clusterId),
    services: serviceCollection(graph, mesh, ejected),
    splits: graph.flatMap('view.splits', mesh.routeTables, ({ table }, reads) => [
      ...splitViews(table, {
        upstream: (key) => reads.get(mesh.upstreams, key),
        members: (key) => reads.lookup(mesh.members, key),
      }),
    ]),
  };
}

function workloadCollection(
  graph: Graph,
  mesh: MeshGraph,
  clusterId: string,
): Collection<WorkloadView> {
  const { sources } = mesh;
  const pods = graph.index('view.podsByWorkload', sources.pods, (pod) => {
    const key = workloadKeyOfPod(pod);
    return key === undefined ? [] : [key];
  });
  const members = graph.index('view.members', mesh.workloads, ({ workload }) => {
    const key = workloadKeyOf(workload, clusterId);
    return key === undefined ? [] : [key];
  });
  const waypoints = graph.index('view.waypoints', mesh.parts.services.waypoints, ({ address }) =>
    address === undefined ? [] : addressKeys(address),
  );
  const keys = graph.join<unknown>('view.workloadKeys', [pods, members]);
  return graph.map('view.workloads', keys, (_, reads, key) =>
    workloadView(
      { key, pods: reads.lookup(pods, key), members: reads.lookup(members, key) },
      {
        clusterId,
        namespace: (name) => reads.get(sources.namespaces, name),
        waypointOf: (address) => {
          const [known] = address === undefined ? [] : addressKeys(address);
          return known === undefined ? '' : (reads.lookup(waypoints, known).at(-1)?.key ?? '');
        },
      },
    ),
  );
}

/** A waypoint is known to workloads by its host name or its address. */
function addressKeys({ service, address }: GatewayAddress): string[] {
  return [
    ...(service === undefined ? [] : [`${service.namespace}/${service.hostname}`]),
    ...(address === undefined ? [] : [address.address]),
  ];
}

function serviceCollection(
  graph: Graph,
  mesh: MeshGraph,
  ejected: () => readonly EjectedEndpoint[],
): Collection<ServiceView> {
  const { serviceEntries, services } = mesh.sources;
  return graph.map('view.services', mesh.services, (bound, reads, key) =>
    serviceView(bound, {
      members: reads.lookup(mesh.members, key),
      isExternal: (entry) =>
        reads.get(serviceEntries, `${entry.namespace}/${entry.name}`)?.spec?.location !==
        'MESH_INTERNAL',
      ejected,
      healthRate: ({ namespace, name }) =>
        reads.get(services, `${namespace}/${name}`)?.metadata.annotations?.[HEALTH_RATE],
    }),
  );
}
