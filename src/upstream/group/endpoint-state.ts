/** What is remembered of one endpoint of a group across configuration changes: health, load, learned protocol, connections. */
import type { Endpoint } from '#model/route/route-table.ts';
import { EndpointHealth } from '../health/outlier.ts';
import type { EndpointPool, LearnedProtocol, PoolConnection } from '../pool/endpoint-pool.ts';

export class EndpointState<C extends PoolConnection> {
  /** The newest configuration of it. */
  endpoint: Endpoint;
  /** Target port of the group's service port on this endpoint. */
  readonly port: number;
  readonly health: EndpointHealth;
  /** Requests in flight, for least-request and status. */
  active = 0;
  requestsTotal = 0;
  /** Set once, right after construction: the pool's dial needs the state. */
  pool!: EndpointPool<C>;

  /** What the configuration says before anything is learned. */
  startProtocol: LearnedProtocol;

  constructor(endpoint: Endpoint, port: number, startProtocol: LearnedProtocol) {
    this.endpoint = endpoint;
    this.port = port;
    this.startProtocol = startProtocol;
    this.health = new EndpointHealth(endpoint.name);
  }

  get weight(): number {
    return this.endpoint.weight;
  }

  /** `198.18.1.5:8080`. */
  get address(): string {
    const { address } = this.endpoint;
    return address.includes(':') ? `[${address}]:${this.port}` : `${address}:${this.port}`;
  }
}

/** Same process at the same place: what was learned about it still holds. */
export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.uid === b.uid && a.address === b.address && a.protocol === b.protocol;
}
