/** Keeps the address of the control plane, which may change as its pods come and go. */
import { lookup } from 'node:dns/promises';
import { systemClock } from '#base/clock.ts';
import { canonicalIp, parseHostPort, parseIp } from '#base/ip.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import {
  type ControlPlace,
  dialer,
  firstReachable,
  type Reached,
  readControl,
} from './control-address.ts';

export interface ControlOptions {
  /** `HOST:PORT`; undefined: the Service at `controlPlace` says. */
  readonly control?: string;
  readonly controlPlace: ControlPlace;
  /** Host of the API server. */
  readonly apiHost?: string;
}

/** Where the control plane is now; looked up anew when it was lost. */
export class ControlFinder {
  readonly #client: KubeClient | undefined;
  readonly #options: ControlOptions;
  readonly #dial = dialer(new BunNetwork({ clock: systemClock }));
  #address = '';
  #excluded: ReadonlySet<string> = new Set();

  constructor(client: KubeClient | undefined, options: ControlOptions) {
    this.#client = client;
    this.#options = options;
  }

  get address(): string {
    return this.#address;
  }

  get excluded(): ReadonlySet<string> {
    return this.#excluded;
  }

  async find(): Promise<Reached> {
    const client = this.#client;
    const { control, controlPlace, apiHost } = this.#options;
    const candidates =
      control !== undefined
        ? [control]
        : client === undefined
          ? []
          : await readControl(client, controlPlace);
    const found = await firstReachable((address) => this.#reach(address), candidates);
    const host = parseHostPort(found.address)?.host ?? '';
    this.#excluded = new Set([...(await addressesOf(host)), ...(await addressesOf(apiHost))]);
    this.#address = found.address;
    return found;
  }

  async #reach(address: string): Promise<string> {
    const place = parseHostPort(address);
    if (place === undefined) throw new Error(`${address} is not HOST:PORT`);
    const [first] = await addressesOf(place.host);
    if (first === undefined) throw new Error(`${place.host} has no address`);
    return this.#dial(first, place.port);
  }
}

async function addressesOf(host: string | undefined): Promise<string[]> {
  if (host === undefined || host === '') return [];
  if (parseIp(host) !== undefined) return [canonicalIp(host)];
  return (await lookup(host, { all: true })).map(({ address }) => canonicalIp(address));
}
