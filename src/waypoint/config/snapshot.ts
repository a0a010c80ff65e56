/**
 * The waypoint's configuration, compiled off the path to an immutable snapshot and swapped whole. A request keeps the snapshot
 * it started with. Endpoint groups are looked up here once, so that a request only reads; what the groups learned
 * lives in the `UpstreamStore` and outlasts snapshots.
 */
import { type Cidr, parseAddress, parseCidr, prefixContains } from '#base/cidr.ts';
import {
  type CompiledDestination,
  type CompiledRoutes,
  type CompiledTable,
  compileRouteTable,
} from '#model/route/compile.ts';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import type {
  Mirror,
  PolicyDenial,
  RouteDestination,
  RouteTable,
  Upstream,
} from '#model/route/route-table.ts';
import type { ServiceKey } from '#model/service/service.ts';
import { type CompiledHttpPolicies, compileHttpPolicies } from '#policy/l7/compile-policies.ts';
import type { EndpointGroup } from '#upstream/group/endpoint-group.ts';
import type { UpstreamStore } from '#upstream/group/upstream-store.ts';
import type { PoolConnection } from '#upstream/pool/endpoint-pool.ts';
import { type CompiledGateways, compileGateways, NO_GATEWAYS } from './gateway.ts';
import { DEFAULT_PROXY_TELEMETRY, type ProxyTelemetry } from './telemetry.ts';

/** Where a destination leads: endpoints, or an answer that says which resource is at fault. */
export type Target<C extends PoolConnection> =
  | { readonly group: EndpointGroup<C>; readonly broken: undefined }
  | { readonly group: undefined; readonly broken: NonNullable<RouteDestination['broken']> };

export interface ServiceConfig {
  readonly key: ServiceKey;
  readonly compiled: CompiledTable;
  readonly policies: CompiledHttpPolicies | undefined;
}

export interface SnapshotInput {
  readonly tables: Iterable<readonly [ServiceKey, RouteTable]>;
  /** What this process is the gateway of. */
  readonly gateways?: Iterable<GatewayConfig>;
  upstream(key: ServiceKey): Upstream | undefined;
  /** What is wrong with things that come beside the configuration. */
  readonly problems?: readonly string[];
  /** Undefined: as by default. */
  readonly telemetry?: ProxyTelemetry;
}

export class Snapshot<C extends PoolConnection> {
  readonly version: number;
  readonly gateways: CompiledGateways;
  readonly telemetry: ProxyTelemetry;
  readonly #services: ReadonlyMap<ServiceKey, ServiceConfig>;
  readonly #byHost: ReadonlyMap<string, ServiceConfig>;
  /** Of addresses that are ranges; few, the narrowest first. */
  readonly #ranges: readonly AddressRange[];
  readonly #targets: ReadonlyMap<CompiledDestination | Mirror, Target<C>>;
  /** Things that keep a part of the configuration from working, each naming the resource. */
  readonly problems: readonly string[];
  /** Destinations that a policy closes. */
  readonly deniedUpstreams: ReadonlyMap<ServiceKey, PolicyDenial>;
  /** Whether anything at all is refused by a policy that cannot be judged. */
  readonly denies: boolean;
  /** Whether anything is judged by policies. */
  readonly judges: boolean;

  constructor(parts: {
    version: number;
    gateways: CompiledGateways;
    telemetry: ProxyTelemetry;
    services: ReadonlyMap<ServiceKey, ServiceConfig>;
    byHost: ReadonlyMap<string, ServiceConfig>;
    targets: ReadonlyMap<CompiledDestination | Mirror, Target<C>>;
    problems: readonly string[];
    deniedUpstreams: ReadonlyMap<ServiceKey, PolicyDenial>;
  }) {
    this.version = parts.version;
    this.gateways = parts.gateways;
    this.telemetry = parts.telemetry;
    this.#services = parts.services;
    this.#byHost = parts.byHost;
    this.#ranges = rangesOf(parts.byHost);
    this.#targets = parts.targets;
    this.problems = parts.problems;
    this.deniedUpstreams = parts.deniedUpstreams;
    const tables = [...parts.services.values()].map(({ compiled }) => compiled.table);
    const places = [...parts.gateways.places.values()];
    this.denies =
      parts.deniedUpstreams.size > 0 ||
      [...tables, ...places].some(({ denied }) => denied !== undefined);
    this.judges = [...parts.services.values(), ...places].some(
      ({ policies }) => policies !== undefined,
    );
  }

  get services(): Iterable<ServiceConfig> {
    return this.#services.values();
  }

  /** `host` is the virtual address or the host name of a tunnel's authority. */
  serviceAt(host: string): ServiceConfig | undefined {
    return this.#byHost.get(host) ?? (this.#ranges.length === 0 ? undefined : this.#inRange(host));
  }

  #inRange(host: string): ServiceConfig | undefined {
    const address = parseAddress(host);
    if (address === undefined) return undefined;
    return this.#ranges.find(({ cidr }) => prefixContains(cidr.network, cidr.length, address))
      ?.service;
  }

  target(destination: CompiledDestination | Mirror): Target<C> | undefined {
    return this.#targets.get(destination);
  }
}

interface AddressRange {
  readonly cidr: Cidr;
  readonly service: ServiceConfig;
}

function rangesOf(byHost: ReadonlyMap<string, ServiceConfig>): AddressRange[] {
  const ranges = [...byHost].flatMap(([host, service]): AddressRange[] => {
    const cidr = host.includes('/') ? parseCidr(host) : undefined;
    return cidr === undefined ? [] : [{ cidr, service }];
  });
  return ranges.sort((left, right) => right.cidr.length - left.cidr.length);
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
  const targets = new Map<CompiledDestination | Mirror, Target<C>>();
  const used = new Set<EndpointGroup<C>>();
  const deniedUpstreams = new Map<ServiceKey, PolicyDenial>();
  const problems: string[] = [...(input.problems ?? [])];
  const aim = (place: CompiledDestination | Mirror) => {
    const destination = 'destination' in place ? place.destination : place;
    const target = resolveTarget(destination, input, store);
    targets.set(place, target);
    const denied = input.upstream(destination.upstream)?.denied;
    if (denied !== undefined) deniedUpstreams.set(destination.upstream, denied);
    if (target.group !== undefined) used.add(target.group);
    else problems.push(target.broken.reason);
  };
  for (const [key, table] of input.tables) {
    const old = known.get(key);
    const service = old?.compiled.table === table ? old : compileService(key, table, old);
    services.set(key, service);
    byHost.set(table.hostname, service);
    for (const address of table.addresses) byHost.set(address, service);
    problems.push(...service.compiled.problems);
    if (table.denied !== undefined) problems.push(table.denied.reason);
    for (const place of placesOf(service)) aim(place);
  }
  const gateways = compileGateways(input.gateways ?? [], previous?.gateways ?? NO_GATEWAYS);
  problems.push(...gateways.problems);
  for (const place of gatewayPlaces(gateways)) aim(place);
  store.retain(used);
  const version = (previous?.version ?? 0) + 1;
  return new Snapshot<C>({
    version,
    gateways,
    telemetry: input.telemetry ?? DEFAULT_PROXY_TELEMETRY,
    services,
    byHost,
    targets,
    problems: [...new Set(problems)],
    deniedUpstreams,
  });
}

/** Policies that are as they were are kept: keys need no reading, requests no second judgement. */
function compileService(
  key: ServiceKey,
  table: RouteTable,
  old: ServiceConfig | undefined,
): ServiceConfig {
  const { policies } = table;
  const isKept = JSON.stringify(policies) === JSON.stringify(old?.compiled.table.policies);
  const compiled = isKept ? old?.policies : policies && compileHttpPolicies(policies);
  return { key, compiled: compileRouteTable(table), policies: compiled };
}

function* gatewayPlaces({ parts }: CompiledGateways): Iterable<CompiledDestination | Mirror> {
  for (const { byServer } of parts.values()) {
    for (const { hosts, l4 } of byServer.values()) {
      for (const { routes } of hosts) if (routes !== undefined) yield* placesOfRoutes(routes);
      for (const { destinations } of l4.routes) yield* destinations;
    }
  }
}

/** Everything that requests or copies of them are sent to. */
function* placesOf(service: ServiceConfig): Iterable<CompiledDestination | Mirror> {
  for (const port of service.compiled.ports.values()) {
    yield* placesOfRoutes(port);
    for (const { destinations } of port.l4?.routes ?? []) yield* destinations;
  }
}

function* placesOfRoutes({ entries }: CompiledRoutes): Iterable<CompiledDestination | Mirror> {
  for (const { route } of entries) {
    yield* route.destinations;
    yield* route.route.mirrors ?? [];
    for (const { destination } of route.destinations) yield* destination.mirrors ?? [];
  }
}

function resolveTarget<C extends PoolConnection>(
  destination: RouteDestination | Mirror,
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
  if (group !== undefined) {
    const { refusal } = group.config.policy;
    return refusal === undefined ? { group, broken: undefined } : brokenTarget(refusal);
  }
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
