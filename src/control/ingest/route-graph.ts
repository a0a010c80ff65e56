/**
 * The part of the mesh graph about routes: VirtualServices in force, and the route table of each service that a
 * waypoint serves. What a route leads to is upstream-graph.ts.
 */
import type { Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import { MESH_GATEWAY } from '#config/compile/full-names.ts';
import { buildRouteTable } from '#config/compile/route-table.ts';
import { waypointProxy } from '#config/compile/source-condition.ts';
import type { TargetLookup } from '#config/compile/target.ts';
import { upstreamNames } from '#config/compile/upstream-names.ts';
import {
  compileVirtualService,
  mergeDelegates,
  unservedHosts,
  withDefaultExport,
} from '#config/compile/virtual-service.ts';
import type { RouteTable } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { pathNormalization, trustDomainsOf } from '../derive/mesh-config.ts';
import { targetKeysOf } from '../derive/policy-target.ts';
import type { BoundService } from '../derive/service.ts';
import { waypointKeysOf } from '../derive/service.ts';
import type { DefaultRetries } from './default-retries.ts';
import type { GatewayApiCollections } from './gateway-api-graph.ts';
import { keepLastGood } from './last-good.ts';
import type { LimitCollections } from './limit-graph.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { PolicyCollections } from './policy-graph.ts';
import { judgingBy } from './policy-graph.ts';
import type { ServiceCollections } from './service-graph.ts';
import type { DestinationCollections, ProxyClient } from './upstream-graph.ts';

/** Key under which every wildcard host is indexed. */
export const WILDCARD = '*';

export interface BoundTable {
  readonly table: RouteTable;
  /** The waypoints that serve it. */
  readonly waypointKeys: readonly string[];
  /** Upstreams that its routes name; sorted. */
  readonly upstreams: readonly string[];
  readonly findings: readonly Finding[];
}

export type RouteCollections = ReturnType<typeof routeCollections>;

export function routeCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    policies: PolicyCollections;
    services: ServiceCollections;
    destinations: DestinationCollections;
    gatewayApi: GatewayApiCollections;
    limits: LimitCollections;
    retries: DefaultRetries;
  },
) {
  const { sources, services, destinations, gatewayApi, limits, retries } = from;
  const virtual = keepLastGood(
    graph,
    'virtualServices.compiled',
    sources.virtualServices,
    (object) => compileVirtualService(object, mesh),
  );
  const exported = graph.map('virtualServices.exported', virtual.good, (value, reads) =>
    withDefaultExport(value, services.meshConfig(reads).defaultVirtualServiceExportTo),
  );
  const merged = graph.map('virtualServices.merged', exported, (value, reads) =>
    mergeDelegates(value, (key) => reads.get(exported, key)),
  );
  const inForce = graph.map('virtualServices.inForce', merged, ({ value }) => value);
  // Those for gateways only are nothing to services: a gateway's * would else touch every table.
  const virtualByHost = graph.index('virtualServices.byHost', inForce, ({ hosts, gateways }) =>
    gateways.includes(MESH_GATEWAY)
      ? [...new Set(hosts.map((host) => (host.startsWith('*') ? WILDCARD : host)))]
      : [],
  );
  const unserved = graph.map('virtualServices.unserved', inForce, (value, reads) => ({
    findings: unservedHosts(value, (host) =>
      reads.lookup(services.byHostname, host).map(({ service, waypointKey }) => ({
        namespace: service.namespace,
        hasWaypoint: waypointKey !== undefined,
      })),
    ),
  }));
  /** As a proxy sees services and subsets. */
  const lookup = (client: ProxyClient, reads: Reads): TargetLookup => ({
    resolve: (hostname, namespace) =>
      preferred(reads.lookup(services.byHostname, hostname), namespace)?.service,
    subsets: (target) => {
      const shaped =
        destinations.policiesFor(target, client, reads) ??
        reads.get(destinations.policies, serviceKey(target));
      return new Set(shaped?.subsets.map(({ name }) => name));
    },
  });
  const routeTables = graph.map('routeTables', services.bound, (bound, reads) => {
    const { service, waypointKey } = bound;
    if (waypointKey === undefined) return undefined;
    const [namespace] = waypointKey.split('/', 1);
    // A VirtualService may claim the host exactly and by a wildcard: it stands in both groups.
    const virtualServices = new Set([
      ...reads.lookup(virtualByHost, service.hostname),
      ...reads.lookup(virtualByHost, WILDCARD),
    ]);
    const attached = gatewayApi.attachedTo(serviceKey(service), reads);
    const { table, findings } = buildRouteTable({
      service,
      virtualServices,
      ...lookup({ namespace }, reads),
      defaultRetries: retries.get(reads),
      proxy: waypointProxy(namespace),
      attached: attached.http,
      attachedL4: attached.l4,
    });
    const { kind } = bound;
    const waypointKeys = waypointKeysOf(bound);
    const targets = waypointKeys.flatMap((key) => {
      const className = reads.get(services.waypoints, key)?.className;
      const waypoint = className === undefined ? undefined : { key, className };
      return targetKeysOf({ ...service, kind }, waypoint, mesh.rootNamespace);
    });
    const policies = new Set(targets.flatMap((key) => reads.lookup(from.policies.byTarget, key)));
    const upstreams = upstreamNames(table.ports);
    const limited = limits.bind(table, [...new Set(targets)], reads);
    const meshConfig = services.meshConfig(reads);
    const normalization = pathNormalization(meshConfig);
    const judging = judgingBy([...policies], 'waypoint', trustDomainsOf(mesh, meshConfig));
    const whole = {
      ...limited,
      ...judging,
      ...(normalization && { pathNormalization: normalization }),
    };
    return { table: whole, waypointKeys, upstreams, findings };
  });
  return {
    routeTables,
    /** Delegates merged. */
    virtualServices: inForce,
    lookup,
    defaultRetries: retries.good,
    findings: [virtual.kept, merged, unserved, retries.kept],
  };
}

/** Of several services with one host name: the asker's namespace, then Kubernetes' own, then the oldest. */
export function preferred(
  services: readonly BoundService[],
  namespace: string,
): BoundService | undefined {
  const rank = ({ service }: { service: Service }) =>
    (service.namespace === namespace ? 2 : 0) + (service.canonical ? 1 : 0);
  let best: BoundService | undefined;
  for (const each of services) {
    const better = best === undefined || rank(each) > rank(best);
    if (better || (best && rank(each) === rank(best) && each.createdAt < best.createdAt))
      best = each;
  }
  return best;
}
