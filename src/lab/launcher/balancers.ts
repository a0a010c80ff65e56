/** The launcher's half of the lab's load balancers: loopback addresses of the host, relayed to the runner's unix sockets. */
import type { LabEvent } from '../events.ts';
import { UNPRIVILEGED_SHIFT } from '../limits.ts';
import { type Relay, startRelay } from './relay.ts';

/** One port of a Service, and where the host reaches it. */
export interface BalancedPort {
  /** `namespace/name`. */
  readonly service: string;
  readonly address: string;
  /** Of the Service. */
  readonly port: number;
  /** Of the host; another one where that of the Service is taken, or needs root. */
  readonly hostPort: number;
}

type Balanced = Extract<LabEvent, { event: 'balancer' }>;

export class Balancers {
  readonly #relays = new Map<string, { relay: Relay; shown: BalancedPort }>();
  readonly #onChange: () => void;
  /** One event after the other: two may be about the same port. */
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get ports(): BalancedPort[] {
    return [...this.#relays.values()].map(({ shown }) => shown);
  }

  apply(event: Balanced): void {
    this.#last = this.#last.then(() => this.#apply(event));
  }

  close(): void {
    this.#closed = true;
    for (const { relay } of this.#relays.values()) relay.close();
    this.#relays.clear();
  }

  async #apply({ service, address, ports }: Balanced): Promise<void> {
    const wanted = new Set(ports.map(({ port }) => `${address} ${port}`));
    for (const [key, { relay, shown }] of this.#relays) {
      if (shown.service !== service || wanted.has(key)) continue;
      relay.close();
      this.#relays.delete(key);
    }
    for (const { port, path } of ports) {
      const key = `${address} ${port}`;
      if (this.#closed || this.#relays.has(key)) continue;
      const relay = await listen(address, port, path);
      if (relay === undefined) continue;
      const shown = { service, address, port, hostPort: relay.port };
      this.#relays.set(key, { relay, shown });
      if (this.#closed) this.close();
    }
    this.#onChange();
  }
}

/** The port itself, else one far above it, else any: a machine may have something on every address already. */
async function listen(address: string, port: number, path: string): Promise<Relay | undefined> {
  for (const hostPort of [port, port + UNPRIVILEGED_SHIFT, 0]) {
    if (hostPort > 65_535) continue;
    try {
      return await startRelay({ host: address, port: hostPort }, () => ({ path }));
    } catch {
      // Taken, or forbidden: the next one.
    }
  }
  return undefined;
}
