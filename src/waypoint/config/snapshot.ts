/**
 * The waypoint's configuration, compiled off the path to an immutable snapshot and swapped whole. A request keeps the snapshot
 * it started with. Endpoint groups are looked up here once, so that a request only reads; what the groups learned
 * lives in the `UpstreamStore` and outlasts snapshots.
 */
import {
  type CompiledDestination,
  type CompiledTable,
  compileRouteTable,
} from '#model/route/compile.ts';
import type { RouteDestination, RouteTable, Upstream } from '#model/route/route-table.ts';
import type { ServiceKey } from '#model/service/service.ts';
import type { EndpointGroup } from '#upstream/group/endpoint-group.ts';
import type { UpstreamStore } from '#upstream/group/upstream-store.ts';
import type { PoolConnection } from '#upstream/pool/endpoint-pool.ts';

/** Where a destination leads: endpoints, or an answer that says which resource is at fault. */
export type Target<C extends PoolConnection> =
  | { readonly group: EndpointGroup<C>; readonly broken: undefined }
  | { readonly group: undefined; readonly broken: NonNullable<RouteDestination['broken']> };

export interface ServiceConfig {
  readonly key: ServiceKey;
  readonly compiled: CompiledTable;
}

export interface SnapshotInput {
  readonly tables: Iterable<readonly [ServiceKey, RouteTable]>;
  upstream(key: ServiceKey): Upstream | undefined;
}

export class Snapshot<C extends PoolConnection> {
  readonly version: number;
  readonly #services: ReadonlyMap<ServiceKey, ServiceConfig>;
  readonly #byHost: ReadonlyMap<string, ServiceConfig>;
  readonly #targets: ReadonlyMap<CompiledDestination, Target<C>>;
  /** Things that keep a part of the configuration from working, each naming the resource. */
  readonly problems: readonly string[];

  constructor(parts: {
    version: number;
    services: ReadonlyMap<ServiceKey, ServiceConfig>;
    byHost: ReadonlyMap<string, ServiceConfig>;
    targets: ReadonlyMap<CompiledDestination, Target<C>>;
    problems: readonly string[];
  }) {
    this.version = parts.version;
    this.#services = parts.services;
    this.#byHost = parts.byHost;
    this.#targets = parts.targets;
    this.problems = parts.problems;
  }

  get services(): Iterable<ServiceConfig> {
    return this.#services.values();
  }

  /** `host` is the virtual address or the host name of a tunnel's authority. */
  serviceAt(host: string): ServiceConfig | undefined {
    return this.#byHost.get(host);
  }

  target(destination: CompiledDestination): Target<C> | undefined {
    return this.#targets.get(destination);
  }
}

/** Tables that did not change are reused from `previous`: their regexes are not compiled again. */
export function compileSnapshot<C extends PoolConnection>(
  input: SnapshotInput,
  store: UpstreamStore<C>,
  previous?: Snapshot<C>,
): Snapshot<C> {
  const known = new Map([...(previous?.services ?? [])].map((service) => [service.key, service]));
  const services = new Map<ServiceKey, ServiceConfig>();
  const byHost = new Map<string, ServiceConfig>();
  const targets = new Map<CompiledDestination, Target<C>>();
  const used = new Set<EndpointGroup<C>>();
  const problems: string[] = [];
  for (const [key, table] of input.tables) {
    const old = known.get(key);
    const service =
      old?.compiled.table === table ? old : { key, compiled: compileRouteTable(table) };
    services.set(key, service);
    byHost.set(table.hostname, service);
    for (const address of table.addresses) byHost.set(address, service);
    problems.push(...service.compiled.problems);
    if (table.denied !== undefined) problems.push(table.denied.reason);
    for (const destination of destinationsOf(service)) {
      const target = resolveTarget(destination.destination, input, store);
      targets.set(destination, target);
      if (target.group !== undefined) used.add(target.group);
      else problems.push(target.broken.reason);
    }
  }
  store.retain(used);
  const version = (previous?.version ?? 0) + 1;
  return new Snapshot<C>({ version, services, byHost, targets, problems: [...new Set(problems)] });
}

function* destinationsOf(service: ServiceConfig): Iterable<CompiledDestination> {
  for (const port of service.compiled.ports.values()) {
    for (const entry of port.entries) yield* entry.route.destinations;
  }
}

function resolveTarget<C extends PoolConnection>(
  destination: RouteDestination,
  input: SnapshotInput,
  store: UpstreamStore<C>,
): Target<C> {
  const { broken, host, port, subset } = destination;
  if (broken !== undefined) return { group: undefined, broken };
  const upstream = input.upstream(destination.upstream);
  if (upstream === undefined) return brokenTarget(`host ${host} is not known to the mesh`);
  const { denied } = upstream;
  if (denied !== undefined)
    return { group: undefined, broken: { status: 403, flag: '-', reason: denied.reason } };
  const group = store.resolve(upstream, { subset, port });
  if (group !== undefined) return { group, broken: undefined };
  const { provenance } = upstream;
  if (subset !== undefined && !upstream.subsets.some((candidate) => candidate.name === subset)) {
    return brokenTarget(
      provenance === undefined
        ? `subset ${subset} of ${host} is not defined: no DestinationRule applies to the host`
        : `subset ${subset} of ${host} is not defined in ${provenance.kind} ${provenance.namespace}/${provenance.name}`,
    );
  }
  return brokenTarget(`${host} has no port ${port}`);
}

function brokenTarget<C extends PoolConnection>(reason: string): Target<C> {
  return { group: undefined, broken: { status: 503, flag: 'NC', reason } };
}
