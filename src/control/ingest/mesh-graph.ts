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
import type { DestinationRuleObject } from '#config/compile/destination-rule-kinds.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { GatewayObject } from '#config/compile/gateway-api/kinds.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { VirtualServiceObject } from '#config/compile/virtual-service-kinds.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import type { TlsMaterial } from '#model/route/gateway-config.ts';
import type { Upstream } from '#model/route/route-table.ts';
import { type Service, serviceKey } from '#model/service/service.ts';
import type { PortMapping } from '#model/workload/workload.ts';
import type { AuthorizationPolicyObject } from '../derive/authorization.ts';
import {
  deriveEndpointSlice,
  membershipBySlice,
  podsOfSlice,
  serviceOfSlice,
} from '../derive/endpoint-slice.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { namespaceOf } from '../derive/mesh.ts';
import type { MeshConfigObject } from '../derive/mesh-config.ts';
import type { PeerAuthenticationObject } from '../derive/peer-authentication.ts';
import type { RequestAuthenticationObject } from '../derive/request-authentication.ts';
import { type BoundService, waypointKeysOf } from '../derive/service.ts';
import type { ServiceEntryObject } from '../derive/service-entry.ts';
import type { WorkloadEntryObject } from '../derive/workload.ts';
import { deriveInlineEndpoints, derivePod, deriveWorkloadEntry } from '../derive/workload.ts';
import type { AddressValue } from '../push/resource-source.ts';
import { backendTlsCollections } from './backend-tls-graph.ts';
import { defaultRetries } from './default-retries.ts';
import type { BoundGateway, GatewayApiCollections } from './gateway-api-graph.ts';
import { gatewayApiCollections } from './gateway-api-graph.ts';
import type { GatewayApiSources } from './gateway-api-sources.ts';
import { gatewayApiSources } from './gateway-api-sources.ts';
import type { GatewayApiStatus } from './gateway-api-status.ts';
import { gatewayApiStatusCollection } from './gateway-api-status.ts';
import type { GatewayProxy } from './gateway-proxy-graph.ts';
import { gatewayProxyCollection } from './gateway-proxy-graph.ts';
import type { BoundIstioGateways, IstioGatewaySources } from './istio-gateway-graph.ts';
import { istioGatewayCollections, istioGatewaySources } from './istio-gateway-graph.ts';
import { type LimitSources, limitCollections, limitSources } from './limit-graph.ts';
import { type OwnPods, ownPods } from './own-pods.ts';
import type { AuthorizationCollections, PolicyCollections } from './policy-graph.ts';
import { authorizationCollections, policyCollections } from './policy-graph.ts';
import type { PolicyStatus } from './policy-status.ts';
import { policyStatusCollection, statusFindings } from './policy-status.ts';
import type { BoundTable, RouteCollections } from './route-graph.ts';
import { routeCollections } from './route-graph.ts';
import type { ServiceCollections } from './service-graph.ts';
import { serviceCollections } from './service-graph.ts';
import { type BoundTelemetry, telemetryCollections } from './telemetry-graph.ts';
import { tlsMaterialCollection } from './tls-materials.ts';
import type { DestinationCollections } from './upstream-graph.ts';
import { destinationCollections, upstreamCollection } from './upstream-graph.ts';

export interface MeshSources extends GatewayApiSources, IstioGatewaySources, LimitSources {
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
  readonly gateways: SourceCollection<Kinds.Gateway & GatewayObject>;
  readonly endpointSlices: SourceCollection<Kinds.EndpointSlice>;
  /** One object at most. */
  readonly meshConfig: SourceCollection<MeshConfigObject>;
  readonly virtualServices: SourceCollection<KubeObject & VirtualServiceObject>;
  readonly destinationRules: SourceCollection<KubeObject & DestinationRuleObject>;
}

export interface MeshGraph {
  readonly sources: MeshSources;
  readonly services: Collection<BoundService>;
  readonly workloads: Collection<LabeledWorkload>;
  /** By service key. */
  readonly members: Index<LabeledWorkload>;
  /** By `namespace/name` of each waypoint that serves them. */
  readonly servedBy: Index<BoundService>;
  readonly ownPods: OwnPods;
  readonly addresses: Collection<AddressValue>;
  readonly authorizations: Collection<Authorization>;
  readonly routeTables: Collection<BoundTable>;
  /** By `namespace/name` of the pod: what each gateway proxy serves, of both kinds of Gateways. */
  readonly gatewayProxies: Collection<GatewayProxy>;
  readonly tlsMaterials: Collection<TlsMaterial>;
  /** By `namespace/name` of the Gateway (Gateway API). */
  readonly gatewayConfigs: Collection<BoundGateway>;
  /** By `namespace/name` of the pod: what Istio Gateways have it serve. */
  readonly istioGatewayConfigs: Collection<BoundIstioGateways>;
  readonly upstreams: Collection<Upstream>;
  /** By scope: what is measured, logged and traced there. */
  readonly telemetry: Collection<BoundTelemetry>;
  /** What the above is made of: for what another proxy than ours would decide (a client's sidecar, in `why`). */
  readonly parts: MeshParts;
  readonly policyStatuses: Collection<PolicyStatus>;
  readonly gatewayApiStatuses: Collection<GatewayApiStatus>;
  /** ServiceEntries by every address that they have, given or allocated. */
  readonly entriesByAddress: Index<ServiceEntryObject>;
  /** Everything that is wrong with the configuration now. */
  findings(): Finding[];
}

export interface MeshParts {
  readonly services: ServiceCollections;
  readonly policies: PolicyCollections;
  readonly destinations: DestinationCollections;
  readonly gatewayApi: GatewayApiCollections;
  readonly routes: RouteCollections;
}

export function createMeshGraph(graph: Graph, mesh: MeshSettings): MeshGraph {
  const sources = createSources(graph);
  const policies = policyCollections(graph, mesh, sources);
  const services = serviceCollections(graph, mesh, { sources, policies });
  const { derived } = policies;
  const { served } = services;
  const security = authorizationCollections(graph, mesh, { sources, derived, served });
  const workloads = workloadCollections(graph, mesh, { sources, services, security });
  const destinations = destinationCollections(graph, mesh, { sources, services });
  const retries = defaultRetries(graph, mesh, sources);
  const gatewayApi = gatewayApiCollections(graph, mesh, { sources, services, retries });
  const limits = limitCollections(graph, sources);
  const routes = routeCollections(graph, mesh, {
    sources,
    policies,
    services,
    destinations,
    gatewayApi,
    limits,
    retries,
  });
  const { routeTables } = routes;
  const istioGateways = istioGatewayCollections(graph, mesh, {
    sources,
    services,
    routes,
    workloads,
  });
  const gatewayProxies = gatewayProxyCollection(graph, mesh, {
    policies,
    sources,
    services,
    gatewayConfigs: gatewayApi.gatewayConfigs,
    istioGatewayConfigs: istioGateways.configs,
  });
  const servedBy = graph.index('services.byWaypoint', services.bound, waypointKeysOf);
  const telemetry = telemetryCollections(graph, mesh, {
    sources,
    services,
    servedBy,
    istioGatewayConfigs: istioGateways.configs,
  });
  const backendTls = backendTlsCollections(graph, { sources, services: services.bound });
  const members = graph.index('workloads.byService', workloads, ({ workload }) => [
    ...workload.services.keys(),
  ]);
  const upstreams = upstreamCollection(graph, {
    services,
    destinations,
    security,
    workloads,
    members,
    routeTables,
    gatewayConfigs: gatewayApi.gatewayConfigs,
    istioGatewayConfigs: istioGateways.configs,
    backendTls,
  });
  const policyStatuses = policyStatusCollection(graph, mesh, {
    sources,
    policies,
    services: services.bound,
    waypoints: services.waypoints,
    gatewayProxies,
  });
  const gatewayApiStatuses = gatewayApiStatusCollection(graph, {
    sources,
    services: services.bound,
    gatewayApi,
    backendTls,
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
    members,
    servedBy,
    ownPods: ownPods(graph, mesh, sources.pods),
    addresses,
    authorizations: security.authorizations,
    routeTables,
    gatewayProxies,
    tlsMaterials: tlsMaterialCollection(graph, sources),
    gatewayConfigs: graph.map('gatewayConfigs', gatewayApi.gatewayConfigs, (each, reads, key) => ({
      ...each,
      config: limits.bindGateway(each.config, [`Gateway/${key}`], reads),
    })),
    istioGatewayConfigs: graph.map('istioGatewayConfigs', istioGateways.configs, (each, reads) => ({
      ...each,
      config: limits.bindGateway(each.config, [], reads),
    })),
    upstreams,
    telemetry: telemetry.scopes,
    parts: { services, policies, destinations, gatewayApi, routes },
    policyStatuses,
    gatewayApiStatuses: gatewayApiStatuses.statuses,
    entriesByAddress: graph.index('serviceEntries.byAddress', sources.serviceEntries, (entry) => [
      ...(entry.spec?.addresses ?? []),
      ...(entry.status?.addresses ?? []).flatMap(({ value }) => value ?? []),
    ]),
    findings: () => [
      ...policies.findings(),
      ...statusFindings(policyStatuses),
      ...gatewayApiStatuses.findings(),
      ...[...routes.findings, ...istioGateways.findings, ...telemetry.findings].flatMap(findingsOf),
      ...findingsOf(gatewayProxies),
      ...destinations.findings.flatMap(findingsOf),
      ...findingsOf(services.serviceEntries.kept),
      ...findingsOf(services.workloadEntries.kept),
      ...findingsOf(routeTables),
      ...limits.findings.flatMap(findingsOf),
    ],
  };
}

function findingsOf(collection: Collection<{ findings: readonly Finding[] }>): Finding[] {
  return [...collection.entries()].flatMap(([, { findings }]) => findings);
}

function createSources(graph: Graph): MeshSources {
  return {
    ...gatewayApiSources(graph),
    ...istioGatewaySources(graph),
    ...limitSources(graph),
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
    security: AuthorizationCollections;
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
  const slicesByPod = graph.index('slices.byPod', sources.endpointSlices, podsOfSlice);
  const pods = graph.flatMap('workloads.pods', sources.pods, (pod, reads, key) => {
    const node = reads.get(sources.nodes, pod.spec.nodeName ?? '');
    const waypoint = reads.get(services.podBindings, key)?.waypoint;
    const slices = reads.lookup(slicesByPod, key);
    const named = (addresses: readonly string[]) =>
      new Map(
        slices.flatMap((slice): [string, readonly PortMapping[]][] => {
          const service = reads.get(services.bound, serviceOfSlice(slice, mesh) ?? '');
          if (service === undefined) return [];
          const ports = membershipBySlice(slice, addresses, service);
          return ports === undefined ? [] : [[serviceKey(service.service), ports]];
        }),
      );
    const of = context(pod, pod.metadata.labels, reads);
    return keyed(derivePod(pod, { ...of, node, waypoint, ...(slices.length > 0 && { named }) }));
  });
  const entries = graph.flatMap(
    'workloads.entries',
    services.workloadEntries.good,
    (entry, reads) => {
      const labels = { ...entry.metadata.labels, ...entry.spec?.labels };
      const { waypoint } = services.bind(entry, reads, { for: 'workload' });
      return keyed(deriveWorkloadEntry(entry, { ...context(entry, labels, reads), waypoint }));
    },
  );
  const inline = graph.flatMap('workloads.inline', services.serviceEntries.good, (entry, reads) => {
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
