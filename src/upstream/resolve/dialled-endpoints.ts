/**
 * Endpoints that no configuration lists: where the client itself dialled (`passthrough`), or the host that its request names
 * (`dynamic-dns`, Envoy's dynamic forward proxy). Each is made with its first request and forgotten when nobody asks for it.
 */
import type { Clock } from '#base/clock.ts';
import { parseIp } from '#base/ip.ts';
import type { Endpoint } from '#model/route/route-table.ts';
import { DIALLED_ENDPOINTS_MAX, DIALLED_IDLE_MS } from '../limits.ts';
import type { NameCache, NameWatch } from './name-cache.ts';

export interface DialledPlace {
  /** An address, or a name. */
  readonly host: string;
  readonly port: number;
}

/** What the group keeps of an endpoint. */
interface DialledState {
  readonly active: number;
}

export interface DialledDeps<S extends DialledState> {
  readonly clock: Clock;
  readonly names: NameCache | undefined;
  readonly create: (endpoint: Endpoint, port: number) => S;
  readonly moveTo: (state: S, address: string) => void;
  readonly close: (state: S) => void;
  readonly onChange: () => void;
}

interface Known<S> {
  state: S | undefined;
  watch: NameWatch | undefined;
  usedAt: number;
}

export class DialledEndpoints<S extends DialledState> {
  readonly #deps: DialledDeps<S>;
  /** The least recently used first. */
  readonly #known = new Map<string, Known<S>>();

  constructor(deps: DialledDeps<S>) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#known.size;
  }

  *states(): Generator<S> {
    for (const { state } of this.#known.values()) if (state !== undefined) yield state;
  }

  /** Undefined while the name has no address. */
  take(place: DialledPlace): S | undefined {
    const key = `${place.host} ${place.port}`;
    const known = this.#known.get(key) ?? this.#add(place);
    if (known === undefined) return undefined;
    known.usedAt = this.#deps.clock.now();
    this.#known.delete(key);
    this.#known.set(key, known);
    return known.state;
  }

  isPending(place: DialledPlace): boolean {
    return this.#known.get(`${place.host} ${place.port}`)?.watch?.isPending === true;
  }

  failure({ host, port }: DialledPlace): string {
    const known = this.#known.get(`${host} ${port}`);
    if (known === undefined) return `${DIALLED_ENDPOINTS_MAX} other destinations are in use`;
    return `cannot resolve ${host}: ${known.watch?.failure ?? 'no answer yet'}`;
  }

  sweep(): void {
    const oldest = this.#deps.clock.now() - DIALLED_IDLE_MS;
    for (const [key, known] of this.#known) {
      if (known.usedAt > oldest) return;
      if ((known.state?.active ?? 0) === 0) this.#drop(key, known);
    }
  }

  close(): void {
    for (const [key, known] of [...this.#known]) this.#drop(key, known);
  }

  #add(place: DialledPlace): Known<S> | undefined {
    const { names, create } = this.#deps;
    if (this.#known.size >= DIALLED_ENDPOINTS_MAX && !this.#makeRoom()) return undefined;
    const { host, port } = place;
    const known: Known<S> = { state: undefined, watch: undefined, usedAt: 0 };
    this.#known.set(`${host} ${port}`, known);
    if (parseIp(host) !== undefined) known.state = create(endpointAt(place, host), port);
    else if (names !== undefined) {
      known.watch = names.watch(host, () => this.#resolved(place, known));
      if (!known.watch.isPending) this.#resolved(place, known);
    }
    return known;
  }

  #resolved(place: DialledPlace, known: Known<S>): void {
    const address = known.watch?.addresses[0];
    if (address !== undefined) {
      if (known.state !== undefined) this.#deps.moveTo(known.state, address);
      else known.state = this.#deps.create(endpointAt(place, address), place.port);
    }
    this.#deps.onChange();
  }

  /** The longest unused one without a request goes. */
  #makeRoom(): boolean {
    for (const [key, known] of this.#known) {
      if ((known.state?.active ?? 0) > 0) continue;
      this.#drop(key, known);
      return true;
    }
    return false;
  }

  #drop(key: string, { state, watch }: Known<S>): void {
    this.#known.delete(key);
    watch?.cancel();
    if (state !== undefined) this.#deps.close(state);
  }
}

/** Outside the mesh: nobody vouches for it, and no policy of ours names it. */
function endpointAt({ host, port }: DialledPlace, address: string): Endpoint {
  return {
    uid: `dialled/${host}:${port}`,
    name: host,
    address,
    ports: { [port]: port },
    labels: {},
    locality: { region: '', zone: '', subzone: '' },
    node: '',
    weight: 1,
    healthy: true,
    protocol: 'none',
    principal: '',
    workloadName: '',
    canonicalName: '',
    canonicalRevision: '',
  };
}
