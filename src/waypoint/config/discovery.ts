/** What xDS told, as the engine wants it: tables and upstreams to compile, workloads by address. Changes of one turn compile once. */
import type { TrafficPolicy, Upstream } from '#model/route/route-table.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import { ADDRESS } from '#xds/resources/address.ts';
import { GATEWAY_CONFIG } from '#xds/resources/gateway-config.ts';
import type { ResourceType } from '#xds/resources/resource-type.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { TELEMETRY } from '#xds/resources/telemetry.ts';
import { TLS_MATERIAL } from '#xds/resources/tls-material.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import { DirectPlaces } from './direct.ts';
import { MaterialStore } from './materials.ts';
import type { SnapshotInput } from './snapshot.ts';
import { ProxyTelemetry } from './telemetry.ts';
import { WorkloadsByAddress } from './workloads-by-address.ts';

/** In the order of subscription: a table is of use once the endpoints it leads to are known, a listener with its certificates. */
const SUBSCRIBED = {
  waypoint: [ADDRESS, TELEMETRY, TLS_MATERIAL, UPSTREAM, ROUTE_TABLE],
  router: [ADDRESS, TELEMETRY, TLS_MATERIAL, UPSTREAM, GATEWAY_CONFIG],
} as const;

/** `router` is xDS's word for a gateway. */
export type ProxyKind = keyof typeof SUBSCRIBED;

export function subscribedTypes(kind: ProxyKind): readonly ResourceType<unknown>[] {
  return SUBSCRIBED[kind] as readonly ResourceType<unknown>[];
}

export class Discovery {
  readonly materials = new MaterialStore();
  readonly direct: DirectPlaces;
  readonly #client: XdsClient;
  readonly #kind: ProxyKind;
  readonly #names: readonly string[];
  /** What came of an upstream: an unchanged one must stay the same object. */
  readonly #shaped = new WeakMap<Upstream, Upstream>();
  readonly #byAddress = new WorkloadsByAddress();
  #revision = 0;
  readonly #byUid = new Map<string, Workload>();
  #telemetry: { readonly scoped: ScopedTelemetry; readonly made: ProxyTelemetry } | undefined;

  /** `names`: `namespace/name` of the Gateway that this proxy serves, and of its pod. */
  constructor(client: XdsClient, kind: ProxyKind, names: readonly string[]) {
    this.#client = client;
    const addressStore = client.store(ADDRESS);
    this.#kind = kind;
    this.#names = names;
    const [namespace = '', name = ''] = names[0]?.split('/') ?? [];
    this.direct = new DirectPlaces({
      gateway: { namespace, name },
      workloadAt: (address) => this.workloadAt(address),
      service: (key) => {
        const found = addressStore.get(key);
        return found?.kind === 'service' ? found.service : undefined;
      },
    });
    for (const [name] of addressStore.entries()) this.#learn(name);
    addressStore.onChange(({ changed, removed }) => {
      this.#revision++;
      for (const name of removed) this.#forget(name);
      for (const name of changed) this.#learn(name);
    });
  }

  /** Grows when workloads change. */
  get revision(): number {
    return this.#revision;
  }

  workloadAt(address: string): Workload | undefined {
    return this.#byAddress.at(address);
  }

  get input(): SnapshotInput {
    const upstreams = this.#client.store(UPSTREAM);
    const isGateway = this.#kind === 'router';
    const direct = new Map([...this.direct.current()].map((each) => [each.key, each]));
    return {
      tables: isGateway
        ? []
        : [
            ...this.#client.store(ROUTE_TABLE).entries(),
            ...[...direct].map(([key, { table }]) => [key, table] as const),
          ],
      gateways: isGateway
        ? [...this.#client.store(GATEWAY_CONFIG).entries()].map(([, config]) => config)
        : [],
      upstream: (key) => {
        const found = upstreams.get(key);
        if (found === undefined) return direct.get(key)?.upstream;
        const known = this.#shaped.get(found);
        if (known !== undefined) return known;
        const own = variantFor(found, this.#names);
        const shaped = isGateway ? throughWaypoint(own) : own;
        this.#shaped.set(found, shaped);
        return shaped;
      },
      problems: this.materials.problems,
      telemetry: this.#proxyTelemetry(),
    };
  }

  /** The one resource that is for this pod. */
  get telemetry(): ScopedTelemetry | undefined {
    const [entry] = this.#client.store(TELEMETRY).entries();
    return entry?.[1];
  }

  #proxyTelemetry(): ProxyTelemetry | undefined {
    const scoped = this.telemetry;
    if (scoped === undefined) return undefined;
    if (this.#telemetry?.scoped !== scoped) {
      const side = this.#kind === 'router' ? 'client' : 'server';
      this.#telemetry = { scoped, made: new ProxyTelemetry(scoped, side) };
    }
    return this.#telemetry.made;
  }

  /** Destinations as they were sent. */
  get upstreams(): Iterable<Upstream> {
    return [...this.#client.store(UPSTREAM).entries()].map(([, upstream]) => upstream);
  }

  /** Names alone. */
  get materialNames(): Iterable<string> {
    return [...this.#client.store(TLS_MATERIAL).entries()].map(([name]) => name);
  }

  /** `apply` runs once after all changes of an event-loop turn, and once now. */
  onConfig(apply: () => void): void {
    let isScheduled = false;
    const materials = this.#client.store(TLS_MATERIAL);
    const run = () => {
      this.materials.update(materials.entries());
      apply();
    };
    const schedule = () => {
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(() => {
        isScheduled = false;
        run();
      });
    };
    for (const type of SUBSCRIBED[this.#kind]) {
      if (type !== ADDRESS) this.#client.store(type as ResourceType<unknown>).onChange(schedule);
    }
    run();
  }

  #learn(name: string): void {
    const value = this.#client.store(ADDRESS).get(name);
    this.#forget(name);
    if (value?.kind !== 'workload') return;
    const { workload } = value;
    this.#byUid.set(name, workload);
    this.#byAddress.add(workload);
  }

  #forget(name: string): void {
    const workload = this.#byUid.get(name);
    if (workload === undefined) return;
    this.#byUid.delete(name);
    this.#byAddress.remove(workload);
  }
}

/** With the DestinationRules that are in force for this proxy alone. */
export function variantFor(upstream: Upstream, names: readonly string[]): Upstream {
  const own = upstream.variants?.find(({ proxies }) =>
    proxies.some((name) => names.includes(name)),
  );
  if (own === undefined) return upstream;
  const { proxies: _ours, ...shaped } = own;
  return { ...upstream, portPolicies: undefined, provenance: undefined, ...shaped };
}

/**
 * A gateway reaches a service that has a waypoint through it, by one set of endpoints: which of the service's own take the
 * request, and under what policy, is the waypoint's to decide.
 */
export function throughWaypoint(upstream: Upstream): Upstream {
  if (upstream.waypoint === undefined) return upstream;
  const { waypoint, policy, subsets, denied: _judgedThere, ...rest } = upstream;
  const { loadBalancer: _own, hash: _hash, locality: _locality, tls: _tls, ...kept } = policy;
  const carried: TrafficPolicy = {
    ...kept,
    loadBalancer: 'least-request',
    outlier: undefined,
    proxyProtocol: undefined,
  };
  return {
    ...rest,
    policy: carried,
    portPolicies: undefined,
    subsets: subsets.map(({ name }) => ({ name, labels: {}, policy: carried })),
    resolution: 'static',
    endpoints: waypoint.endpoints,
  };
}
