/**
 * What only one generation of the node proxy can have on a node: the ports of status, metrics and readiness, and the path of
 * the CNI socket. The newest has both: it asks the one before for the ports over that socket, then puts its own in the
 * place of the path. When it ends before the other does, the other finds the ports free and takes both back.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import {
  askToYield,
  type CniHandlers,
  type CniServer,
  startCniServer,
} from '#redirect/cni-server.ts';
import { PRESENCE_RETRY_MS } from './limits.ts';
import {
  type StatusPorts,
  type StatusServers,
  type StatusSource,
  startStatusServers,
} from './status/servers.ts';

export interface PresenceDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  source: StatusSource;
  /** Answers the CNI plugin. */
  cni: Pick<CniHandlers, 'onAdd' | 'onCheck'>;
}

export interface PresenceOptions {
  ports: StatusPorts;
  cniSocket: string;
}

export class Presence {
  readonly #deps: PresenceDeps;
  readonly #options: PresenceOptions;
  readonly #retry: Timer;
  #servers: StatusServers | undefined = undefined;
  #cni: CniServer | undefined = undefined;
  #asking = false;
  #yielded = false;
  #leaving = false;
  #failure = '';

  constructor(deps: PresenceDeps, options: PresenceOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#retry = deps.clock.every(PRESENCE_RETRY_MS, () => this.#again());
    this.#take();
    if (this.#servers === undefined) this.#again();
  }

  /** Serves the status ports. */
  get present(): boolean {
    return this.#servers !== undefined;
  }

  /** From now on whoever asks keeps what it gets. */
  leave(): void {
    this.#leaving = true;
  }

  stop(): void {
    this.#leaving = true;
    this.#retry.cancel();
    this.#servers?.stop();
    this.#cni?.stop();
  }

  #again(): void {
    // A second question may come after the answer to the first, when the socket is our own: we would yield to ourselves.
    if (this.#servers !== undefined || this.#leaving || this.#asking) return;
    // Who gave them away only waits until they are free.
    if (this.#yielded) this.#take();
    else void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const refusal = await askToYield(this.#options.cniSocket);
    this.#asking = false;
    if (refusal !== undefined) this.#deps.log.debug('nobody yields', { refusal });
    this.#take();
  }

  #take(): void {
    const { log, random, source, cni } = this.#deps;
    const { ports, cniSocket } = this.#options;
    if (this.#servers !== undefined || this.#leaving) return;
    try {
      this.#servers = startStatusServers(source, ports);
    } catch (error) {
      const failure = messageOf(error);
      if (failure !== this.#failure && !this.#yielded) {
        log.warn('status ports are taken, asking for them', { failure });
      }
      this.#failure = failure;
      return;
    }
    this.#cni?.stop();
    this.#cni = startCniServer(
      cniSocket,
      { log: log.child('cni'), random },
      { ...cni, onYield: () => this.#yield() },
    );
    log.info(this.#yielded ? 'took the status ports back' : 'serves status', {
      ...this.#servers.ports,
      cniSocket,
    });
    this.#yielded = false;
    this.#failure = '';
  }

  #yield(): void {
    this.#deps.log.info('another generation of the node proxy takes the status ports');
    this.#servers?.stop();
    this.#servers = undefined;
    this.#yielded = true;
  }
}
