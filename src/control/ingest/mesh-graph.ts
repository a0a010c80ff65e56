/**
 * The control plane's derivations as one graph: Kubernetes objects at the top, the resources of control/push at the
 * bottom. Everything between is pure (control/derive, config/compile); only what a change touches is computed anew.
 *
 *   gateways ─ waypoints ─┐
 *   services, entries ────┴─ boundServices ─┬─ policies ── routeTables ── upstreams
 *   pods, entries ── workloads ─────────────┴─ addresses        (only of services that a waypoint serves)
 */
import type { Collection, Index, Reads, SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type {
  CompiledDestinationRule,
  DestinationPolicies,
} from '#config/compile/destination-rule.ts';
import { compileDestinationRule, destinationPolicies } from '#config/compile/destination-rule.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { DestinationRuleObject, VirtualServiceObject } from '#config/compile/istio-kinds.ts';
import { buildRouteTable } from '#config/compile/route-table.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import { buildUpstream } from '#config/compile/upstream.ts';
import { compileVirtualService } from '#config/compile/virtual-service.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { AuthorizationPolicyObject } from '../derive/authorization.ts';
import { deriveEndpointSlice, serviceOfSlice } from '../derive/endpoint-slice.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { namespaceOf } from '../derive/mesh.ts';
import type { MeshConfigObject } from '../derive/mesh-config.ts';
import type { PeerAuthenticationObject } from '../derive/peer-authentication.ts';
import { targetKeysOf } from '../derive/policy-target.ts';
import type { RequestAuthenticationObject } from '../derive/request-authentication.ts';
import type { BoundService } from '../derive/service.ts';
import { waypointKeysOf } from '../derive/service.ts';
import type { ServiceEntryObject } from '../derive/service-entry.ts';
import type { WorkloadEntryObject } from '../derive/workload.ts';
import { deriveInlineEndpoints, derivePod, deriveWorkloadEntry } from '../derive/workload.ts';
import type { AddressValue } from '../push/resource-source.ts';
import { keepLastGood } from './last-good.ts';
import type { PolicyCollections } from './policy-graph.ts';
import { authorizationCollections, denialBy, policyCollections } from './policy-graph.ts';
import type { PolicyStatus } from './policy-status.ts';
import { policyStatusCollection, statusFindings } from './policy-status.ts';
import type { ServiceCollections } from './service-graph.ts';
import { serviceCollections } from './service-graph.ts';

export interface MeshSources {
  readonly namespaces: SourceCollection<Kinds.Namespace>;
  readonly nodes: SourceCollection<Kinds.Node>;
  readonly pods: SourceCollection<Kinds.Pod>;
  readonly services: SourceCollection<Kinds.Service>;
  readonly serviceEntries: SourceCollection<ServiceEntryObject>;
  readonly workloadEntries: SourceCollection<WorkloadEntryObject>;
  readonly authorizationPolicies: SourceCollection<KubeObject & AuthorizationPolicyObject>;
  readonly peerAuthentications: SourceCollection<KubeObject & PeerAuthenticationObject>;
  readonly requestAuthentications: SourceCollection<KubeObject & RequestAuthenticationObject>;
  readonly gatewayClasses: SourceCollection<KubeObject>;
  readonly gateways: SourceCollection<Kinds.Gateway>;
  readonly endpointSlices: SourceCollection<Kinds.EndpointSlice>;
  /** One object at most. */
  readonly meshConfig: SourceCollection<MeshConfigObject>;
  readonly virtualServices: SourceCollection<KubeObject & VirtualServiceObject>;
  readonly destinationRules: SourceCollection<KubeObject & DestinationRuleObject>;
}

export interface BoundTable {
  readonly table: RouteTable;
  /** The waypoints that serve it. */
  readonly waypointKeys: readonly string[];
  /** Upstreams that its routes name; sorted. */
  readonly upstreams: readonly string[];
  readonly findings: readonly Finding[];
}

export interface MeshGraph {
  readonly sources: MeshSources;
  readonly services: Collection<BoundService>;
  readonly workloads: Collection<LabeledWorkload>;
  readonly addresses: Collection<AddressValue>;
  readonly authorizations: Collection<Authorization>;
  readonly routeTables: Collection<BoundTable>;
  readonly upstreams: Collection<Upstream>;
  readonly policyStatuses: Collection<PolicyStatus>;
  /** ServiceEntries by every address that they have, given or allocated. */
  readonly entriesByAddress: Index<ServiceEntryObject>;
  /** Everything that is wrong with the configuration now. */
  findings(): Finding[];
}

/** Key under which every wildcard host is indexed. */
const WILDCARD = '*';

export function createMeshGraph(graph: Graph, mesh: MeshSettings): MeshGraph {
  const sources = createSources(graph);
  const policies = policyCollections(graph, mesh, sources);
  const services = serviceCollections(graph, mesh, { sources, policies });
  const { derived } = policies;
  const { served } = services;
  const security = authorizationCollections(graph, mesh, { sources, derived, served });
  const workloads = workloadCollections(graph, mesh, { sources, services, security });
  const l7 = routeCollections(graph, mesh, { sources, policies, services, security, workloads });
  const policyStatuses = policyStatusCollection(graph, mesh, {
    sources,
    kept: policies.kept,
    services: services.bound,
    waypoints: services.waypoints,
  });
  const addresses = graph.join<AddressValue>('addresses', [
    graph.map('addresses.workloads', workloads, ({ workload }) => ({ kind: 'workload', workload })),
    graph.map('addresses.services', services.bound, ({ service }) => ({
      kind: 'service',
      service,
    })),
  ]);
  return {
    sources,
    services: services.bound,
    workloads,
    addresses,
    authorizations: security.authorizations,
    routeTables: l7.routeTables,
    upstreams: l7.upstreams,
    policyStatuses,
    entriesByAddress: graph.index('serviceEntries.byAddress', sources.serviceEntries, (entry) => [
      ...(entry.spec?.addresses ?? []),
      ...(entry.status?.addresses ?? []).flatMap(({ value }) => value ?? []),
    ]),
    findings: () => [...policies.findings(), ...statusFindings(policyStatuses), ...l7.findings()],
  };
}

function createSources(graph: Graph): MeshSources {
  return {
    namespaces: graph.source('namespaces'),
    nodes: graph.source('nodes'),
    pods: graph.source('pods'),
    services: graph.source('services'),
    serviceEntries: graph.source('serviceEntries'),
    workloadEntries: graph.source('workloadEntries'),
    authorizationPolicies: graph.source('authorizationPolicies'),
    peerAuthentications: graph.source('peerAuthentications'),
    requestAuthentications: graph.source('requestAuthentications'),
    gatewayClasses: graph.source('gatewayClasses'),
    gateways: graph.source('gateways'),
    endpointSlices: graph.source('endpointSlices'),
    meshConfig: graph.source('meshConfig'),
    virtualServices: graph.source('virtualServices'),
    destinationRules: graph.source('destinationRules'),
  };
}

function workloadCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    services: ServiceCollections;
    security: ReturnType<typeof authorizationCollections>;
  },
): Collection<LabeledWorkload> {
  const { sources, services, security } = from;
  const keyed = (labeled: LabeledWorkload | undefined): [string, LabeledWorkload][] =>
    labeled === undefined ? [] : [[labeled.workload.uid, labeled]];
  const context = (
    object: KubeObject,
    labels: Record<string, string> | undefined,
    reads: Reads,
  ) => ({
    mesh,
    services: reads.lookup(services.byNamespace, namespaceOf(object)),
    policies: security.policiesFor({ namespace: namespaceOf(object), labels }, reads),
  });
  const pods = graph.flatMap('workloads.pods', sources.pods, (pod, reads, key) => {
    const node = reads.get(sources.nodes, pod.spec.nodeName ?? '');
    const waypoint = reads.get(services.podBindings, key)?.waypoint;
    return keyed(derivePod(pod, { ...context(pod, pod.metadata.labels, reads), node, waypoint }));
  });
  const entries = graph.flatMap('workloads.entries', sources.workloadEntries, (entry, reads) => {
    const labels = { ...entry.metadata.labels, ...entry.spec?.labels };
    const { waypoint } = services.bind(entry, reads, { for: 'workload' });
    return keyed(deriveWorkloadEntry(entry, { ...context(entry, labels, reads), waypoint }));
  });
  const inline = graph.flatMap('workloads.inline', sources.serviceEntries, (entry, reads) => {
    const keys = (entry.spec?.hosts ?? []).map((host) => `${namespaceOf(entry)}/${host}`);
    const own = keys
      .flatMap((key) => reads.get(services.bound, key) ?? [])
      // Another object of the namespace may have the host.
      .filter(({ kind, service }) => isOf(entry, kind, service));
    return deriveInlineEndpoints(entry, { mesh, services: own });
  });
  const slices = graph.flatMap('workloads.slices', sources.endpointSlices, (slice, reads) => {
    const service = reads.get(services.bound, serviceOfSlice(slice, mesh) ?? '');
    return service === undefined ? [] : deriveEndpointSlice(slice, { mesh, service });
  });
  return graph.join('workloads', [pods, entries, inline, slices]);
}

function isOf(entry: ServiceEntryObject, kind: BoundService['kind'], service: Service): boolean {
  return kind === 'ServiceEntry' && service.name === entry.metadata.name;
}

function routeCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    policies: PolicyCollections;
    services: ServiceCollections;
    security: ReturnType<typeof authorizationCollections>;
    workloads: Collection<LabeledWorkload>;
  },
) {
  const { sources, services, security, workloads } = from;
  const hostKey = (host: string) => (host.startsWith('*') ? WILDCARD : host);
  const virtual = keepLastGood(
    graph,
    'virtualServices.compiled',
    sources.virtualServices,
    (object) => compileVirtualService(object, mesh),
  );
  const virtualByHost = graph.index('virtualServices.byHost', virtual.good, ({ hosts }) => [
    ...new Set(hosts.map(hostKey)),
  ]);
  const rules = keepLastGood(
    graph,
    'destinationRules.compiled',
    sources.destinationRules,
    (object) => compileDestinationRule(object, mesh),
  );
  const rulesByHost = graph.index('destinationRules.byHost', rules.good, ({ host }) => [
    hostKey(host),
  ]);
  const shapes = graph.map(
    'destinationPolicies',
    services.bound,
    ({ service }, reads): DestinationPolicies => {
      const candidates: CompiledDestinationRule[] = [
        ...reads.lookup(rulesByHost, service.hostname),
        ...reads.lookup(rulesByHost, WILDCARD),
      ];
      return destinationPolicies(service, candidates, mesh.rootNamespace);
    },
  );
  const routeTables = graph.map('routeTables', services.bound, (bound, reads) => {
    const { service, waypointKey } = bound;
    if (waypointKey === undefined) return undefined;
    // A VirtualService may claim the host exactly and by a wildcard: it stands in both groups.
    const virtualServices = new Set([
      ...reads.lookup(virtualByHost, service.hostname),
      ...reads.lookup(virtualByHost, WILDCARD),
    ]);
    const { table, findings } = buildRouteTable({
      service,
      virtualServices,
      resolve: (hostname, namespace) =>
        preferred(reads.lookup(services.byHostname, hostname), namespace)?.service,
      subsets: (target) =>
        new Set(reads.get(shapes, serviceKey(target))?.subsets.map(({ name }) => name)),
      proxyNamespace: waypointKey.split('/', 1)[0],
    });
    const { kind } = bound;
    const waypointKeys = waypointKeysOf(bound);
    const targets = waypointKeys.flatMap((key) => {
      const className = reads.get(services.waypoints, key)?.className;
      const waypoint = className === undefined ? undefined : { key, className };
      return targetKeysOf({ ...service, kind }, waypoint, mesh.rootNamespace);
    });
    const policies = new Set(targets.flatMap((key) => reads.lookup(from.policies.byTarget, key)));
    const denied = denialBy([...policies]);
    const upstreams = upstreamsOf(table);
    return { table: denied ? { ...table, denied } : table, waypointKeys, upstreams, findings };
  });
  const references = graph.index('routeTables.byUpstream', routeTables, (bound) => bound.upstreams);
  const members = graph.index('workloads.byService', workloads, ({ workload }) => [
    ...workload.services.keys(),
  ]);
  const captured = graph.index('workloads.capturedByAddress', workloads, ({ workload }) =>
    workload.protocol === 'hbone' && !workload.hostNetwork ? workload.addresses : [],
  );
  const upstreams = graph.map('upstreams', services.bound, ({ service }, reads, key) => {
    if (reads.lookup(references, key).length === 0) return undefined;
    const shaped = reads.get(shapes, key);
    if (shaped === undefined) return undefined;
    const endpoints = reads.lookup(members, key);
    const upstream = buildUpstream(service, shaped, endpoints, (address) =>
      reads.lookup(captured, address).at(0),
    );
    const workloadsOf = endpoints.map(({ workload }) => workload);
    const denied = denialBy(security.unjudgedBy(workloadsOf, reads));
    return denied ? { ...upstream, denied } : upstream;
  });
  const findings = () =>
    [virtual.kept, rules.kept, routeTables].flatMap(
      (each: Collection<{ findings: readonly Finding[] }>) =>
        [...each.entries()].flatMap(([, { findings }]) => findings),
    );
  return { routeTables, upstreams, findings };
}

/** Of several services with one host name: the asker's namespace, then Kubernetes' own, then the oldest. */
function preferred(services: readonly BoundService[], namespace: string): BoundService | undefined {
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

function upstreamsOf(table: RouteTable): string[] {
  const names = new Set<string>();
  for (const { routes } of table.ports)
    for (const { action } of routes)
      if (action.kind === 'forward')
        for (const { upstream } of action.destinations) names.add(upstream);
  return [...names].sort();
}
