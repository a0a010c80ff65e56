/**
 * The certificate that the control plane's own ports show: made by the mesh's CA at the start, and anew long before it runs out, for those
 * who stay up for a year. Whoever serves with it is told.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { CertificateAuthority, ServingIdentity } from '#identity/ca/authority.ts';
import { SERVING_TTL_SECONDS, TIMER_MAX_MS } from '#identity/limits.ts';
import { SERVING_ROTATION } from '../limits.ts';

const RENEW_AFTER_MS = SERVING_TTL_SECONDS * SERVING_ROTATION * 1000;

export class ServingCertificate {
  readonly #deps: { clock: Clock; log: Logger; authority: CertificateAuthority };
  readonly #names: readonly string[];
  readonly #listeners = new Set<(identity: ServingIdentity) => void>();
  #current: ServingIdentity;
  /** By the wall clock, which goes on while a machine sleeps. */
  #madeAt: number;
  #timer: Timer | undefined;

  private constructor(
    deps: { clock: Clock; log: Logger; authority: CertificateAuthority },
    names: readonly string[],
    first: ServingIdentity,
  ) {
    this.#deps = deps;
    this.#names = names;
    this.#current = first;
    this.#madeAt = deps.clock.wallTime();
    this.#wait();
  }

  static async create(
    deps: { clock: Clock; log: Logger; authority: CertificateAuthority },
    names: readonly string[],
  ): Promise<ServingCertificate> {
    return new ServingCertificate(deps, names, await deps.authority.issueServing(names));
  }

  get current(): ServingIdentity {
    return this.#current;
  }

  onRenewed(listener: (identity: ServingIdentity) => void): void {
    this.#listeners.add(listener);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  #wait(): void {
    this.#timer = this.#deps.clock.after(TIMER_MAX_MS, () => {
      const isDue = this.#deps.clock.wallTime() - this.#madeAt >= RENEW_AFTER_MS;
      if (isDue) void this.#renew().finally(() => this.#wait());
      else this.#wait();
    });
  }

  async #renew(): Promise<void> {
    const { log, clock, authority } = this.#deps;
    try {
      this.#current = await authority.issueServing(this.#names);
      this.#madeAt = clock.wallTime();
      for (const listener of this.#listeners) listener(this.#current);
      log.info('serving with a new certificate', { names: this.#names.join(' ') });
    } catch (error) {
      log.error('serving certificate not renewed; tried again in an hour', {
        reason: messageOf(error),
      });
    }
  }
}
