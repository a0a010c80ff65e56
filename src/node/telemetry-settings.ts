/** What of the mesh's telemetry is in force for a connection of a node proxy, compiled and kept as long as it is. */

import type { Attributes } from '#model/telemetry/expression/attributes.ts';
import { compileFilter } from '#model/telemetry/expression/evaluate.ts';
import { DEFAULT_SCOPED, telemetryOf } from '#model/telemetry/scopes.ts';
import type {
  AccessLogSettings,
  ScopedTelemetry,
  TelemetrySettings,
} from '#model/telemetry/settings.ts';
import type { Workload } from '#model/workload/workload.ts';

export type ScopeMap = ReadonlyMap<string, ScopedTelemetry>;

export class SettingsInForce {
  readonly #current: () => ScopeMap;
  #known: ScopeMap | undefined = undefined;
  #byWorkload = new WeakMap<Workload, ScopedTelemetry>();

  constructor(current: () => ScopeMap) {
    this.#current = current;
  }

  of(workload: Workload | undefined, direction: 'inbound' | 'outbound'): TelemetrySettings {
    const scoped = workload === undefined ? DEFAULT_SCOPED : this.#scopedOf(workload);
    return direction === 'outbound' ? scoped.client : scoped.server;
  }

  #scopedOf(workload: Workload): ScopedTelemetry {
    const current = this.#current();
    if (current !== this.#known) {
      this.#known = current;
      this.#byWorkload = new WeakMap();
    }
    if (current.size === 0) return DEFAULT_SCOPED;
    let scoped = this.#byWorkload.get(workload);
    if (scoped === undefined) {
      scoped = telemetryOf(current, workload);
      this.#byWorkload.set(workload, scoped);
    }
    return scoped;
  }
}

type Passes = (attributes: Attributes) => boolean;

const filters = new WeakMap<AccessLogSettings, Passes | boolean>();

/**
 * Whether a connection is written: yes, no, or by what it was. A node proxy has one access log, in its own format: what any output wants
 * is in it.
 */
export function logFilter(settings: AccessLogSettings): Passes | boolean {
  let filter = filters.get(settings);
  if (filter === undefined) {
    filter = compileOutputs(settings);
    filters.set(settings, filter);
  }
  return filter;
}

function compileOutputs({ outputs }: AccessLogSettings): Passes | boolean {
  if (outputs.length === 0) return false;
  const all = outputs.map(({ filter }) => filter && compileFilter(filter));
  const conditions = all.filter((condition) => condition !== undefined);
  if (conditions.length < all.length) return true;
  return (attributes) => conditions.some((passes) => passes(attributes));
}
