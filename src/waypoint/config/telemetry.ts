/** The settings of one waypoint or gateway: for everything, and for the services of which others are in force. */
import type { ServiceKey } from '#model/service/service.ts';
import { DEFAULT_SCOPED } from '#model/telemetry/scopes.ts';
import type { ScopedTelemetry, TelemetrySettings } from '#model/telemetry/settings.ts';

export class ProxyTelemetry {
  readonly #own: TelemetrySettings;
  readonly #services: ReadonlyMap<ServiceKey, TelemetrySettings>;

  /** Settings that came once are the same objects in every snapshot: what is made of them is kept by them. */
  constructor(scoped: ScopedTelemetry, side: 'server' | 'client') {
    this.#own = scoped[side];
    this.#services = new Map(Object.entries(side === 'server' ? (scoped.services ?? {}) : {}));
  }

  /** `service` is the one that the request is for, where it is known. */
  of(service: ServiceKey | undefined): TelemetrySettings {
    if (service === undefined || this.#services.size === 0) return this.#own;
    return this.#services.get(service) ?? this.#own;
  }

  /** All that are in force. */
  get all(): Iterable<TelemetrySettings> {
    return [this.#own, ...this.#services.values()];
  }
}

export const DEFAULT_PROXY_TELEMETRY = new ProxyTelemetry(DEFAULT_SCOPED, 'server');
