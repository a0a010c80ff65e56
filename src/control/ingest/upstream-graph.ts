/**
 * The part of the mesh graph about destinations: DestinationRules, the policies that they give each service, and the
 * upstreams of the services that routes name.
 */
import type { Collection, Index, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import { withBackendTls } from '#config/compile/backend-tls-policies.ts';
import type {
  CompiledDestinationRule,
  DestinationPolicies,
  PolicyContext,
} from '#config/compile/destination-rule.ts';
import {
  compileDestinationRule,
  destinationPolicies,
  rulesInForce,
} from '#config/compile/destination-rule.ts';
import type { Finding } from '#config/compile/finding.ts';
import { NO_MESH_DEFAULTS } from '#config/compile/policy-blocks.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import {
  buildUpstream,
  buildWaypointEndpoints,
  withServiceNames,
} from '#config/compile/upstream.ts';
import type { Upstream, UpstreamVariant } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { LABEL, type MeshSettings } from '../derive/mesh.ts';
import { meshConfigKey } from '../derive/mesh-config.ts';
import { compileMeshDefaults } from '../derive/mesh-defaults.ts';
import type { BoundService } from '../derive/service.ts';
import type { BackendTlsCollections } from './backend-tls-graph.ts';
import type { BoundGateway } from './gateway-api-graph.ts';
import type { BoundIstioGateways } from './istio-gateway-graph.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { AuthorizationCollections } from './policy-graph.ts';
import { denialBy } from './policy-graph.ts';
import type { BoundTable } from './route-graph.ts';
import { WILDCARD } from './route-graph.ts';
import type { ServiceCollections } from './service-graph.ts';

/** A proxy that asks for policies: labels only of gateways. */
export type ProxyClient = NonNullable<PolicyContext['client']>;

export type DestinationCollections = ReturnType<typeof destinationCollections>;

/** The DestinationRules in force, and by service key what they say of it. */
export function destinationCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: { sources: MeshSources; services: ServiceCollections },
) {
  const { sources, services } = from;
  const { kept, good } = keepLastGood(
    graph,
    'destinationRules.compiled',
    sources.destinationRules,
    (object) => compileDestinationRule(object, mesh),
  );
  const defaults = keepLastGood(graph, 'meshConfig.destinations', sources.meshConfig, (object) =>
    compileMeshDefaults(object),
  );
  const exported = graph.map('destinationRules.exported', good, (rule, reads) =>
    rule.exportTo.length > 0
      ? rule
      : { ...rule, exportTo: services.meshConfig(reads).defaultDestinationRuleExportTo ?? [] },
  );
  const byHost = graph.index('destinationRules.byHost', exported, ({ host }) => [
    host.startsWith('*') ? WILDCARD : host,
  ]);
  const candidates = (service: Service, reads: Reads): CompiledDestinationRule[] => [
    ...reads.lookup(byHost, service.hostname),
    ...reads.lookup(byHost, WILDCARD),
  ];
  const context = (reads: Reads) => ({
    rootNamespace: mesh.rootNamespace,
    mesh: reads.get(defaults.good, meshConfigKey(mesh)) ?? NO_MESH_DEFAULTS,
  });
  const policies = graph.map(
    'destinationPolicies',
    services.bound,
    ({ service }, reads): DestinationPolicies =>
      destinationPolicies(service, candidates(service, reads), context(reads)),
  );
  /** What is in force for a proxy of another namespace, or one with labels; undefined when it is the same. */
  const policiesFor = (service: Service, client: ProxyClient, reads: Reads) => {
    const rules = candidates(service, reads);
    const common = context(reads);
    const usual = rulesInForce(service, rules, common);
    const own = rulesInForce(service, rules, { ...common, client });
    const isSame = usual.length === own.length && usual.every((rule, at) => rule === own[at]);
    return isSame ? undefined : destinationPolicies(service, rules, { ...common, client });
  };
  const findings: Collection<{ findings: readonly Finding[] }>[] = [kept, defaults.kept];
  return { policies, policiesFor, findings };
}

/** One upstream for each service that a route names. */
export function upstreamCollection(
  graph: Graph,
  from: {
    services: ServiceCollections;
    destinations: DestinationCollections;
    security: AuthorizationCollections;
    workloads: Collection<LabeledWorkload>;
    /** By service key. */
    members: Index<LabeledWorkload>;
    routeTables: Collection<BoundTable>;
    gatewayConfigs: Collection<BoundGateway>;
    istioGatewayConfigs: Collection<BoundIstioGateways>;
    backendTls: BackendTlsCollections;
  },
): Collection<Upstream> {
  const { services, destinations, security, workloads, members, routeTables, backendTls } = from;
  const references = graph.index('routeTables.byUpstream', routeTables, (bound) => bound.upstreams);
  const gatewayReferences = graph.index(
    'gatewayConfigs.byUpstream',
    from.gatewayConfigs,
    (bound) => bound.upstreams,
  );
  const istioReferences = graph.index(
    'istioGateways.byUpstream',
    from.istioGatewayConfigs,
    (bound) => bound.upstreams,
  );
  const captured = graph.index('workloads.capturedByAddress', workloads, ({ workload }) =>
    workload.protocol === 'hbone' && !workload.hostNetwork ? workload.addresses : [],
  );
  const waypointOf = ({ service, waypointKey, bypassed }: BoundService, reads: Reads) => {
    if (waypointKey === undefined || bypassed === true) return undefined;
    const named = service.waypoint?.service;
    const key = named && `${named.namespace}/${named.hostname}`;
    const bound = key === undefined ? undefined : reads.get(services.bound, key);
    const endpoints =
      bound === undefined || key === undefined
        ? []
        : buildWaypointEndpoints(service, {
            service: bound.service,
            members: reads.lookup(members, key),
          });
    return { key: waypointKey, endpoints };
  };
  return graph.map('upstreams', services.bound, (bound, reads, key) => {
    const { service, resolution } = bound;
    const tables = reads.lookup(references, key);
    const gateways = reads.lookup(gatewayReferences, key);
    const pods = reads.lookup(istioReferences, key);
    if (tables.length + gateways.length + pods.length === 0) return undefined;
    const ruled = reads.get(destinations.policies, key);
    if (ruled === undefined) return undefined;
    const tls = reads.get(backendTls.byService, key);
    const complete = (policies: DestinationPolicies) =>
      withServiceNames(
        tls === undefined ? policies : withBackendTls(policies, tls),
        service.subjectAltNames,
      );
    const endpoints = reads.lookup(members, key);
    const capturedAt = (address: string) => reads.lookup(captured, address);
    const upstream = buildUpstream(service, complete(ruled), endpoints, {
      capturedAt,
      resolution,
    });
    const workloadsOf = endpoints.map(({ workload }) => workload);
    const denied = denialBy(security.unjudgedBy(workloadsOf, reads));
    const proxies: [string, ProxyClient][] = [
      ...tables.flatMap(({ waypointKeys }) =>
        waypointKeys.map((proxy): [string, ProxyClient] => [
          proxy,
          { namespace: proxy.split('/', 1)[0] },
        ]),
      ),
      ...gateways.map(({ config: { namespace, name } }): [string, ProxyClient] => [
        `${namespace}/${name}`,
        { namespace, labels: { [LABEL.gatewayName]: name } },
      ]),
      ...pods.map(({ config: { namespace, name }, labels }): [string, ProxyClient] => [
        `${namespace}/${name}`,
        { namespace, labels },
      ]),
    ];
    const waypoint = waypointOf(bound, reads);
    const variants = [...new Map(proxies)].flatMap(([proxy, client]): UpstreamVariant[] => {
      const own = destinations.policiesFor(service, client, reads);
      return own === undefined ? [] : [{ ...complete(own), proxies: [proxy] }];
    });
    return {
      ...upstream,
      ...(waypoint && { waypoint }),
      ...(denied && { denied }),
      ...(variants.length > 0 && { variants }),
    };
  });
}
