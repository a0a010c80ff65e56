/**
 * The difference between two snapshots, small enough to send to another thread, and its application there. Values are
 * immutable and replaced whole, so "the same object" means "unchanged".
 */
import type { Authorization } from '#model/authorization/authorization.ts';
import type { Service } from '#model/service/service.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import type { Workload } from '#model/workload/workload.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import type { MeshAddress, MeshSnapshot } from './mesh-snapshot.ts';

export interface ChangeOf<T> {
  readonly changed: readonly (readonly [key: string, value: T])[];
  readonly removed: readonly string[];
}

export interface SnapshotChange {
  readonly version: number;
  readonly workloads: ChangeOf<Workload>;
  readonly services: ChangeOf<Service>;
  readonly authorizations: ChangeOf<Authorization>;
  readonly telemetry: ChangeOf<ScopedTelemetry>;
}

export function changeBetween(previous: MeshSnapshot, next: MeshSnapshot): SnapshotChange {
  return {
    version: next.version,
    workloads: difference(previous.workloads, next.workloads),
    services: difference(previous.services, next.services),
    authorizations: difference(byName(previous), byName(next)),
    telemetry: difference(previous.telemetry, next.telemetry),
  };
}

function byName(snapshot: MeshSnapshot): Map<string, Authorization> {
  return new Map(snapshot.authorizations.map((each) => [`${each.namespace}/${each.name}`, each]));
}

function difference<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): ChangeOf<T> {
  const changed: [string, T][] = [];
  for (const [key, value] of after) if (before.get(key) !== value) changed.push([key, value]);
  const removed: string[] = [];
  for (const key of before.keys()) if (!after.has(key)) removed.push(key);
  return { changed, removed };
}

/** The receiving end: applies changes in the order they were made and holds the whole. */
export class ChangedMesh {
  readonly #workloads = new Map<string, Workload>();
  readonly #services = new Map<string, Service>();
  readonly #authorizations = new Map<string, Authorization>();
  #policies = new PolicyIndex([]);
  #telemetry: ReadonlyMap<string, ScopedTelemetry> = new Map();

  apply(change: SnapshotChange): void {
    applyTo(this.#workloads, change.workloads);
    applyTo(this.#services, change.services);
    if (change.telemetry.changed.length > 0 || change.telemetry.removed.length > 0) {
      const telemetry = new Map(this.#telemetry);
      applyTo(telemetry, change.telemetry);
      this.#telemetry = telemetry;
    }
    const { changed, removed } = change.authorizations;
    if (changed.length === 0 && removed.length === 0) return;
    applyTo(this.#authorizations, change.authorizations);
    this.#policies = new PolicyIndex(this.#authorizations.values());
  }

  *addresses(): Generator<MeshAddress> {
    for (const workload of this.#workloads.values()) yield { kind: 'workload', workload };
    for (const service of this.#services.values()) yield { kind: 'service', service };
  }

  /** The same index as long as no policy changes. */
  get policies(): PolicyIndex {
    return this.#policies;
  }

  /** The same map as long as none of it changes. */
  get telemetry(): ReadonlyMap<string, ScopedTelemetry> {
    return this.#telemetry;
  }
}

function applyTo<T>(values: Map<string, T>, { changed, removed }: ChangeOf<T>): void {
  for (const key of removed) values.delete(key);
  for (const [key, value] of changed) values.set(key, value);
}
