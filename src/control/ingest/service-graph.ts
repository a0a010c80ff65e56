/** The part of the mesh graph about services: Kubernetes Services, ServiceEntries, and the waypoints that they are bound to. */
import type { Collection, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { neededWaypoint, serviceKey } from '#model/service/service.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { LABEL, namespaceOf } from '../derive/mesh.ts';
import type { MeshConfig } from '../derive/mesh-config.ts';
import { entryVisibility, meshConfigKey, readMeshConfig } from '../derive/mesh-config.ts';
import { targetKeysOf } from '../derive/policy-target.ts';
import type { BoundService } from '../derive/service.ts';
import { deriveService, waypointKeysOf } from '../derive/service.ts';
import { checkedServiceEntry, deriveServiceEntry, oldestEntry } from '../derive/service-entry.ts';
import type { WaypointBinding } from '../derive/waypoint.ts';
import { bindWaypoint, deriveWaypoint } from '../derive/waypoint.ts';
import { checkedWorkloadEntry } from '../derive/workload.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { PolicyCollections, ServedBy } from './policy-graph.ts';

export type ServiceCollections = ReturnType<typeof serviceCollections>;

export function serviceCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: { sources: MeshSources; policies: PolicyCollections },
) {
  const { sources, policies } = from;
  const waypoints = graph.map('waypoints', sources.gateways, (gateway, reads) =>
    deriveWaypoint(gateway, reads.get(sources.gatewayClasses, gateway.spec.gatewayClassName), mesh),
  );
  const bind = (
    object: KubeObject,
    reads: Reads,
    options: { for: 'service' | 'workload'; confined?: boolean },
  ) => {
    const namespace = reads.get(sources.namespaces, namespaceOf(object))?.metadata;
    return bindWaypoint({
      ...options,
      unready: mesh.unreadyWaypoint,
      object,
      namespaceLabels: namespace?.labels,
      namespaceAnnotations: namespace?.annotations,
      waypoint: (key) => reads.get(waypoints, key),
    });
  };
  /** A policy for a service that no waypoint serves: its traffic waits for one. */
  const bindService = (
    object: KubeObject,
    reads: Reads,
    { kind, confined }: { kind: BoundService['kind']; confined?: boolean },
  ) => {
    const binding = bind(object, reads, { for: 'service', confined });
    if (binding.waypoint !== undefined || object.metadata.labels?.[LABEL.gatewayManaged])
      return binding;
    const { name } = object.metadata;
    const keys = targetKeysOf(
      { kind, namespace: namespaceOf(object), name },
      undefined,
      mesh.rootNamespace,
    );
    const needing = keys
      .flatMap((key) => reads.lookup(policies.byTarget, key))
      .find(({ unenforced, demanding }) => demanding && unenforced === 'deny');
    if (needing === undefined) return binding;
    const message = `${needing.kind} ${needing.namespace}/${needing.name} needs a waypoint, and the service has none; traffic is refused until it has: tulle waypoint apply -n ${namespaceOf(object)}`;
    return {
      waypoint: neededWaypoint(needing),
      key: undefined,
      condition: { status: 'False', reason: 'PolicyNeedsWaypoint', message },
    } satisfies WaypointBinding;
  };
  const kube = graph.flatMap('services.kube', sources.services, (object, reads) => {
    const namespace = reads.get(sources.namespaces, namespaceOf(object));
    const binding = bindService(object, reads, { kind: 'Service' });
    const bound = deriveService(object, { mesh, namespace, binding });
    return bound === undefined ? [] : [[serviceKey(bound.service), bound]];
  });
  const config = graph.map('meshConfig', sources.meshConfig, readMeshConfig);
  const meshConfig = (reads: Reads): MeshConfig => reads.get(config, meshConfigKey(mesh)) ?? {};
  const checked = keepLastGood(
    graph,
    'serviceEntries.checked',
    sources.serviceEntries,
    checkedServiceEntry,
  );
  const workloadEntries = keepLastGood(
    graph,
    'workloadEntries.checked',
    sources.workloadEntries,
    checkedWorkloadEntry,
  );
  const given = graph.flatMap('services.entries.given', checked.good, (object, reads) => {
    const namespace = reads.get(sources.namespaces, namespaceOf(object));
    const settings = meshConfig(reads);
    const visibility = entryVisibility(settings, namespace?.metadata.labels);
    const isVisibilitySet = settings.serviceEntryVisibility !== undefined;
    const confined = visibility === 'namespace';
    const binding = bindService(object, reads, { kind: 'ServiceEntry', confined });
    const context = { mesh, namespace, binding, visibility, isVisibilitySet };
    return deriveServiceEntry(object, context).map(
      ([service, bound]) => [`${service} ${object.metadata.name}`, bound] as const,
    );
  });
  const entries = entriesInForce(graph, given, kube);
  const bound = graph.join('services.bound', [kube, entries]);
  const byNamespace = graph.index('services.byNamespace', bound, ({ service }) => [
    service.namespace,
  ]);
  const byHostname = graph.index('services.byHostname', bound, ({ service }) => [service.hostname]);
  const podBindings = graph.map('pods.bindings', sources.pods, (pod, reads) => {
    const { waypoint, key } = bind(pod, reads, { for: 'workload' });
    return (
      waypoint && {
        waypoint,
        waypointKeys: key === undefined ? [] : [key],
        namespace: namespaceOf(pod),
      }
    );
  });
  const served = graph.join<ServedBy>('waypoints.served', [
    servedBy(graph, 'services', bound, (each) => ({
      namespace: each.service.namespace,
      waypointKeys: waypointKeysOf(each),
    })),
    servedBy(graph, 'pods', podBindings, (each) => each),
  ]);
  return {
    bind,
    bound,
    byNamespace,
    byHostname,
    podBindings,
    waypoints,
    served,
    meshConfig,
    serviceEntries: checked,
    workloadEntries,
  };
}

/** One value for each pair of namespace and waypoint, however many services or pods make it. */
function servedBy<T>(
  graph: Graph,
  name: string,
  bound: Collection<T>,
  pairOf: (value: T) => { namespace: string; waypointKeys: readonly string[] },
): Collection<ServedBy> {
  return graph.flatMap(`waypoints.served.${name}`, bound, (value) => {
    const { namespace, waypointKeys } = pairOf(value);
    return waypointKeys.map((waypointKey) => [
      `${namespace} ${waypointKey}`,
      { namespace, waypointKey },
    ]);
  });
}

/**
 * Of several entries of one namespace for one host the oldest is in force; of all namespaces' the oldest is canonical,
 * unless a Kubernetes Service has the name.
 */
function entriesInForce(
  graph: Graph,
  given: Collection<BoundService>,
  kube: Collection<BoundService>,
): Collection<BoundService> {
  const byKey = graph.index('services.entries.byKey', given, ({ service }) => [
    serviceKey(service),
  ]);
  const inForce = graph.map('services.entries.inForce', byKey, oldestEntry);
  const hostnames = (name: string, collection: Collection<BoundService>) =>
    graph.index(name, collection, ({ service }) => [service.hostname]);
  const entriesByHost = hostnames('services.entries.byHost', inForce);
  const kubeByHost = hostnames('services.kube.byHost', kube);
  return graph.map('services.entries', inForce, (entry, reads) => {
    const { hostname } = entry.service;
    const isTaken = reads.lookup(kubeByHost, hostname).length > 0;
    // One that its namespace keeps to itself stands for the host to nobody else.
    const open = reads
      .lookup(entriesByHost, hostname)
      .filter(({ service }) => service.visibility === 'public');
    const canonical = !isTaken && oldestEntry(open) === entry;
    return canonical ? { ...entry, service: { ...entry.service, canonical } } : entry;
  });
}
