/** The mesh graph's results as the versioned, scoped resources that the xDS server hands out. */

import type { Disposer } from '#base/disposer.ts';
import type { Collection } from '#collections/collection.ts';
import type { Upstream } from '#model/route/route-table.ts';
import { isProxyScope, proxyScope } from '#model/telemetry/scopes.ts';
import type { NodeScope, ResourceSource, ResourceSources } from '../push/resource-source.ts';
import { TYPE_URL } from '../push/resource-source.ts';
import type { GatewayProxy } from './gateway-proxy-graph.ts';
import type { MeshGraph } from './mesh-graph.ts';
import type { BoundTable } from './route-graph.ts';
import type { BoundTelemetry } from './telemetry-graph.ts';

export interface ResourceTables extends ResourceSources {
  /** Everything that existed at the start is in. */
  markReady(): void;
}

export function createResourceTables(mesh: MeshGraph): ResourceTables {
  const everywhere = () => true;
  const onNodes = (_name: string, scope: NodeScope) => scope.type === 'ztunnel';
  const atWaypoint = (name: string, scope: NodeScope) => {
    const key = waypointKey(scope);
    return key !== undefined && mesh.routeTables.get(name)?.waypointKeys.includes(key) === true;
  };
  const reach = new WaypointReach(mesh.routeTables);
  const named = (name: string, scope: NodeScope) =>
    scope.type === 'router'
      ? mesh.gatewayProxies.get(proxyKey(scope))?.upstreams.includes(name) === true
      : reach.upstreams(waypointKey(scope)).has(name);
  const ownConfig = (name: string, scope: NodeScope) =>
    scope.type === 'router' && scope.isPodProven === true && name === proxyKey(scope);
  const address = new Table(TYPE_URL.address, mesh.addresses, (value) => value, everywhere);
  const authorization = new Table(
    TYPE_URL.authorization,
    mesh.authorizations,
    (value) => value,
    onNodes,
  );
  const routeTable = new Table(
    TYPE_URL.routeTable,
    mesh.routeTables,
    ({ table }) => table,
    atWaypoint,
  );
  const upstream = new Table(TYPE_URL.upstream, mesh.upstreams, (value) => value, named);
  const gatewayConfig = new Table(
    TYPE_URL.gatewayConfig,
    mesh.gatewayProxies,
    ({ config }) => config,
    ownConfig,
  );
  const tlsMaterial = new Table(
    TYPE_URL.tlsMaterial,
    mesh.tlsMaterials,
    (value) => value,
    (name, scope) => scope.isPodProven === true && materialsOf(mesh, reach, scope).has(name),
  );
  const telemetry = new Table(
    TYPE_URL.telemetry,
    mesh.telemetry,
    ({ settings }) => settings,
    (name, scope) => isForProxy(name, scope, mesh.telemetry),
  );
  mesh.gatewayProxies.subscribe((events) => {
    const proxies = events.flatMap(({ value, previous }) => [value, previous]);
    const names = (pick: (proxy: GatewayProxy) => readonly string[]) => [
      ...new Set(proxies.flatMap((proxy) => (proxy === undefined ? [] : pick(proxy)))),
    ];
    upstream.announce(names((proxy) => proxy.upstreams));
    tlsMaterial.announce(names((proxy) => proxy.materials));
  });
  // What a destination needs to be spoken to follows from the destinations.
  mesh.upstreams.subscribe((events) => {
    const names = events.flatMap(({ value, previous }) => [
      ...upstreamMaterials(value),
      ...upstreamMaterials(previous),
    ]);
    tlsMaterial.announce([...new Set(names)]);
  });
  // What a waypoint may see of the upstreams follows from its tables.
  mesh.routeTables.subscribe((events) => {
    const names = events.flatMap(({ value, previous }) => [
      ...(value?.upstreams ?? []),
      ...(previous?.upstreams ?? []),
    ]);
    upstream.announce([...new Set(names)]);
    tlsMaterial.announce([
      ...new Set(names.flatMap((name) => upstreamMaterials(mesh.upstreams.get(name)))),
    ]);
  });
  const sources = {
    address,
    authorization,
    routeTable,
    upstream,
    gatewayConfig,
    tlsMaterial,
    telemetry,
  };
  const markReady = () => {
    for (const table of Object.values(sources)) table.markReady();
  };
  return { ...sources, markReady };
}

/** The upstreams that each waypoint's tables name, kept as the tables change: they are asked for by name, many at a time. */
class WaypointReach {
  readonly #tables = new Map<string, Set<string>>();
  readonly #upstreams = new Map<string, ReadonlySet<string>>();
  readonly #routeTables: Collection<BoundTable>;

  constructor(routeTables: Collection<BoundTable>) {
    this.#routeTables = routeTables;
    for (const [name, table] of routeTables.entries()) this.#put(name, undefined, table);
    routeTables.subscribe((events) => {
      for (const { key, previous, value } of events) this.#put(key, previous, value);
    });
  }

  upstreams(waypoint: string | undefined): ReadonlySet<string> {
    if (waypoint === undefined) return NOTHING;
    const known = this.#upstreams.get(waypoint);
    if (known !== undefined) return known;
    const tables = this.#tables.get(waypoint);
    if (tables === undefined) return NOTHING;
    const names = [...tables].flatMap((name) => this.#routeTables.get(name)?.upstreams ?? []);
    const upstreams = new Set(names);
    this.#upstreams.set(waypoint, upstreams);
    return upstreams;
  }

  #put(name: string, previous: BoundTable | undefined, value: BoundTable | undefined): void {
    for (const key of previous?.waypointKeys ?? []) {
      this.#upstreams.delete(key);
      const tables = this.#tables.get(key);
      tables?.delete(name);
      if (tables?.size === 0) this.#tables.delete(key);
    }
    for (const key of value?.waypointKeys ?? []) {
      this.#upstreams.delete(key);
      const tables = this.#tables.get(key);
      if (tables === undefined) this.#tables.set(key, new Set([name]));
      else tables.add(name);
    }
  }
}

const NOTHING: ReadonlySet<string> = new Set();

class Table<S extends object, T> implements ResourceSource<T> {
  readonly typeUrl: string;
  readonly #collection: Collection<S>;
  readonly #project: (stored: S) => T;
  readonly #visible: (name: string, scope: NodeScope) => boolean;
  readonly #subscribers = new Set<(names: readonly string[]) => void>();
  readonly #versions = new WeakMap<S, string>();
  #ready = false;

  constructor(
    typeUrl: string,
    collection: Collection<S>,
    project: (stored: S) => T,
    visible: (name: string, scope: NodeScope) => boolean,
  ) {
    this.typeUrl = typeUrl;
    this.#collection = collection;
    this.#project = project;
    this.#visible = visible;
    collection.subscribe((events) => this.announce(events.map(({ key }) => key)));
  }

  get ready(): boolean {
    return this.#ready;
  }

  subscribe(onChange: (names: readonly string[]) => void): Disposer {
    this.#subscribers.add(onChange);
    return () => void this.#subscribers.delete(onChange);
  }

  get(name: string): { readonly version: string; readonly value: T } | undefined {
    const stored = this.#collection.get(name);
    if (stored === undefined) return undefined;
    const value = this.#project(stored);
    const versions = this.#versions;
    return {
      value,
      // Few ask for it, and it is a text of the whole value.
      get version() {
        let version = versions.get(stored);
        if (version === undefined) {
          version = contentHash(value);
          versions.set(stored, version);
        }
        return version;
      },
    };
  }

  *all(): Generator<string> {
    for (const [name] of this.#collection.entries()) yield name;
  }

  *names(scope: NodeScope): Generator<string> {
    for (const [name] of this.#collection.entries()) if (this.#visible(name, scope)) yield name;
  }

  visible(name: string, scope: NodeScope): boolean {
    return this.#collection.get(name) !== undefined && this.#visible(name, scope);
  }

  announce(names: readonly string[]): void {
    if (names.length === 0) return;
    for (const subscriber of [...this.#subscribers]) subscriber(names);
  }

  markReady(): void {
    this.#ready = true;
    for (const subscriber of [...this.#subscribers]) subscriber([]);
  }
}

/** `namespace/name` of the Gateway that a waypoint serves. */
function waypointKey(scope: NodeScope): string | undefined {
  if (scope.type !== 'waypoint' || scope.gateway === undefined) return undefined;
  return `${scope.namespace}/${scope.gateway}`;
}

function proxyKey({ namespace, name }: NodeScope): string {
  return `${namespace}/${name}`;
}

/** Waypoints and gateways have one of their own, node proxies those of all namespaces and of the workloads on their node. */
function isForProxy(
  name: string,
  scope: NodeScope,
  telemetry: Collection<BoundTelemetry>,
): boolean {
  if (scope.type !== 'ztunnel') return name === proxyScope(scope.namespace, scope.name);
  if (isProxyScope(name)) return false;
  const node = telemetry.get(name)?.node;
  return node === undefined || scope.nodeName === undefined || node === scope.nodeName;
}

/**
 * Keys leave the control plane for those alone who are to use them: a gateway for its listeners, both kinds for the destinations that
 * their routes name. That a reference into another namespace was granted is seen to where it is compiled.
 */
function materialsOf(mesh: MeshGraph, reach: WaypointReach, scope: NodeScope): ReadonlySet<string> {
  const proxy = scope.type === 'router' ? mesh.gatewayProxies.get(proxyKey(scope)) : undefined;
  const names = new Set(proxy?.materials);
  const upstreams = new Set(proxy?.upstreams);
  for (const name of reach.upstreams(waypointKey(scope))) upstreams.add(name);
  // Who may write a DestinationRule here must not read a Secret there.
  for (const name of upstreams)
    for (const material of upstreamMaterials(mesh.upstreams.get(name)))
      if (isPublic(material) || material.startsWith(`kubernetes://${scope.namespace}/`))
        names.add(material);
  return names;
}

/** ConfigMaps hold roots, and no keys. */
function isPublic(material: string): boolean {
  return material.startsWith('configmap://');
}

function upstreamMaterials(upstream: Upstream | undefined): string[] {
  if (upstream === undefined) return [];
  const policies = [upstream, ...(upstream.variants ?? [])].flatMap((shaped) =>
    [shaped, ...shaped.subsets].flatMap(({ policy, portPolicies = {} }) => [
      policy,
      ...Object.values(portPolicies),
    ]),
  );
  return policies.flatMap(({ tls }) => (tls?.material === undefined ? [] : [tls.material]));
}

/** Equal content, equal version, also after a restart: a proxy that reconnects is sent only what changed. */
function contentHash(value: unknown): string {
  const text = JSON.stringify(value, (_key, each) => (each instanceof Map ? [...each] : each));
  return Bun.hash(text).toString(16);
}
