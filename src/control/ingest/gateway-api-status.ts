/** The statuses of the Gateway API's objects, as they should stand. Derived last: they tell of everything else. */
import type { Collection, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import { backendTlsFindings, targetConditions } from '#config/compile/gateway-api/backend-tls.ts';
import type { StatusCondition } from '#config/compile/gateway-api/conditions.ts';
import type { ListenerStatus } from '#config/compile/gateway-api/gateway.ts';
import {
  gatewayConditions,
  gatewayFindings,
  listenerSetConditions,
} from '#config/compile/gateway-api/gateway-status.ts';
import type { ParentRef } from '#config/compile/gateway-api/kinds.ts';
import { GATEWAY_GROUP } from '#config/compile/gateway-api/kinds.ts';
import type { CompiledRoute, RouteKind } from '#config/compile/gateway-api/route.ts';
import type { ParentStatus } from '#config/compile/gateway-api/route-status.ts';
import {
  GATEWAY_CONTROLLER,
  parentStatus,
  routeFindings,
} from '#config/compile/gateway-api/route-status.ts';
import { namespaceOf } from '../derive/mesh.ts';
import type { BoundService } from '../derive/service.ts';
import type { BackendTlsCollections } from './backend-tls-graph.ts';
import { tlsTarget } from './backend-tls-graph.ts';
import type { GatewayApiCollections, GatewayListeners } from './gateway-api-graph.ts';
import { parentGatewayOf } from './gateway-api-graph.ts';
import type { MeshSources } from './mesh-graph.ts';

interface StatusOf {
  readonly namespace: string;
  readonly name: string;
  readonly generation: number | undefined;
}
const ROUTE_SOURCES = {
  HTTPRoute: 'httpRoutes',
  GRPCRoute: 'grpcRoutes',
  TCPRoute: 'tcpRoutes',
  TLSRoute: 'tlsRoutes',
} as const satisfies Record<RouteKind, keyof MeshSources>;

export interface RouteStatus extends StatusOf {
  readonly source: (typeof ROUTE_SOURCES)[RouteKind];
  readonly parents: readonly ParentStatus[];
}
export interface ListenersStatus extends StatusOf {
  readonly source: 'gateways' | 'listenerSets';
  /** Of a Gateway, all but whether it is programmed. */
  readonly conditions: readonly StatusCondition[];
  readonly listeners: readonly ListenerStatus[];
  /** Of a Gateway: how many ListenerSets are attached to it. */
  readonly attachedListenerSets?: number;
}
export interface BackendTlsStatus extends StatusOf {
  readonly source: 'backendTlsPolicies';
  readonly ancestors: readonly {
    readonly ancestorRef: ParentRef;
    readonly controllerName: string;
    readonly conditions: readonly StatusCondition[];
  }[];
}
export type GatewayApiStatus = RouteStatus | ListenersStatus | BackendTlsStatus;

/** Istio's, under which it reports what acts on traffic within the mesh. */
export const MESH_CONTROLLER = 'istio.io/mesh-controller';

export interface GatewayApiStatuses {
  /** By `source/namespace/name`. */
  readonly statuses: Collection<GatewayApiStatus>;
  findings(): Finding[];
}

interface From {
  readonly sources: MeshSources;
  readonly services: Collection<BoundService>;
  readonly gatewayApi: GatewayApiCollections;
  readonly backendTls: BackendTlsCollections;
}

export function gatewayApiStatusCollection(graph: Graph, from: From): GatewayApiStatuses {
  const { sources, gatewayApi, backendTls } = from;
  const { compiled, parents, bound, gatewayConfigs, listeners, tlsLookups } = gatewayApi;
  const routes = graph.flatMap('status.routes', compiled, (route, reads, key) => {
    const refsOf = (gateway: string | undefined) =>
      reads.get(gateway === undefined ? bound.mesh : bound.gateway, key)?.refs;
    const all = (reads.get(parents, key) ?? []).map((parent) =>
      parentStatus(route, parent, refsOf(parent.gateway)),
    );
    return entry({ ...statusOf(route), source: ROUTE_SOURCES[route.kind], parents: all });
  });
  const gateways = graph.flatMap('status.gateways', sources.gateways, (gateway, reads, key) => {
    const own = reads.get(listeners, key);
    if (own === undefined) return [];
    const named = { namespace: namespaceOf(gateway), spec: gateway.spec };
    const ofGateway = own.listeners.filter(({ owner }) => owner.kind === 'Gateway');
    const statuses = reads.get(gatewayConfigs, key)?.listenerStatuses ?? [];
    return entry({
      ...named,
      source: 'gateways',
      name: gateway.metadata.name,
      generation: gateway.metadata.generation,
      conditions: gatewayConditions(named, ofGateway, tlsLookups(reads)),
      listeners: statuses.filter(({ owner }) => owner.kind === 'Gateway'),
      attachedListenerSets: attachedSets(own),
    });
  });
  const sets = graph.flatMap('status.listenerSets', sources.listenerSets, (set, reads, key) => {
    const parent = parentGatewayOf(set);
    const own = parent === undefined ? undefined : reads.get(listeners, parent);
    if (parent === undefined || own === undefined) return [];
    const isOwn = ({ owner }: { owner: ListenerStatus['owner'] }) =>
      owner.kind === 'ListenerSet' && `${owner.namespace}/${owner.name}` === key;
    const { name, generation } = set.metadata;
    const conditions = listenerSetConditions(own.listeners.filter(isOwn), {
      refused: own.refusedSets.includes(key),
      accepted: isTrue(reads.get(gateways, `gateways/${parent}`)?.conditions, 'Accepted'),
      programmed: isTrue(reads.get(sources.gateways, parent)?.status?.conditions, 'Programmed'),
    });
    const statuses = reads.get(gatewayConfigs, parent)?.listenerStatuses.filter(isOwn) ?? [];
    return entry({
      source: 'listenerSets',
      namespace: namespaceOf(set),
      name,
      generation,
      conditions,
      listeners: statuses,
    });
  });
  const policies = backendTlsStatuses(graph, from);
  const findings = () => [
    ...[...compiled.entries()].flatMap(([key, route]) =>
      routeFindings(
        route,
        parents.get(key) ?? [],
        [bound.gateway.get(key)?.refs, bound.mesh.get(key)?.refs].flatMap((refs) => refs ?? []),
      ),
    ),
    ...[...gatewayConfigs.entries()].flatMap(([, result]) => result.findings),
    ...[...listeners.entries()].flatMap(([key, { owner }]) => {
      const spec = sources.gateways.get(key)?.spec;
      return spec === undefined ? [] : gatewayFindings(owner, spec);
    }),
    ...[...policies.entries()].flatMap(([key, { ancestors }]) => {
      const policy = backendTls.policies.get(key.slice(key.indexOf('/') + 1));
      return policy === undefined
        ? []
        : backendTlsFindings(
            policy,
            ancestors.map(({ conditions }) => conditions),
          );
    }),
  ];
  const statuses = graph.join<GatewayApiStatus>('status.gatewayApi', [
    routes,
    gateways,
    sets,
    policies,
  ]);
  return { statuses, findings };
}

/** Each target, as traffic within the mesh sees it, and each gateway that sends to one of them. */
function backendTlsStatuses(graph: Graph, from: From): Collection<BackendTlsStatus> {
  const { services, gatewayApi, backendTls } = from;
  const byObject = graph.index('status.servicesByObject', services, ({ kind, service }) => [
    `${kind}/${service.namespace}/${service.name}`,
  ]);
  const gatewaysByUpstream = graph.index(
    'status.gatewaysByUpstream',
    gatewayApi.gatewayConfigs,
    ({ upstreams }) => upstreams,
  );
  return graph.flatMap('status.backendTls', backendTls.policies, (policy, reads) => {
    const others = reads.lookup(backendTls.byNamespace, policy.namespace);
    const gateways = new Map<string, readonly StatusCondition[]>();
    const ancestors = policy.targets.map((target) => {
      const bound = reads.lookup(byObject, `${target.kind}/${policy.namespace}/${target.name}`);
      const service = bound.at(0) && tlsTarget(bound[0]);
      const conditions = targetConditions(policy, target, { service, others });
      for (const key of senders(bound, gatewaysByUpstream, reads)) gateways.set(key, conditions);
      return { ancestorRef: target, controllerName: MESH_CONTROLLER, conditions };
    });
    const viaGateways = [...gateways]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, conditions]) => {
        const [namespace, name] = key.split('/');
        const ancestorRef = { group: GATEWAY_GROUP, kind: 'Gateway', namespace, name };
        return { ancestorRef, controllerName: GATEWAY_CONTROLLER, conditions };
      });
    const source = 'backendTlsPolicies' as const;
    return entry({ ...statusOf(policy), source, ancestors: [...ancestors, ...viaGateways] });
  });
}

function senders(
  services: readonly BoundService[],
  gatewaysByUpstream: Collection<readonly { config: { namespace: string; name: string } }[]>,
  reads: Reads,
): string[] {
  return services.flatMap(({ service }) =>
    reads
      .lookup(gatewaysByUpstream, `${service.namespace}/${service.hostname}`)
      .map(({ config }) => `${config.namespace}/${config.name}`),
  );
}

function entry<S extends GatewayApiStatus>(status: S): [string, S][] {
  return [[`${status.source}/${status.namespace}/${status.name}`, status]];
}

function statusOf({ namespace, name, generation }: CompiledRoute | StatusOf): StatusOf {
  return { namespace, name, generation };
}

/** ListenerSets of which something is served. */
function attachedSets({ listeners }: GatewayListeners): number {
  const keys = listeners
    .filter(({ owner, programmed }) => owner.kind === 'ListenerSet' && programmed)
    .map(({ owner }) => `${owner.namespace}/${owner.name}`);
  return new Set(keys).size;
}

function isTrue(
  conditions: readonly { readonly type: string; readonly status: string }[] | undefined,
  type: string,
): boolean {
  return conditions?.some((each) => each.type === type && each.status === 'True') === true;
}
