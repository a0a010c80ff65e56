/**
 * The endpoints that one destination (upstream, subset, port) may use, with their policy: what Envoy keeps per cluster. It
 * lives as long as some configuration names it; `configure` swaps endpoints and policy but keeps what was learned, so a
 * configuration push resets neither ejections nor connections.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { Endpoint, OutlierPolicy, TrafficPolicy, Upstream } from '#model/route/route-table.ts';
import type { AppProtocol } from '#model/service/service.ts';
import { type EndpointHealth, OutlierDetector } from '../health/outlier.ts';
import { createPicker, type Picker } from '../pick/pick.ts';
import {
  type DialOutcome,
  EndpointPool,
  type LearnedProtocol,
  type PoolConnection,
  type PoolShare,
} from '../pool/endpoint-pool.ts';
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
  #picker: Picker;
  #states: readonly EndpointState<C>[] = [];
  #available: readonly EndpointState<C>[] = [];
  #ticker: Timer | undefined;
  #tickerMs = 0;

  constructor(key: string, deps: GroupDeps<C>, config: GroupConfig) {
    this.key = key;
    this.config = config;
    this.#deps = deps;
    this.share = { policy: config.policy.connectionPool, connections: 0, pending: 0 };
    this.#picker = createPicker(config.policy.loadBalancer);
    this.#outlier = new OutlierDetector({
      clock: deps.clock,
      onChange: () => this.#refreshAvailable(),
      onEvent: (event, health) => this.#onHealth(event, health),
    });
    this.configure(config);
  }

  get states(): readonly EndpointState<C>[] {
    return this.#states;
  }

  /** Name for logs: `product-service.shop.svc.cluster.local subset canary port 80`. */
  get description(): string {
    const { upstream, subset, port } = this.config;
    return `${upstream.hostname}${subset === undefined ? '' : ` subset ${subset}`} port ${port}`;
  }

  configure(config: GroupConfig): void {
    const previous = this.config.policy;
    this.config = config;
    const { policy } = config;
    this.share.policy = policy.connectionPool;
    this.retries.retriesMax = policy.connectionPool.maxRetries;
    if (policy.loadBalancer !== previous.loadBalancer)
      this.#picker = createPicker(policy.loadBalancer);
    this.#swapEndpoints(config);
    this.#outlier.configure(
      policy.outlier,
      this.#states.map((state) => state.health),
    );
    this.#setTicker(policy.outlier);
    this.#refreshAvailable();
  }

  /** Undefined when nothing may take a request: `unavailableReason` says why. `tried` are avoided when there is a choice. */
  pick(tried?: readonly EndpointState<C>[]): EndpointState<C> | undefined {
    const available = this.#available;
    if (available.length === 0) return undefined;
    if (available.length === 1) return available[0];
    const { random } = this.#deps;
    if (tried === undefined || tried.length === 0) return this.#picker.pick(available, random);
    const fresh = available.filter((state) => !tried.includes(state));
    return this.#picker.pick(fresh.length > 0 ? fresh : available, random);
  }

  unavailableReason(): string {
    const { upstream, subset } = this.config;
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

  sweepIdle(): void {
    for (const state of this.#states) state.pool.sweepIdle();
  }

  close(): void {
    this.#ticker?.cancel();
    this.#ticker = undefined;
    for (const state of this.#states) state.pool.close();
    this.#states = [];
    this.#available = [];
  }

  #swapEndpoints(config: GroupConfig): void {
    const previous = new Map(this.#states.map((state) => [state.endpoint.uid, state]));
    const next: EndpointState<C>[] = [];
    for (const endpoint of config.endpoints) {
      const port = endpoint.ports[config.port];
      if (port === undefined || !endpoint.healthy) continue;
      const known = previous.get(endpoint.uid);
      if (known !== undefined && known.port === port && isSameEndpoint(known.endpoint, endpoint)) {
        known.endpoint = endpoint;
        this.#followPolicy(known, this.#startProtocol());
        previous.delete(endpoint.uid);
        next.push(known);
      } else next.push(this.#createState(endpoint, port));
    }
    this.#states = next;
    for (const gone of previous.values()) gone.pool.close();
  }

  #createState(endpoint: Endpoint, port: number): EndpointState<C> {
    const { clock, dial, events } = this.#deps;
    const state = new EndpointState<C>(endpoint, port, this.#startProtocol());
    state.pool = new EndpointPool<C>(
      {
        clock,
        share: this.share,
        dial: (protocol, outcome) => dial(state, this, protocol, outcome),
        onLearned: (protocol) => events.onLearned(protocol, this, state),
      },
      state.startProtocol,
    );
    return state;
  }

  #startProtocol(): LearnedProtocol {
    const { protocol, policy } = this.config;
    if (protocol === 'http2' || protocol === 'grpc') return 'h2';
    return policy.connectionPool.h2Upgrade === 'upgrade' ? 'unknown' : 'h1';
  }

  /** A policy that changed since: what was learned stays, but an upgrade that is newly wanted is tried. */
  #followPolicy(state: EndpointState<C>, wanted: LearnedProtocol): void {
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

  /** Panic (minHealthPercent): with too few healthy endpoints all are used; 0 never panics. */
  #refreshAvailable(): void {
    const states = this.#states;
    const admitting = states.filter((state) => state.health.state !== 'ejected');
    const minPercent = this.config.policy.outlier?.minHealthPercent ?? 0;
    const isPanic = states.length > 0 && (admitting.length / states.length) * 100 < minPercent;
    this.#available = isPanic ? states : admitting;
  }

  #onHealth(event: 'ejected' | 'restored', health: EndpointHealth): void {
    const state = this.#states.find((candidate) => candidate.health === health);
    if (state !== undefined) this.#deps.events.onHealth(event, this, state);
  }
}
