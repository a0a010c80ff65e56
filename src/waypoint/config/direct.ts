/**
 * Workloads that a waypoint serves by their own addresses (`istio.io/waypoint-for: workload` or `all`). Nobody lists the ports that a
 * client may dial: a table for an address and port is made when the first tunnel asks for it, and made again with each
 * configuration for as long as the workload is bound to this waypoint.
 */

import { DEFAULT_POLICY } from '#config/compile/destination-rule.ts';
import { DEFAULT_RETRIES } from '#config/compile/http-features.ts';
import { buildUpstream } from '#config/compile/upstream.ts';
import type { Route, RouteTable, Upstream } from '#model/route/route-table.ts';
import type { AppProtocol, Service, ServiceKey } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { DIRECT_PLACES_MAX } from '../limits.ts';

export interface DirectDeps {
  workloadAt(address: string): Workload | undefined;
  service(key: ServiceKey): Service | undefined;
  /** Of this waypoint's Gateway. */
  readonly gateway: { readonly namespace: string; readonly name: string };
}

export class DirectPlaces {
  readonly #deps: DirectDeps;
  readonly #ports = new Map<string, Set<number>>();
  #places = 0;

  constructor(deps: DirectDeps) {
    this.#deps = deps;
  }

  /** True when the address is one that we serve, and its port was not known before: the configuration is to be compiled again. */
  learn(address: string, port: number): boolean {
    if (this.#boundAt(address) === undefined || this.#places >= DIRECT_PLACES_MAX) return false;
    const ports = this.#ports.get(address) ?? new Set<number>();
    if (ports.has(port)) return false;
    this.#ports.set(address, ports.add(port));
    this.#places += 1;
    return true;
  }

  /** Tables and upstreams of what is still bound; the rest is forgotten. */
  *current(): Generator<{ key: ServiceKey; table: RouteTable; upstream: Upstream }> {
    for (const [address, ports] of this.#ports) {
      const workload = this.#boundAt(address);
      if (workload !== undefined) {
        yield this.#placeOf(workload, address, [...ports]);
        continue;
      }
      this.#ports.delete(address);
      this.#places -= ports.size;
    }
  }

  #boundAt(address: string): Workload | undefined {
    const { namespace, name } = this.#deps.gateway;
    const workload = this.#deps.workloadAt(address);
    const service = workload?.waypoint?.service;
    const isOurs =
      service?.namespace === namespace && service.hostname.startsWith(`${name}.${namespace}.`);
    return isOurs ? workload : undefined;
  }

  #placeOf(workload: Workload, address: string, ports: readonly number[]) {
    const { namespace } = workload;
    const place = { namespace, hostname: address };
    const key = serviceKey(place);
    const mappings = ports.map((port) => ({ servicePort: port, targetPort: port }));
    const service: Service = {
      ...place,
      name: workload.name,
      addresses: [],
      ports: mappings.map((each) => ({
        ...each,
        appProtocol: this.#protocolOf(workload, each.targetPort),
      })),
      subjectAltNames: [],
      waypoint: undefined,
      loadBalancing: undefined,
      canonical: false,
      visibility: 'public',
      ipFamilies: 'automatic',
    };
    const member = { ...workload, addresses: [address], services: new Map([[key, mappings]]) };
    const policies = { policy: { ...DEFAULT_POLICY, outlier: undefined }, subsets: [] };
    const upstream = buildUpstream(service, policies, [{ workload: member, labels: {} }]);
    const table: RouteTable = {
      ...place,
      addresses: [address],
      ports: service.ports.map(({ servicePort: port, appProtocol: protocol }) => ({
        port,
        protocol,
        routes: [routeTo({ upstream: key, host: address, port }, workload)],
      })),
    };
    return { key, table, upstream };
  }

  /** As a service of the workload declares it; a port that no service leads to is sniffed. */
  #protocolOf(workload: Workload, port: number): AppProtocol {
    for (const [key, mappings] of workload.services) {
      const mapping = mappings.find(({ targetPort }) => targetPort === port);
      const declared = this.#deps
        .service(key)
        ?.ports.find(({ servicePort }) => servicePort === mapping?.servicePort);
      if (declared !== undefined) return declared.appProtocol;
    }
    return 'unknown';
  }
}

function routeTo(
  to: { upstream: ServiceKey; host: string; port: number },
  { namespace, name }: Workload,
): Route {
  return {
    name: 'direct',
    provenance: { kind: 'Pod', namespace, name },
    matches: [],
    action: { kind: 'forward', destinations: [{ ...to, weight: 1 }] },
    retries: DEFAULT_RETRIES,
  };
}
