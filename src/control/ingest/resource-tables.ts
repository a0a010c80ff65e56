/** The mesh graph's results as the versioned, scoped resources that the xDS server hands out. */

import type { Disposer } from '#base/disposer.ts';
import type { Collection } from '#collections/collection.ts';
import type { NodeScope, ResourceSource, ResourceSources } from '../push/resource-source.ts';
import { TYPE_URL } from '../push/resource-source.ts';
import type { MeshGraph } from './mesh-graph.ts';

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
  const named = (name: string, scope: NodeScope) => namesUpstream(mesh, name, scope);
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
  // What a waypoint may see of the upstreams follows from its tables.
  mesh.routeTables.subscribe((events) => {
    const names = events.flatMap(({ value, previous }) => [
      ...(value?.upstreams ?? []),
      ...(previous?.upstreams ?? []),
    ]);
    upstream.announce([...new Set(names)]);
  });
  const markReady = () => {
    for (const table of [address, authorization, routeTable, upstream]) table.markReady();
  };
  return { address, authorization, routeTable, upstream, markReady };
}

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

  get(name: string): { version: string; value: T } | undefined {
    const stored = this.#collection.get(name);
    if (stored === undefined) return undefined;
    const value = this.#project(stored);
    let version = this.#versions.get(stored);
    if (version === undefined) {
      version = contentHash(value);
      this.#versions.set(stored, version);
    }
    return { version, value };
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

function namesUpstream(mesh: MeshGraph, name: string, scope: NodeScope): boolean {
  const key = waypointKey(scope);
  if (key === undefined) return false;
  for (const [, table] of mesh.routeTables.entries())
    if (table.waypointKeys.includes(key) && table.upstreams.includes(name)) return true;
  return false;
}

/** Equal content, equal version, also after a restart: a proxy that reconnects is sent only what changed. */
function contentHash(value: unknown): string {
  const text = JSON.stringify(value, (_key, each) => (each instanceof Map ? [...each] : each));
  return Bun.hash(text).toString(16);
}
