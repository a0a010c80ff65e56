/**
 * The control plane's derivations as one graph: Kubernetes objects at the top, the resources of control/push at the
 * bottom. Everything between is pure (control/derive, config/compile); only what a change touches is computed anew.
 *
 *   gateways ─ waypoints ─┐
 *   services, entries ────┴─ boundServices ─┬─ policies ── routeTables ── upstreams
 *   pods, entries ── workloads ─────────────┴─ addresses        (only of services that a waypoint serves)
 */
import type { Collection, Reads, SourceCollection } from '#collections/collection.ts';
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
import { deriveAuthorization } from '../derive/authorization.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { namespaceOf, selectsAll } from '../derive/mesh.ts';
import type { PeerAuthenticationObject } from '../derive/peer-authentication.ts';
import {
  convertPeerAuthentication,
  peerAuthenticationKeys,
  staticStrict,
} from '../derive/peer-authentication.ts';
import type { BoundService, ServiceEntryObject } from '../derive/service.ts';
import { deriveService, deriveServiceEntry } from '../derive/service.ts';
import { bindWaypoint, deriveWaypoint } from '../derive/waypoint.ts';
import type { WorkloadEntryObject } from '../derive/workload.ts';
import { deriveInlineEndpoints, derivePod, deriveWorkloadEntry } from '../derive/workload.ts';
import type { AddressValue } from '../push/resource-source.ts';
import { keepLastGood } from './last-good.ts';

export interface MeshSources {
  readonly namespaces: SourceCollection<Kinds.Namespace>;
  readonly nodes: SourceCollection<Kinds.Node>;
  readonly pods: SourceCollection<Kinds.Pod>;
  readonly services: SourceCollection<Kinds.Service>;
  readonly serviceEntries: SourceCollection<ServiceEntryObject>;
  readonly workloadEntries: SourceCollection<WorkloadEntryObject>;
  readonly authorizationPolicies: SourceCollection<KubeObject & AuthorizationPolicyObject>;
  readonly peerAuthentications: SourceCollection<KubeObject & PeerAuthenticationObject>;
  readonly gatewayClasses: SourceCollection<KubeObject>;
  readonly gateways: SourceCollection<Kinds.Gateway>;
  readonly virtualServices: SourceCollection<KubeObject & VirtualServiceObject>;
  readonly destinationRules: SourceCollection<KubeObject & DestinationRuleObject>;
}

export interface BoundTable {
  readonly table: RouteTable;
  readonly waypointKey: string;
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
  /** Everything that is wrong with the configuration now. */
  findings(): Finding[];
}

/** Key under which every wildcard host is indexed. */
const WILDCARD = '*';

export function createMeshGraph(graph: Graph, mesh: MeshSettings): MeshGraph {
  const sources = createSources(graph);
  const services = serviceCollections(graph, mesh, sources);
  const security = securityCollections(graph, mesh, sources);
  const workloads = workloadCollections(graph, mesh, { sources, services, security });
  const l7 = routeCollections(graph, mesh, { sources, services, workloads });
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
    findings: () => [...security.findings(), ...l7.findings()],
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
    gatewayClasses: graph.source('gatewayClasses'),
    gateways: graph.source('gateways'),
    virtualServices: graph.source('virtualServices'),
    destinationRules: graph.source('destinationRules'),
  };
}

function serviceCollections(graph: Graph, mesh: MeshSettings, sources: MeshSources) {
  const waypoints = graph.map('waypoints', sources.gateways, (gateway, reads) =>
    deriveWaypoint(gateway, reads.get(sources.gatewayClasses, gateway.spec.gatewayClassName)),
  );
  const bind = (object: KubeObject, reads: Reads, kind: 'service' | 'workload') =>
    bindWaypoint({
      object,
      namespaceLabels: reads.get(sources.namespaces, namespaceOf(object))?.metadata.labels,
      for: kind,
      waypoint: (key) => reads.get(waypoints, key),
    });
  const kube = graph.flatMap('services.kube', sources.services, (object, reads) => {
    const namespace = reads.get(sources.namespaces, namespaceOf(object));
    const binding = bind(object, reads, 'service');
    const bound = deriveService(object, { mesh, namespace, binding });
    return bound === undefined ? [] : [[serviceKey(bound.service), bound]];
  });
  const entries = graph.flatMap('services.entries', sources.serviceEntries, (object, reads) =>
    deriveServiceEntry(object, { mesh, binding: bind(object, reads, 'service') }),
  );
  const bound = graph.join('services.bound', [kube, entries]);
  const byNamespace = graph.index('services.byNamespace', bound, ({ service }) => [
    service.namespace,
  ]);
  const byHostname = graph.index('services.byHostname', bound, ({ service }) => [service.hostname]);
  return { bind, bound, byNamespace, byHostname };
}

function securityCollections(graph: Graph, mesh: MeshSettings, sources: MeshSources) {
  const { rootNamespace } = mesh;
  const { kept, good } = keepLastGood(
    graph,
    'authorizationPolicies.derived',
    sources.authorizationPolicies,
    (object) => deriveAuthorization(object, { rootNamespace }),
  );
  const bySelector = graph.index(
    'authorizations.bySelector',
    good,
    ({ authorization, selector }) => (selector === undefined ? [] : [authorization.namespace]),
  );
  const peerByNamespace = graph.index(
    'peers.byNamespace',
    sources.peerAuthentications,
    (object) => [namespaceOf(object)],
  );
  const peersFor = (namespace: string, reads: Reads) =>
    namespace === rootNamespace
      ? reads.lookup(peerByNamespace, rootNamespace)
      : [
          ...reads.lookup(peerByNamespace, namespace),
          ...reads.lookup(peerByNamespace, rootNamespace),
        ];
  const converted = graph.flatMap(
    'peers.converted',
    sources.peerAuthentications,
    (object, reads) => {
      const others = peersFor(namespaceOf(object), reads);
      const fixed = staticStrict(rootNamespace);
      const own = convertPeerAuthentication(object, others, rootNamespace);
      return [fixed, ...(own === undefined ? [] : [own])].map(
        (policy) => [`${policy.namespace}/${policy.name}`, policy] as const,
      );
    },
  );
  const authorizations = graph.join('authorizations', [
    graph.map('authorizations.l4', good, ({ authorization }) => authorization),
    converted,
  ]);
  /** Names of the selector policies in force for a workload, sorted. */
  const policiesFor = (
    workload: { namespace: string; labels: Readonly<Record<string, string>> | undefined },
    reads: Reads,
  ): string[] => {
    const { namespace, labels } = workload;
    const candidates = new Set(
      [namespace, rootNamespace].flatMap((each) => reads.lookup(bySelector, each)),
    );
    const names = [...candidates]
      .filter(({ selector }) => selectsAll(selector, labels))
      .map(({ authorization }) => `${authorization.namespace}/${authorization.name}`);
    const peers = peerAuthenticationKeys(workload, peersFor(namespace, reads), rootNamespace);
    return [...names, ...peers].sort();
  };
  const findings = () => [...kept.entries()].flatMap(([, { findings }]) => findings);
  return { authorizations, policiesFor, findings };
}

function workloadCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    services: ReturnType<typeof serviceCollections>;
    security: ReturnType<typeof securityCollections>;
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
    waypoint: services.bind(object, reads, 'workload').waypoint,
    policies: security.policiesFor({ namespace: namespaceOf(object), labels }, reads),
  });
  const pods = graph.flatMap('workloads.pods', sources.pods, (pod, reads) => {
    const node = reads.get(sources.nodes, pod.spec.nodeName ?? '');
    return keyed(derivePod(pod, { ...context(pod, pod.metadata.labels, reads), node }));
  });
  const entries = graph.flatMap('workloads.entries', sources.workloadEntries, (entry, reads) => {
    const labels = { ...entry.metadata.labels, ...entry.spec?.labels };
    return keyed(deriveWorkloadEntry(entry, context(entry, labels, reads)));
  });
  const inline = graph.flatMap('workloads.inline', sources.serviceEntries, (entry, reads) => {
    const keys = (entry.spec?.hosts ?? []).map((host) => `${namespaceOf(entry)}/${host}`);
    const own = keys.flatMap((key) => reads.get(services.bound, key) ?? []);
    return deriveInlineEndpoints(entry, { mesh, services: own });
  });
  return graph.join('workloads', [pods, entries, inline]);
}

function routeCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    services: ReturnType<typeof serviceCollections>;
    workloads: Collection<LabeledWorkload>;
  },
) {
  const { sources, services, workloads } = from;
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
  const policies = graph.map(
    'policies',
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
        new Set(reads.get(policies, serviceKey(target))?.subsets.map(({ name }) => name)),
      proxyNamespace: waypointKey.split('/', 1)[0],
    });
    return { table, waypointKey, upstreams: upstreamsOf(table), findings };
  });
  const references = graph.index('routeTables.byUpstream', routeTables, (bound) => bound.upstreams);
  const members = graph.index('workloads.byService', workloads, ({ workload }) => [
    ...workload.services.keys(),
  ]);
  const upstreams = graph.map('upstreams', services.bound, ({ service }, reads, key) => {
    if (reads.lookup(references, key).length === 0) return undefined;
    const shaped = reads.get(policies, key);
    return shaped && buildUpstream(service, shaped, reads.lookup(members, key));
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
