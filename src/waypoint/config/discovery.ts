/** What xDS told, as the engine wants it: tables and upstreams to compile, workloads by address. Changes of one turn compile once. */
import { canonicalIp } from '#base/ip.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import { ADDRESS } from '#xds/resources/address.ts';
import type { ResourceType } from '#xds/resources/resource-type.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import type { SnapshotInput } from './snapshot.ts';

/** In the order of subscription: a table is of use once the endpoints it leads to are known. */
export const WAYPOINT_TYPES = [ADDRESS, UPSTREAM, ROUTE_TABLE] as readonly ResourceType<unknown>[];

export class Discovery {
  readonly #client: XdsClient;
  readonly #byAddress = new Map<string, Workload>();
  readonly #byUid = new Map<string, Workload>();

  constructor(client: XdsClient) {
    this.#client = client;
    const addresses = client.store(ADDRESS);
    for (const [name] of addresses.entries()) this.#learn(name);
    addresses.onChange(({ changed, removed }) => {
      for (const name of removed) this.#forget(name);
      for (const name of changed) this.#learn(name);
    });
  }

  workloadAt(address: string): Workload | undefined {
    return this.#byAddress.get(canonicalIp(address));
  }

  get input(): SnapshotInput {
    const upstreams = this.#client.store(UPSTREAM);
    return {
      tables: this.#client.store(ROUTE_TABLE).entries(),
      upstream: (key) => upstreams.get(key),
    };
  }

  /** `apply` runs once after all changes of an event-loop turn, and once now. */
  onConfig(apply: () => void): void {
    let isScheduled = false;
    const schedule = () => {
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(() => {
        isScheduled = false;
        apply();
      });
    };
    this.#client.store(ROUTE_TABLE).onChange(schedule);
    this.#client.store(UPSTREAM).onChange(schedule);
    apply();
  }

  #learn(name: string): void {
    const value = this.#client.store(ADDRESS).get(name);
    this.#forget(name);
    if (value?.kind !== 'workload') return;
    const { workload } = value;
    this.#byUid.set(name, workload);
    // Host-network pods share their node's address: it names none of them.
    if (workload.hostNetwork) return;
    for (const address of workload.addresses) this.#byAddress.set(canonicalIp(address), workload);
  }

  #forget(name: string): void {
    const workload = this.#byUid.get(name);
    if (workload === undefined) return;
    this.#byUid.delete(name);
    for (const address of workload.addresses) {
      const key = canonicalIp(address);
      if (this.#byAddress.get(key) === workload) this.#byAddress.delete(key);
    }
  }
}
