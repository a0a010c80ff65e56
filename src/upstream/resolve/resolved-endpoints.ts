/**
 * The endpoints of a destination whose addresses are names. `dns`: every answer is an endpoint of its own. `dns-round-robin`: one
 * endpoint, new connections go to the address that was first in the last answer (Envoy: strict and logical DNS).
 */
import { parseIp } from '#base/ip.ts';
import type { Endpoint, Upstream } from '#model/route/route-table.ts';
import type { NameCache, NameWatch } from './name-cache.ts';

export class ResolvedEndpoints {
  readonly #names: NameCache | undefined;
  readonly #onChange: () => void;
  readonly #watches = new Map<string, NameWatch>();
  #given: readonly Endpoint[] = [];
  #resolution: Upstream['resolution'] = undefined;

  /** Without names every address is taken as it is. */
  constructor(names: NameCache | undefined, onChange: () => void) {
    this.#names = names;
    this.#onChange = onChange;
  }

  configure(given: readonly Endpoint[], resolution: Upstream['resolution']): void {
    this.#given = given;
    this.#resolution = resolution;
    const wanted = new Set(given.map(({ address }) => address).filter(isName));
    for (const [name, watch] of this.#watches) {
      if (wanted.has(name)) continue;
      watch.cancel();
      this.#watches.delete(name);
    }
    for (const name of wanted) {
      if (this.#watches.has(name) || this.#names === undefined) continue;
      this.#watches.set(name, this.#names.watch(name, this.#onChange));
    }
  }

  get endpoints(): readonly Endpoint[] {
    if (this.#watches.size === 0) return this.#given;
    const isLogical = this.#resolution === 'dns-round-robin';
    return this.#given.flatMap((endpoint): Endpoint[] => {
      const watch = this.#watches.get(endpoint.address);
      if (watch === undefined) return [endpoint];
      const { addresses } = watch;
      if (isLogical) return addresses.slice(0, 1).map((address) => ({ ...endpoint, address }));
      return addresses.map((address) => ({
        ...endpoint,
        uid: `${endpoint.uid}/${address}`,
        address,
      }));
    });
  }

  /** A name whose first answer is still out. */
  get isPending(): boolean {
    for (const watch of this.#watches.values()) if (watch.isPending) return true;
    return false;
  }

  /** Why there is no endpoint, as far as names are to blame. */
  get failure(): string | undefined {
    for (const [name, { failure, addresses }] of this.#watches)
      if (failure !== undefined && addresses.length === 0)
        return `cannot resolve ${name}: ${failure}`;
    return undefined;
  }

  close(): void {
    this.configure([], undefined);
  }
}

function isName(address: string): boolean {
  return parseIp(address) === undefined;
}
