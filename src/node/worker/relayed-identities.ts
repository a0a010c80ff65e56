/**
 * The certificates of a data worker: made and renewed by the main thread, which passes each one on as it comes. Nothing is asked
 * for here: the main thread keeps a certificate for every pod that is served.
 */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { SvidStore } from '#identity/svid/svid-store.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { NODE_ERRORS } from '../errors.ts';
import { WORKLOAD_WAIT_MS } from '../limits.ts';
import type { RelayedIdentity } from './messages.ts';

export class RelayedIdentities implements SvidStore {
  readonly #clock: Clock;
  readonly #known = new Map<Principal, RelayedIdentity>();
  readonly #listeners = new Set<(principal: Principal, identity: TlsIdentity) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(relayed: RelayedIdentity): void {
    this.#known.set(relayed.principal, relayed);
    for (const listener of [...this.#listeners]) listener(relayed.principal, relayed.identity);
  }

  get(principal: Principal): TlsIdentity | undefined {
    const known = this.#known.get(principal);
    if (known?.expiresAt !== undefined && this.#clock.wallTime() >= known.expiresAt)
      return undefined;
    return known?.identity;
  }

  whenReady(principal: Principal): Promise<TlsIdentity> {
    const identity = this.get(principal);
    if (identity !== undefined) return Promise.resolve(identity);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(WORKLOAD_WAIT_MS, () => {
        stop();
        reject(notThere(principal));
      });
      const stop = this.onRotate((rotated, fresh) => {
        if (rotated !== principal) return;
        timer.cancel();
        stop();
        resolve(fresh);
      });
    });
  }

  onRotate(callback: (principal: Principal, identity: TlsIdentity) => void) {
    this.#listeners.add(callback);
    return () => void this.#listeners.delete(callback);
  }

  forget(principal: Principal): void {
    this.#known.delete(principal);
  }

  request(): void {
    return;
  }

  retry(): void {
    return;
  }

  /** The main thread's store has the whole answer. */
  status(): [] {
    return [];
  }

  lastIssued(): undefined {
    return undefined;
  }

  stop(): void {
    this.#listeners.clear();
  }
}

function notThere(principal: Principal): MeshError {
  return new MeshError('NODE_NO_IDENTITY', `no certificate for ${principal}`, {
    side: 'self',
    hint: NODE_ERRORS.NODE_NO_IDENTITY,
  });
}
