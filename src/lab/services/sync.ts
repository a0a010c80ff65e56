/** Keeps every node's service table equal to the Services and EndpointSlices: collect, render, replace. */
import type { Clock, Timer } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { EndpointSlice, Service } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Informer, InformerHandler } from '#kube/informer/informer.ts';
import { SERVICE_SYNC_DELAY_MS } from '../limits.ts';
import { renderRuleset, virtualPorts } from './ruleset.ts';

export interface ServiceSyncDeps {
  clock: Clock;
  log: Logger;
  services: Informer<Service>;
  slices: Informer<EndpointSlice>;
  /** Applies a ruleset in one namespace; undefined is the fabric. */
  applyRuleset: (ruleset: string, namespace: string | undefined) => Promise<void>;
  namespaces: readonly (string | undefined)[];
}

/** One transaction at a time; changes during one are in the next. Starts with an empty table. */
export class ServiceSync {
  readonly #deps: ServiceSyncDeps;
  #applied = '';
  #timer: Timer | undefined;
  #running = false;
  #dirty = false;

  constructor(deps: ServiceSyncDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    const { services, slices } = this.#deps;
    const handler: InformerHandler<KubeObject> = {
      onAdd: () => this.#schedule(),
      onUpdate: () => this.#schedule(),
      onDelete: () => this.#schedule(),
    };
    services.subscribe(handler);
    slices.subscribe(handler);
    await this.#sync();
  }

  #schedule(): void {
    if (this.#running) {
      this.#dirty = true;
      return;
    }
    if (this.#timer !== undefined) return;
    this.#timer = this.#deps.clock.after(SERVICE_SYNC_DELAY_MS, () => {
      this.#timer = undefined;
      void this.#sync();
    });
  }

  async #sync(): Promise<void> {
    const { services, slices, namespaces, applyRuleset, log } = this.#deps;
    this.#running = true;
    const ruleset = renderRuleset(virtualPorts(services.list(), slices.list()));
    if (ruleset !== this.#applied) {
      try {
        await Promise.all(namespaces.map((namespace) => applyRuleset(ruleset, namespace)));
        this.#applied = ruleset;
      } catch (error) {
        // The old table stays in force: a transaction is all or nothing.
        log.error('service addresses not updated', { reason: messageOf(error) });
        this.#dirty = true;
      }
    }
    this.#running = false;
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#schedule();
  }
}
