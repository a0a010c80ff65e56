/**
 * The part of the mesh graph about the Gateway API: routes on their own, the listeners of our Gateways, what each route is
 * attached to, and what comes of it: a configuration for each gateway, routes for the ports of services.
 *
 *   gateways, listenerSets ── listeners ──┬─ parents ─┬─ attached ─┬─ gatewayConfigs
 *   httpRoutes … tlsRoutes ── compiled ───┴───────────┘            └─ routes of a service's port (route-graph.ts)
 */
import type { Collection, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Attachment, ParentKind } from '#config/compile/gateway-api/attach.ts';
import { allowsNamespace, parentOf } from '#config/compile/gateway-api/attach.ts';
import type { BoundRoute } from '#config/compile/gateway-api/bind.ts';
import { bindRoute } from '#config/compile/gateway-api/bind.ts';
import type {
  AttachedRoute,
  GatewayResult,
  HostMemo,
} from '#config/compile/gateway-api/gateway.ts';
import { compileGateway } from '#config/compile/gateway-api/gateway.ts';
import type { ListenerSetObject, ParentRef } from '#config/compile/gateway-api/kinds.ts';
import type { CompiledListener, ListenerOwner } from '#config/compile/gateway-api/listeners.ts';
import { compileListeners } from '#config/compile/gateway-api/listeners.ts';
import { orderBytes, orderRoutes } from '#config/compile/gateway-api/order.ts';
import type {
  ListenerParent,
  MeshParent,
  RouteParent,
} from '#config/compile/gateway-api/parents.ts';
import { attachToGateway, attachToServices } from '#config/compile/gateway-api/parents.ts';
import type { Granted, Referent } from '#config/compile/gateway-api/references.ts';
import { GATEWAY, isGranted, referentOf } from '#config/compile/gateway-api/references.ts';
import type { CompiledRoute } from '#config/compile/gateway-api/route.ts';
import {
  compileGrpcRoute,
  compileHttpRoute,
  compileTcpRoute,
  compileTlsRoute,
} from '#config/compile/gateway-api/route.ts';
import { routeFault } from '#config/compile/gateway-api/route-status.ts';
import type { TlsLookups } from '#config/compile/gateway-api/tls-material.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import { upstreamNames } from '#config/compile/upstream-names.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { L4Route, Route } from '#model/route/route-table.ts';
import { isOurGateway } from '../derive/gateway-class.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { keyOf, namespaceOf } from '../derive/mesh.ts';
import type { BoundService } from '../derive/service.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import type { DefaultRetries } from './default-retries.ts';
import type { MeshSources } from './mesh-graph.ts';
import { preferred } from './route-graph.ts';
import type { ServiceCollections } from './service-graph.ts';

/** A Gateway of ours that is no waypoint, with the listeners that it has and is given. */
export interface GatewayListeners {
  readonly owner: ListenerOwner;
  readonly listeners: readonly CompiledListener[];
  /** Keys of ListenerSets that name it and are not allowed to. */
  readonly refusedSets: readonly string[];
}

interface AttachedToGateway extends AttachedRoute {
  readonly gateway: string;
}
interface AttachedToService {
  readonly service: string;
  readonly ports: readonly number[];
  readonly bound: BoundRoute;
}

export interface BoundGateway extends GatewayResult {
  /** Upstreams that its routes name; sorted. */
  readonly upstreams: readonly string[];
}

export type GatewayApiCollections = ReturnType<typeof gatewayApiCollections>;

export function gatewayApiCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: { sources: MeshSources; services: ServiceCollections; retries: DefaultRetries },
) {
  const { sources, services, retries } = from;
  const grants = graph.index('referenceGrants.byNamespace', sources.referenceGrants, (grant) => [
    namespaceOf(grant),
  ]);
  const granted =
    (reads: Reads): Granted =>
    (referrer, to) =>
      referrer.namespace === to.namespace ||
      isGranted(reads.lookup(grants, to.namespace), referrer, to);
  const labelsOf = (reads: Reads) => (namespace: string) =>
    reads.get(sources.namespaces, namespace)?.metadata.labels;
  const tlsLookups = (reads: Reads): TlsLookups => ({
    secret: (key) => reads.get(sources.secrets, key),
    configMap: (key) => reads.get(sources.configMaps, key),
    granted: granted(reads),
  });
  const compiled = compiledRoutes(graph, sources);
  const listeners = listenerCollection(graph, { sources, tlsLookups, labelsOf });
  const parents = parentCollection(graph, { sources, services, compiled, listeners, labelsOf });
  const service = (reads: Reads) => (namespace: string, name: string) =>
    reads.get(services.bound, `${namespace}/${name}.${namespace}.svc.${mesh.domain}`)?.service;
  const host = (reads: Reads) => (hostname: string, namespace: string) =>
    preferred(reads.lookup(services.byHostname, hostname), namespace)?.service;
  /** Bound for gateways, whose references into other namespaces are asked for, and for the mesh, where they are not. */
  const boundFor = (scope: 'gateway' | 'mesh') =>
    graph.map(`gatewayRoutes.bound.${scope}`, compiled, (route, reads, key) => {
      const isWanted = reads
        .get(parents, key)
        ?.some(({ gateway }) => (gateway !== undefined) === (scope === 'gateway'));
      if (!isWanted) return undefined;
      const asked = scope === 'gateway' ? granted(reads) : undefined;
      return bindRoute(route, {
        service: service(reads),
        host: host(reads),
        granted: asked,
        defaultRetries: retries.get(reads),
      });
    });
  const bound = { gateway: boundFor('gateway'), mesh: boundFor('mesh') };
  const toGateways = graph.flatMap('gatewayRoutes.toGateways', bound.gateway, (each, reads, key) =>
    attachmentsByGateway(reads.get(parents, key) ?? []).map(
      ([gateway, attachments]): [string, AttachedToGateway] => [
        `${key} ${gateway}`,
        { gateway, bound: each, attachments, accepted: routeFault(each.route) === undefined },
      ],
    ),
  );
  const byGateway = graph.index('gatewayRoutes.byGateway', toGateways, ({ gateway }) => [gateway]);
  // Of thousands of hosts a change concerns one: the rest need not be compiled, or compared, again.
  const memos = new Map<string, HostMemo>();
  listeners.subscribe((events) => {
    for (const { key, value } of events) if (value === undefined) memos.delete(key);
  });
  const gatewayConfigs = graph.map(
    'gatewayConfigs',
    listeners,
    (each, reads, key): BoundGateway => {
      const routes = reads.lookup(byGateway, key);
      const input = { owner: each.owner, listeners: each.listeners, routes };
      const { memo, ...result } = compileGateway(input, memos.get(key));
      memos.set(key, memo);
      const servers = result.config.listeners.flatMap((listener) => listener.servers);
      const parts = servers.flatMap(({ virtualHosts, l4Routes }) => [
        ...virtualHosts,
        { l4Routes },
      ]);
      return { ...result, upstreams: upstreamNames(parts) };
    },
  );
  const toServices = graph.flatMap('gatewayRoutes.toServices', bound.mesh, (each, reads, key) =>
    portsByService(reads.get(parents, key) ?? []).map(
      ([service, ports]): [string, AttachedToService] => [
        `${key} ${service}`,
        { service, ports, bound: each },
      ],
    ),
  );
  const byService = graph.index('gatewayRoutes.byService', toServices, ({ service }) => [service]);
  /** What is attached to a service's port; undefined when nothing is. */
  const attachedTo = (serviceKey: string, reads: Reads) => {
    const attached = reads.lookup(byService, serviceKey);
    const at = (port: number) =>
      attached.filter(({ ports }) => ports.includes(port)).map(({ bound }) => bound);
    return {
      http: (port: number): readonly Route[] | undefined => {
        const routes = at(port).filter(
          ({ route }) => route.kind === 'HTTPRoute' || route.kind === 'GRPCRoute',
        );
        return routes.length === 0 ? undefined : orderRoutes(routes, port);
      },
      l4: (port: number): readonly L4Route[] | undefined => {
        const bytes = at(port).filter(({ l4 }) => l4.length > 0);
        const hosted = bytes.map((bound) => ({
          bound,
          hostnames: bound.route.hostnames.length > 0 ? bound.route.hostnames : ['*'],
        }));
        return hosted.length === 0 ? undefined : orderBytes(hosted, true);
      },
    };
  };
  return { compiled, listeners, parents, bound, gatewayConfigs, attachedTo, tlsLookups };
}

function compiledRoutes(graph: Graph, sources: MeshSources): Collection<CompiledRoute> {
  const compile = <T extends KubeObject>(
    kind: string,
    source: Collection<T>,
    compileOne: (object: T) => CompiledRoute,
  ) =>
    graph.flatMap(`${kind}.compiled`, source, (object, _reads, key) => [
      [`${kind}/${key}`, compileOne(object)],
    ]);
  return graph.join('gatewayRoutes.compiled', [
    compile('httpRoutes', sources.httpRoutes, compileHttpRoute),
    compile('grpcRoutes', sources.grpcRoutes, compileGrpcRoute),
    compile('tcpRoutes', sources.tcpRoutes, compileTcpRoute),
    compile('tlsRoutes', sources.tlsRoutes, compileTlsRoute),
  ]);
}

/** `namespace/name` of the Gateway that a ListenerSet names; undefined when it names something else. */
export function parentGatewayOf(set: ListenerSetObject): string | undefined {
  const ref = set.spec?.parentRef;
  if (ref === undefined) return undefined;
  const to = referentOf(ref, { ...GATEWAY, namespace: set.metadata.namespace ?? '' });
  return to.group === GATEWAY.group && to.kind === GATEWAY.kind
    ? `${to.namespace}/${to.name}`
    : undefined;
}

type LabelsOf = (
  reads: Reads,
) => (namespace: string) => Readonly<Record<string, string>> | undefined;

function listenerCollection(
  graph: Graph,
  from: { sources: MeshSources; tlsLookups: (reads: Reads) => TlsLookups; labelsOf: LabelsOf },
): Collection<GatewayListeners> {
  const { sources } = from;
  const sets = graph.index('listenerSets.byGateway', sources.listenerSets, (set) => {
    const parent = parentGatewayOf(set);
    return parent === undefined ? [] : [parent];
  });
  return graph.map('gateways.listeners', sources.gateways, (gateway, reads, key) => {
    if (!isOurGateway(gateway, reads.get(sources.gatewayClasses, gateway.spec.gatewayClassName)))
      return undefined;
    const owner = ownerOf('Gateway', gateway);
    const rule = gateway.spec.allowedListeners?.namespaces;
    const isAllowed = (set: KubeObject) =>
      allowsNamespace(
        rule,
        { owner: owner.namespace, other: namespaceOf(set), defaultFrom: 'None' },
        from.labelsOf(reads),
      );
    const named = reads.lookup(sets, key);
    const compiled = compileListeners({
      owner,
      spec: gateway.spec,
      listenerSets: named.filter(isAllowed).map((set) => ({
        owner: ownerOf('ListenerSet', set),
        listeners: set.spec?.listeners ?? [],
      })),
      lookups: from.tlsLookups(reads),
    });
    const refusedSets = named.filter((set) => !isAllowed(set)).map(keyOf);
    return { owner, listeners: compiled, refusedSets };
  });
}

function ownerOf(kind: ListenerOwner['kind'], object: KubeObject): ListenerOwner {
  return { kind, ...identityOf(object) };
}

function parentCollection(
  graph: Graph,
  from: {
    sources: MeshSources;
    services: ServiceCollections;
    compiled: Collection<CompiledRoute>;
    listeners: Collection<GatewayListeners>;
    labelsOf: LabelsOf;
  },
): Collection<readonly RouteParent[]> {
  const { sources, services, compiled, listeners, labelsOf } = from;
  const servicesByObject = graph.index(
    'gatewayRoutes.services',
    services.bound,
    ({ kind, service }) => [`${kind}/${service.namespace}/${service.name}`],
  );
  const listenerParent = (
    parent: Referent & { kind: ParentKind },
    reads: Reads,
  ): ListenerParent | undefined => {
    const key = `${parent.namespace}/${parent.name}`;
    const set = parent.kind === 'ListenerSet' ? reads.get(sources.listenerSets, key) : undefined;
    const gateway = parent.kind === 'Gateway' ? key : set && parentGatewayOf(set);
    if (gateway === undefined) return undefined;
    const own = reads.get(listeners, gateway);
    if (own?.refusedSets.includes(key) && parent.kind === 'ListenerSet')
      return {
        gateway,
        listeners: [],
        fault: {
          reason: 'NoMatchingParent',
          message: `ListenerSet ${key} is not allowed by Gateway ${gateway}`,
        },
      };
    if (own !== undefined) return { gateway, listeners: own.listeners };
    const className = reads.get(sources.gateways, gateway)?.spec.gatewayClassName ?? '';
    if (!WAYPOINT_CLASSES.includes(className)) return undefined;
    const message = `Gateway ${gateway} is a waypoint: routes are attached to the services that it serves`;
    return { gateway, listeners: [], fault: { reason: 'NoMatchingParent', message } };
  };
  const parentFor = (
    route: CompiledRoute,
    ref: ParentRef,
    reads: Reads,
  ): RouteParent | undefined => {
    const parent = parentOf(ref, route.namespace);
    if (parent === undefined) return undefined;
    if (parent.kind === 'Gateway' || parent.kind === 'ListenerSet') {
      const found = listenerParent(parent, reads);
      return found && attachToGateway(route, ref, parent, { found, labelsOf: labelsOf(reads) });
    }
    const named = reads.lookup(
      servicesByObject,
      `${parent.kind}/${parent.namespace}/${parent.name}`,
    );
    return attachToServices(route, ref, parent, named.map(meshParent));
  };
  return graph.map('gatewayRoutes.parents', compiled, (route, reads) =>
    route.parentRefs.flatMap((ref) => parentFor(route, ref, reads) ?? []),
  );
}

function meshParent({ service, membership, waypointKey }: BoundService): MeshParent {
  const ports = membership.ports.map(({ servicePort, name }) => ({ port: servicePort, name }));
  return {
    key: `${service.namespace}/${service.hostname}`,
    ports,
    hasWaypoint: waypointKey !== undefined,
  };
}

function attachmentsByGateway(parents: readonly RouteParent[]): [string, Attachment[]][] {
  const byGateway = new Map<string, Attachment[]>();
  for (const { gateway, attachments } of parents) {
    if (gateway === undefined || attachments.length === 0) continue;
    const all = byGateway.get(gateway) ?? [];
    // Several parentRefs may name one listener: it has the route once.
    for (const each of attachments)
      if (!all.some(({ listener }) => listener === each.listener)) all.push(each);
    byGateway.set(gateway, all);
  }
  return [...byGateway];
}

function portsByService(parents: readonly RouteParent[]): [string, number[]][] {
  const byService = new Map<string, Set<number>>();
  for (const { ports } of parents)
    for (const { service, port } of ports)
      byService.set(service, (byService.get(service) ?? new Set()).add(port));
  return [...byService].map(([service, ports]) => [service, [...ports]]);
}
