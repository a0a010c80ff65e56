/**
 * Everything the node proxy knows of the mesh, indexed for its questions. Immutable: built whole from xDS resources
 * and swapped, so a connection decides on one consistent view.
 */
import type { Authorization } from '#model/authorization/authorization.ts';
import {
  type GatewayAddress,
  isVisibleTo,
  policyInNeed,
  type Service,
  type ServiceKey,
  serviceKey,
} from '#model/service/service.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { claimOf, isPod } from '#model/workload/address-claim.ts';
import type { Workload } from '#model/workload/workload.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import { PairMap } from './pair-map.ts';
import { RangeIndex } from './range-index.ts';

export type MeshAddress =
  | { readonly kind: 'workload'; readonly workload: Workload }
  | { readonly kind: 'service'; readonly service: Service };

export interface ServedWorkload {
  readonly namespace: string;
  readonly name: string;
  /** Its uid in discovery, of one that is no pod: a pod may have the same name. */
  readonly workloadUid?: string;
}

export interface SnapshotInput {
  readonly version: number;
  readonly addresses: Iterable<MeshAddress>;
  /** An index is taken over as it is: equal policies are then known to be equal without a look at them. */
  readonly authorizations: Iterable<Authorization> | PolicyIndex;
  /** By scope; taken over as it is. */
  readonly telemetry?: ReadonlyMap<string, ScopedTelemetry>;
}

const NO_TELEMETRY: ReadonlyMap<string, ScopedTelemetry> = new Map();

export class MeshSnapshot {
  readonly version: number;
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly services: ReadonlyMap<ServiceKey, Service>;
  readonly policies: PolicyIndex;
  /** What is measured and logged, by scope (model/telemetry/scopes.ts). */
  readonly telemetry: ReadonlyMap<string, ScopedTelemetry>;
  /** Services whose traffic waits for a waypoint, because of the policy named. */
  readonly unjudged: ReadonlyMap<ServiceKey, string>;
  readonly #workloadsByAddress = new PairMap<Workload>();
  readonly #ranges = new RangeIndex();
  readonly #servicesByAddress = new PairMap<Service[]>();
  /** Keys in lower case; `*.b.c` is a key like any other. */
  readonly #servicesByHostname = new Map<string, Service[]>();
  readonly #endpoints = new Map<ServiceKey, Workload[]>();
  /** By namespace and name. */
  readonly #podsByName = new PairMap<Workload>();
  /** Those that are known by a name instead of an address. */
  readonly #workloadsByName = new Map<ServiceKey, Workload>();
  readonly #authorizationsOf = new Map<string, readonly Authorization[]>();

  constructor(input: SnapshotInput) {
    const workloads = new Map<string, Workload>();
    const services = new Map<ServiceKey, Service>();
    for (const address of input.addresses) {
      if (address.kind === 'workload') workloads.set(address.workload.uid, address.workload);
      else services.set(serviceKey(address.service), address.service);
    }
    this.version = input.version;
    this.workloads = workloads;
    this.services = services;
    this.telemetry = input.telemetry ?? NO_TELEMETRY;
    const { authorizations } = input;
    this.policies =
      authorizations instanceof PolicyIndex ? authorizations : new PolicyIndex(authorizations);
    for (const workload of workloads.values()) this.#indexWorkload(workload);
    const unjudged = new Map<ServiceKey, string>();
    for (const [key, service] of services) {
      this.#indexService(service);
      const policy = service.waypoint && policyInNeed(service.waypoint);
      if (policy !== undefined) unjudged.set(key, policy);
    }
    this.unjudged = unjudged;
  }

  get authorizations(): readonly Authorization[] {
    return this.policies.all;
  }

  workloadAt(network: string, address: string): Workload | undefined {
    return this.#workloadsByAddress.get(network, address);
  }

  /** Several services may claim one address: own namespace, then canonical, then first (ztunnel src/state.rs). */
  serviceAt(network: string, address: string, clientNamespace: string): Service | undefined {
    const services = this.#servicesByAddress.get(network, address);
    const exact = services && best(visible(services, clientNamespace), clientNamespace);
    return exact ?? this.#ranges.find(network, address, clientNamespace);
  }

  /** The service of exactly this hostname, among those that the client may see and `usable` lets through. */
  serviceNamed(
    hostname: string,
    clientNamespace: string,
    {
      preferredNamespace,
      usable = () => true,
    }: { preferredNamespace?: string; usable?: (service: Service) => boolean } = {},
  ): Service | undefined {
    const candidates = this.#servicesByHostname
      .get(hostname.toLowerCase())
      ?.filter((service) => isVisibleTo(service, clientNamespace) && usable(service));
    return candidates && best(candidates, clientNamespace, preferredNamespace);
  }

  /** The service that a gateway is, whether it is named by hostname or by a virtual address. */
  serviceOfGateway({ service, address }: GatewayAddress, clientNamespace: string) {
    if (service !== undefined) return this.services.get(serviceKey(service));
    return address && this.serviceAt(address.network, address.address, clientNamespace);
  }

  /** The workload that a gateway is, where it is no service: of its address, or with its name instead of one. */
  workloadOfGateway({ service, address }: GatewayAddress): Workload | undefined {
    if (service !== undefined) return this.#workloadsByName.get(serviceKey(service));
    return address && this.workloadAt(address.network, address.address);
  }

  /** Whether the workload is one of those behind a gateway. */
  isPartOf(workload: Workload, gateway: GatewayAddress): boolean {
    const service = this.serviceOfGateway(gateway, workload.namespace) ?? gateway.service;
    if (service !== undefined && workload.services.has(serviceKey(service))) return true;
    const { address } = gateway.address ?? {};
    if (address !== undefined) return workload.addresses.includes(address);
    return this.workloadOfGateway(gateway)?.uid === workload.uid;
  }

  endpointsOf(key: ServiceKey): readonly Workload[] {
    return this.#endpoints.get(key) ?? [];
  }

  podNamed(namespace: string, name: string): Workload | undefined {
    return this.#podsByName.get(namespace, name);
  }

  /** What discovery says of a workload that this process serves. */
  servedBy({ namespace, name, workloadUid }: ServedWorkload): Workload | undefined {
    return workloadUid === undefined
      ? this.podNamed(namespace, name)
      : this.workloads.get(workloadUid);
  }

  /** The policies that apply to a workload; computed once a snapshot. */
  authorizationsOf(workload: Workload): readonly Authorization[] {
    let selected = this.#authorizationsOf.get(workload.uid);
    if (selected === undefined) {
      selected = this.policies.policiesOf(workload);
      this.#authorizationsOf.set(workload.uid, selected);
    }
    return selected;
  }

  #indexWorkload(workload: Workload): void {
    // Pods on the host network share the node's address: it names none of them.
    if (!workload.hostNetwork) {
      for (const address of workload.addresses) {
        const other = this.workloadAt(workload.network, address);
        if (other === undefined || claimOf(workload) > claimOf(other))
          this.#workloadsByAddress.set(workload.network, address, workload);
      }
    }
    const { namespace, hostname } = workload;
    if (hostname !== '') this.#workloadsByName.set(serviceKey({ namespace, hostname }), workload);
    if (isPod(workload)) {
      this.#podsByName.set(workload.namespace, workload.name, workload);
    }
    for (const key of workload.services.keys()) append(this.#endpoints, key, workload);
  }

  #indexService(service: Service): void {
    append(this.#servicesByHostname, service.hostname.toLowerCase(), service);
    for (const each of service.addresses) {
      const { network, address } = each;
      if (this.#ranges.add(service, each)) continue;
      const known = this.#servicesByAddress.get(network, address);
      if (known === undefined) this.#servicesByAddress.set(network, address, [service]);
      else known.push(service);
    }
  }
}

function visible(services: readonly Service[], clientNamespace: string): readonly Service[] {
  return services.filter((service) => isVisibleTo(service, clientNamespace));
}

function best(
  candidates: readonly Service[],
  clientNamespace: string,
  preferredNamespace?: string,
): Service | undefined {
  return (
    candidates.find((service) => service.namespace === clientNamespace) ??
    candidates.find((service) => service.canonical) ??
    candidates.find((service) => service.namespace === preferredNamespace) ??
    candidates[0]
  );
}

function append<V>(index: Map<string, V[]>, key: string, value: V): void {
  const values = index.get(key);
  if (values === undefined) index.set(key, [value]);
  else values.push(value);
}

export const EMPTY_SNAPSHOT = new MeshSnapshot({ version: 0, addresses: [], authorizations: [] });
