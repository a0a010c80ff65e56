/**
 * The endpoints that one destination (upstream, subset, port) may use, with their policy: what Envoy keeps per cluster. It
 * lives as long as some configuration names it; `configure` swaps endpoints and policy but keeps what was learned, so a
 * configuration push resets neither ejections nor connections.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { formatHostPort, parseHostPort } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import type { Endpoint, OutlierPolicy, TrafficPolicy, Upstream } from '#model/route/route-table.ts';
import type { AppProtocol } from '#model/service/service.ts';
import { type EndpointHealth, OutlierDetector } from '../health/outlier.ts';
import { RESOLVE_WAIT_MS } from '../limits.ts';
import { type ProxyPlace, UNKNOWN_PLACE } from '../locality/place.ts';
import { Balancer } from '../pick/balancer.ts';
import { HashTables } from '../pick/hash-tables.ts';
import {
  type DialOutcome,
  EndpointPool,
  type LearnedProtocol,
  type PoolConnection,
  type PoolShare,
} from '../pool/endpoint-pool.ts';
import { DialledEndpoints, type DialledPlace } from '../resolve/dialled-endpoints.ts';
import type { NameCache } from '../resolve/name-cache.ts';
import { ResolvedEndpoints } from '../resolve/resolved-endpoints.ts';
import { RetryBudget } from '../retry/budget.ts';
import { EndpointState, isSameEndpoint } from './endpoint-state.ts';

/** Opens a connection to an endpoint; protocols and tunnels are the caller's business. */
export type DialEndpoint<C extends PoolConnection> = (
  state: EndpointState<C>,
  group: EndpointGroup<C>,
  protocol: LearnedProtocol,
  outcome: DialOutcome<C>,
) => void;

export interface GroupEvents<C extends PoolConnection> {
  onHealth(event: 'ejected' | 'restored', group: EndpointGroup<C>, state: EndpointState<C>): void;
  onLearned(protocol: 'h1' | 'h2', group: EndpointGroup<C>, state: EndpointState<C>): void;
}

export interface GroupDeps<C extends PoolConnection> {
  clock: Clock;
  random: Random;
  dial: DialEndpoint<C>;
  events: GroupEvents<C>;
  /** Where the proxy runs, as far as it knows by now. */
  place?: () => ProxyPlace;
  /** Looks up addresses that are names; without it they are dialled as they are. */
  names?: NameCache;
}

/** What a pick may depend on besides health and load. */
export interface PickContext {
  /** Of `requestHash`; undefined = by chance. */
  readonly hash?: number;
  /** The address and port that the client dialled: for destinations that pass it through. */
  readonly dialled?: { readonly host: string; readonly port: number };
  /** Host name that the request is for (authority, SNI): for destinations that resolve it. */
  readonly authority?: string;
  /** A retry that may leave the localities tried: endpoints that failed, whose priorities come last. */
  readonly elsewhereThan?: readonly unknown[];
}

export interface GroupConfig {
  readonly upstream: Upstream;
  readonly subset: string | undefined;
  readonly port: number;
  readonly protocol: AppProtocol;
  readonly policy: TrafficPolicy;
  readonly endpoints: readonly Endpoint[];
}

export class EndpointGroup<C extends PoolConnection> {
  readonly key: string;
  readonly share: PoolShare;
  readonly retries = new RetryBudget();
  /** Requests in flight in the whole group. */
  active = 0;
  config: GroupConfig;
  readonly #deps: GroupDeps<C>;
  readonly #outlier: OutlierDetector;
  #balancer: Balancer<EndpointState<C>>;
  readonly #tables = new HashTables<EndpointState<C>>();
  #states: readonly EndpointState<C>[] = [];
  readonly #resolved: ResolvedEndpoints;
  /** Only of destinations that clients choose themselves. */
  readonly #dialled: DialledEndpoints<EndpointState<C>>;
  /** Requests that wait for the first answer about a name. */
  readonly #waiting = new Set<() => void>();
  #ticker: Timer | undefined;
  #tickerMs = 0;

  constructor(key: string, deps: GroupDeps<C>, config: GroupConfig) {
    this.key = key;
    this.config = config;
    this.#deps = deps;
    this.share = { policy: config.policy.connectionPool, connections: 0, pending: 0 };
    this.#balancer = this.#balance();
    this.#resolved = new ResolvedEndpoints(deps.names, () => this.#nameChanged());
    this.#dialled = new DialledEndpoints<EndpointState<C>>({
      clock: deps.clock,
      names: deps.names,
      create: (endpoint, port) => this.#createState(endpoint, port),
      moveTo: (state, address) => state.moveTo({ ...state.endpoint, address }),
      close: (state) => state.close(),
      onChange: () => this.#wakeWaiting(),
    });
    this.#outlier = new OutlierDetector({
      clock: deps.clock,
      onChange: () => this.#refreshAvailable(),
      onEvent: (event, health) => this.#onHealth(event, health),
    });
    this.configure(config);
  }

  /** Endpoints of the configuration, and those that clients chose themselves. */
  get states(): readonly EndpointState<C>[] {
    return this.#dialled.size === 0 ? this.#states : [...this.#states, ...this.#dialled.states()];
  }

  /** Name for logs: `product-service.shop.svc.cluster.local subset canary port 80`. */
  get description(): string {
    const { upstream, subset, port } = this.config;
    return `${upstream.hostname}${subset === undefined ? '' : ` subset ${subset}`} port ${port}`;
  }

  configure(config: GroupConfig): void {
    this.config = config;
    const { policy } = config;
    this.share.policy = policy.connectionPool;
    this.retries.configure(policy.retryBudget, policy.connectionPool.maxRetries);
    this.#resolved.configure(config.endpoints, config.upstream.resolution);
    this.#setTicker(policy.outlier);
    this.#refreshEndpoints();
  }

  /**
   * Undefined when nothing may take a request: `unavailableReason` says why. `tried` are avoided when there is a choice; for a
   * hashed pick that means the key's next choice.
   */
  pick(tried?: readonly EndpointState<C>[], context?: PickContext): EndpointState<C> | undefined {
    if (context === undefined && tried === undefined) return this.#balancer.pick(undefined, 0);
    if (context !== undefined) {
      const place = this.#placeOf(context);
      if (place !== undefined) return this.#pickDialled(place);
    }
    const hash = context?.hash;
    if (context?.elsewhereThan !== undefined) {
      const found = this.#balancer.pickElsewhere(hash, context.elsewhereThan);
      if (found !== undefined) return found;
    }
    if (tried === undefined || tried.length === 0) return this.#balancer.pick(hash, 0);
    return this.#balancer.pickOther(hash, tried);
  }

  /** After a pick without result: a name's first answer is still out, `whenResolved` waits for it. */
  isResolving(context?: PickContext): boolean {
    const place = context && this.#placeOf(context);
    if (place !== undefined) return this.#dialled.isPending(place);
    return this.#states.length === 0 && this.#resolved.isPending;
  }

  /** Runs `done` once: when the name's first answer is there, good or bad, or after `RESOLVE_WAIT_MS`. */
  whenResolved(context: PickContext | undefined, done: () => void): Disposer {
    const end = () => {
      timer.cancel();
      this.#waiting.delete(check);
    };
    const wake = () => {
      end();
      done();
    };
    const check = () => {
      if (!this.isResolving(context)) wake();
    };
    const timer = this.#deps.clock.after(RESOLVE_WAIT_MS, wake);
    this.#waiting.add(check);
    return end;
  }

  /** The proxy learned where it runs. */
  relocate(): void {
    this.#refreshAvailable();
  }

  unavailableReason(context?: PickContext): string {
    const { upstream, subset } = this.config;
    const place = context && this.#placeOf(context);
    if (place !== undefined) return this.#dialled.failure(place);
    if (upstream.resolution === 'passthrough')
      return `${upstream.hostname} (resolution NONE) goes where the client dialled, and clients dial a gateway: use DNS there`;
    if (upstream.resolution === 'dynamic-dns')
      return `${context?.authority ?? 'the request'} is no host of ${upstream.hostname}`;
    const { failure } = this.#resolved;
    if (failure !== undefined) return failure;
    const where = subset === undefined ? upstream.hostname : `subset ${subset}`;
    if (this.#states.length > 0) {
      const ejection = this.#states[0].health.ejection;
      const why = ejection === undefined ? '' : ` (${ejection.reason})`;
      return `all ${this.#states.length} endpoints of ${where} are ejected${why}`;
    }
    const total = upstream.endpoints.length;
    return total === 0
      ? `${upstream.hostname} has no endpoints`
      : `${where} selects none of the ${total} endpoints that are ready`;
  }

  reportStatus(state: EndpointState<C>, status: number): void {
    this.#outlier.reportStatus(state.health, status);
  }

  reportFailure(state: EndpointState<C>, failure: 'connect' | 'timeout' | 'reset'): void {
    this.#outlier.reportFailure(state.health, failure);
  }

  /** A connection for bytes came about. */
  reportConnected(state: EndpointState<C>): void {
    this.#outlier.reportConnected(state.health);
  }

  sweepIdle(): void {
    for (const state of this.states) state.sweepIdle();
    this.#dialled.sweep();
  }

  close(): void {
    this.#ticker?.cancel();
    this.#ticker = undefined;
    this.#resolved.close();
    for (const state of this.#states) state.close();
    this.#dialled.close();
    this.#states = [];
    this.#wakeWaiting();
    this.#balancer = this.#balance();
  }

  /**
   * Where the client wants to go by itself: the address that it dialled, or the host that its request names, if the destination's
   * wildcard covers it. Undefined where the configuration's endpoints serve.
   */
  #placeOf({ dialled, authority }: PickContext): DialledPlace | undefined {
    const { upstream, port, policy } = this.config;
    switch (upstream.resolution) {
      case 'passthrough':
        return dialled;
      case 'dynamic-dns': {
        const host = parseHostPort(authority ?? '')?.host ?? authority ?? '';
        return coversName(upstream.hostname, host) ? { host, port } : undefined;
      }
      default:
        // A virtual address is none of the endpoints' own: there the balancer decides.
        return policy.loadBalancer === 'passthrough' && dialled && this.#ownAt(dialled)
          ? dialled
          : undefined;
    }
  }

  /** An endpoint of the configuration may be at the dialled address: it is known better than by its address alone. */
  #pickDialled(place: DialledPlace): EndpointState<C> | undefined {
    return this.#ownAt(place) ?? this.#dialled.take(place);
  }

  #ownAt({ host, port }: DialledPlace): EndpointState<C> | undefined {
    if (this.#states.length === 0) return undefined;
    const address = formatHostPort(host, port);
    return this.#states.find((state) => state.address === address && state.usable);
  }

  #nameChanged(): void {
    this.#refreshEndpoints();
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #refreshEndpoints(): void {
    this.#swapEndpoints(this.config);
    this.#outlier.configure(
      this.config.policy.outlier,
      this.#states.map((state) => state.health),
    );
    this.#refreshAvailable();
  }

  #swapEndpoints(config: GroupConfig): void {
    const isLogical = config.upstream.resolution === 'dns-round-robin';
    const previous = new Map(this.#states.map((state) => [state.endpoint.uid, state]));
    const next: EndpointState<C>[] = [];
    for (const endpoint of this.#resolved.endpoints) {
      const port = endpoint.ports[config.port];
      if (port === undefined || !endpoint.healthy) continue;
      const known = previous.get(endpoint.uid);
      const isSame = known !== undefined && known.port === port;
      if (isSame && isSameEndpoint(known.endpoint, endpoint, { wherever: isLogical })) {
        known.moveTo(endpoint);
        this.#followPolicy(known, this.#startProtocol());
        previous.delete(endpoint.uid);
        next.push(known);
      } else next.push(this.#createState(endpoint, port));
    }
    this.#states = next;
    for (const gone of previous.values()) gone.close();
  }

  #createState(endpoint: Endpoint, port: number): EndpointState<C> {
    const startProtocol = this.#startProtocol();
    const since = this.#deps.clock.now();
    const state = new EndpointState<C>(endpoint, { port, startProtocol, since });
    state.pool = this.#createPool(state, startProtocol);
    this.#followClient(state);
    return state;
  }

  #createPool(state: EndpointState<C>, start: LearnedProtocol): EndpointPool<C> {
    const { clock, dial, events } = this.#deps;
    return new EndpointPool<C>(
      {
        clock,
        share: this.share,
        dial: (protocol, outcome) => dial(state, this, protocol, outcome),
        onLearned: (protocol) => events.onLearned(protocol, this, state),
      },
      start,
    );
  }

  #followClient(state: EndpointState<C>): void {
    const isWanted = this.config.policy.connectionPool.useClientProtocol === true;
    state.followClient(isWanted ? () => this.#createPool(state, 'h2') : undefined);
  }

  #startProtocol(): LearnedProtocol {
    const { protocol, policy } = this.config;
    if (policy.connectionPool.useClientProtocol) return 'h1';
    if (protocol === 'http2' || protocol === 'grpc') return 'h2';
    return policy.connectionPool.h2Upgrade === 'upgrade' ? 'unknown' : 'h1';
  }

  /** A policy that changed since: what was learned stays, but an upgrade that is newly wanted is tried. */
  #followPolicy(state: EndpointState<C>, wanted: LearnedProtocol): void {
    this.#followClient(state);
    if (state.startProtocol === wanted) return;
    state.startProtocol = wanted;
    state.pool.protocol = wanted;
  }

  #setTicker(outlier: OutlierPolicy | undefined): void {
    const intervalMs = outlier?.intervalMs ?? 0;
    if (intervalMs === this.#tickerMs) return;
    this.#ticker?.cancel();
    this.#tickerMs = intervalMs;
    this.#ticker =
      intervalMs === 0 ? undefined : this.#deps.clock.every(intervalMs, () => this.#outlier.tick());
  }

  #refreshAvailable(): void {
    this.#balancer = this.#balance();
  }

  #balance(): Balancer<EndpointState<C>> {
    const { clock, random, place } = this.#deps;
    const { policy } = this.config;
    const members = this.#states;
    const input = { members, policy, place: place?.() ?? UNKNOWN_PLACE, tables: this.#tables };
    return new Balancer(input, { clock, random });
  }

  #onHealth(event: 'ejected' | 'restored', health: EndpointHealth): void {
    const state = this.#states.find((candidate) => candidate.health === health);
    if (state !== undefined) this.#deps.events.onHealth(event, this, state);
  }
}

/** `*.example.com` stands for every name below it, `*` for all (Istio: host.Name Matches). */
function coversName(pattern: string, name: string): boolean {
  const suffix = pattern.startsWith('*') ? pattern.slice(1) : undefined;
  const lower = name.toLowerCase();
  if (suffix === undefined) return lower === pattern;
  return lower.length > suffix.length && lower.endsWith(suffix);
}
