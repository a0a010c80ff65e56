/** What is remembered of one endpoint of a group across configuration changes: health, load, learned protocol, connections. */
import { formatHostPort } from '#base/ip.ts';
import type { Endpoint } from '#model/route/route-table.ts';
import { EndpointHealth } from '../health/outlier.ts';
import type { Member } from '../pick/balancer.ts';
import type { EndpointPool, LearnedProtocol, PoolConnection } from '../pool/endpoint-pool.ts';

export class EndpointState<C extends PoolConnection> implements Member {
  /** The newest configuration of it. */
  endpoint: Endpoint;
  /** `198.18.1.5:8080`. */
  address: string;
  /** Target port of the group's service port on this endpoint. */
  readonly port: number;
  readonly health: EndpointHealth;
  /** Requests in flight, for least-request and status. */
  active = 0;
  requestsTotal = 0;
  /** Kept by the balancer: it may take requests, healthy or in panic. */
  usable = true;
  /** When it was first there, on the monotonic clock. */
  readonly since: number;
  /** Set once, right after construction: the pool's dial needs the state. */
  pool!: EndpointPool<C>;

  /** What the configuration says before anything is learned. */
  startProtocol: LearnedProtocol;
  /** Of clients that speak HTTP/2, where the policy keeps to the client's protocol; made with the first of them. */
  #h2Pool: EndpointPool<C> | undefined = undefined;
  #makeH2Pool: (() => EndpointPool<C>) | undefined = undefined;

  constructor(
    endpoint: Endpoint,
    options: { port: number; startProtocol: LearnedProtocol; since: number },
  ) {
    this.endpoint = endpoint;
    this.address = formatHostPort(endpoint.address, options.port);
    this.port = options.port;
    this.startProtocol = options.startProtocol;
    this.since = options.since;
    this.health = new EndpointHealth(endpoint.name);
  }

  get weight(): number {
    return this.endpoint.weight;
  }

  /** A newer configuration of it. With another address, new connections go there; those that are open stay. */
  moveTo(endpoint: Endpoint): void {
    if (endpoint.address !== this.endpoint.address)
      this.address = formatHostPort(endpoint.address, this.port);
    this.endpoint = endpoint;
  }

  /** useClientProtocol: each protocol has connections of its own. Undefined = one pool for all. */
  followClient(makeH2Pool: (() => EndpointPool<C>) | undefined): void {
    this.#makeH2Pool = makeH2Pool;
    if (makeH2Pool !== undefined) return;
    this.#h2Pool?.close();
    this.#h2Pool = undefined;
  }

  /** The connections for a request. */
  poolFor(client: { readonly isH2: boolean }): EndpointPool<C> {
    if (!client.isH2 || this.#makeH2Pool === undefined) return this.pool;
    this.#h2Pool ??= this.#makeH2Pool();
    return this.#h2Pool;
  }

  get connections(): number {
    return this.pool.connections + (this.#h2Pool?.connections ?? 0);
  }

  sweepIdle(): void {
    this.pool.sweepIdle();
    this.#h2Pool?.sweepIdle();
  }

  /** It is gone: running exchanges finish, waiters are sent elsewhere. */
  close(): void {
    this.pool.close();
    this.#h2Pool?.close();
  }

  get isEjected(): boolean {
    return this.health.state === 'ejected';
  }
}

/** Same process at the same place (or, behind one name, `wherever`): what was learned about it still holds. */
export function isSameEndpoint(
  a: Endpoint,
  b: Endpoint,
  { wherever }: { wherever: boolean },
): boolean {
  return a.uid === b.uid && a.protocol === b.protocol && (wherever || a.address === b.address);
}
