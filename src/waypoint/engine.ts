/**
 * What every request needs, in one place: the snapshot in force, the clock, the recorder. It owns no sockets: listeners
 * hand it exchanges, `dial` (inside the upstream store) opens connections.
 */
import type { Clock } from '#base/clock.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { HttpClientConnection, ServerExchange } from '#http/dispatch/dispatch.ts';
import type { ServiceKey } from '#model/service/service.ts';
import { LoadShedder } from '#policy/load-shedding/load-shedder.ts';
import { RateLimiter } from '#policy/rate-limit/rate-limiter.ts';
import type { DialEndpoint, EndpointGroup } from '#upstream/group/endpoint-group.ts';
import type { EndpointState } from '#upstream/group/endpoint-state.ts';
import { UpstreamStore } from '#upstream/group/upstream-store.ts';
import { isSamePlace, type ProxyPlace, UNKNOWN_PLACE } from '#upstream/locality/place.ts';
import { NameCache } from '#upstream/resolve/name-cache.ts';
import type { NameService } from '#upstream/resolve/name-service.ts';
import { ActiveRequests } from './active-requests.ts';
import { compileSnapshot, type Snapshot, type SnapshotInput } from './config/snapshot.ts';
import type { ProxyTelemetry } from './config/telemetry.ts';
import { DeadlineWheel } from './deadlines.ts';
import { DEADLINE_STEP_MS, STREAM_IDLE_GATEWAY_MS } from './limits.ts';
import { authorizeConnection, policiesAt } from './phases/authorize.ts';
import { denialAt } from './phases/find-route.ts';
import type { MirrorCount } from './phases/mirror.ts';
import { RequestRun } from './phases/request-run.ts';
import type { Recorder } from './record/recorder.ts';
import type { TcpRun } from './tcp/tcp-run.ts';
import type { DialTrace } from './tracing/dial-trace.ts';
import type { RequestTracing } from './tracing/request-tracing.ts';
import type { Tunnel } from './tunnel.ts';

export type HttpGroup = EndpointGroup<HttpClientConnection>;
export type HttpEndpoint = EndpointState<HttpClientConnection>;

export interface EngineDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  dial: DialEndpoint<HttpClientConnection>;
  recorder: Recorder;
  tracing: RequestTracing;
  dialTrace: DialTrace;
  /** Looks up destinations that are known by name. */
  names?: NameService;
  /** What is measured, logged and traced from now on. */
  onTelemetry?: (telemetry: ProxyTelemetry) => void;
  /** 0: streams may rest as long as they like. */
  streamIdleMs?: number;
  /** Longest time of a stream; 0 or undefined: none. */
  streamLifeMs?: number;
}

export class Engine {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly recorder: Recorder;
  readonly tracing: RequestTracing;
  readonly dialTrace: DialTrace;
  readonly deadlines: DeadlineWheel;
  readonly upstreams: UpstreamStore<HttpClientConnection>;
  readonly #onTelemetry: (telemetry: ProxyTelemetry) => void;
  #place: ProxyPlace = UNKNOWN_PLACE;
  /** Requests in flight. */
  readonly requests: ActiveRequests<RequestRun>;
  snapshot: Snapshot<HttpClientConnection> | undefined = undefined;
  readonly streamLifeMs: number;
  readonly limiter: RateLimiter;
  readonly shedder: LoadShedder;
  readonly mirrors: MirrorCount = { active: 0 };
  /** Connections of ports that are not HTTP. */
  readonly connections = new Set<TcpRun>();

  constructor(deps: EngineDeps) {
    const { clock, random, log } = deps;
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.recorder = deps.recorder;
    this.tracing = deps.tracing;
    this.dialTrace = deps.dialTrace;
    this.#onTelemetry = deps.onTelemetry ?? (() => undefined);
    this.deadlines = new DeadlineWheel(clock, DEADLINE_STEP_MS);
    this.streamLifeMs = deps.streamLifeMs ?? 0;
    this.limiter = new RateLimiter(clock);
    this.shedder = new LoadShedder(clock);
    this.requests = new ActiveRequests(clock, deps.streamIdleMs ?? STREAM_IDLE_GATEWAY_MS);
    const events = {
      onHealth: (event: 'ejected' | 'restored', group: HttpGroup, state: HttpEndpoint) =>
        this.#logHealth(event, group, state),
      onLearned: (protocol: 'h1' | 'h2', group: HttpGroup, state: HttpEndpoint) =>
        this.#logLearned(protocol, group, state),
    };
    const names = deps.names && new NameCache({ clock, random, service: deps.names });
    const place = () => this.#place;
    this.upstreams = new UpstreamStore({ clock, random, dial: deps.dial, events, place, names });
  }

  /** Where this proxy runs, once discovery has told. */
  relocate(place: ProxyPlace): void {
    if (isSamePlace(this.#place, place)) return;
    this.#place = place;
    this.upstreams.relocate();
  }

  /** Compiles and swaps in one turn; requests under way keep the snapshot they have. */
  configure(input: SnapshotInput): void {
    const known = new Set(this.snapshot?.problems);
    const snapshot = compileSnapshot(input, this.upstreams, this.snapshot);
    this.snapshot = snapshot;
    this.recorder.telemetry = snapshot.telemetry;
    this.#onTelemetry(snapshot.telemetry);
    const { rateLimits, shedding } = limitsOf(snapshot);
    this.limiter.retain(new Set(rateLimits.map(({ id }) => id)));
    this.shedder.configure(shedding);
    this.#endForbidden(snapshot);
    for (const problem of snapshot.problems) {
      if (!known.has(problem)) this.log.warn('configuration problem', { problem });
    }
  }

  /** What runs under a configuration that let it in ends when the new one would not. */
  #endForbidden(snapshot: Snapshot<HttpClientConnection>): void {
    if (snapshot.judges) {
      this.requests.forEach((run) => {
        run.judgeAgain();
      });
      for (const run of [...this.connections]) {
        const policies = policiesAt(snapshot, run.tunnel);
        const verdict = policies && authorizeConnection(policies, run.tunnel, run.sni);
        if (verdict?.allow === false) run.cut('LR', `policy change: ${verdict.reason}`);
      }
    }
    if (!snapshot.denies) return;
    const denialOf = (tunnel: Tunnel, upstream: ServiceKey | undefined) =>
      denialAt(snapshot, tunnel) ??
      (upstream === undefined ? undefined : snapshot.deniedUpstreams.get(upstream));
    this.requests.forEach((run) => {
      const denied = denialOf(run.tunnel, run.current?.destination.destination.upstream);
      if (denied !== undefined) run.cut('denied', denied.reason);
    });
    for (const run of [...this.connections]) {
      const denied = denialOf(run.tunnel, run.upstreamKey);
      if (denied !== undefined) run.cut('LR', denied.reason);
    }
  }

  serve(tunnel: Tunnel, exchange: ServerExchange): void {
    const { request } = exchange;
    // HTTP/1.0 may leave Host away; upstreams need one.
    if (request.authority === '') request.authority = formatHostPort(tunnel.host, tunnel.port);
    const run = new RequestRun(this, tunnel, exchange);
    this.requests.add(run);
    run.start();
  }

  /** What still runs is broken off, each with its line. */
  endAll(reason: string): void {
    this.requests.forEach((run) => {
      run.cut('shutdown', reason);
    });
    for (const run of [...this.connections]) run.cut('LR', reason);
  }

  /** Called by a request when it is over. */
  finished(run: RequestRun): void {
    this.requests.remove(run);
  }

  /** Requests and connections under way. */
  get active(): number {
    return this.requests.count + this.connections.size;
  }

  close(): void {
    this.requests.close();
    this.shedder.close();
    this.upstreams.close();
  }

  #logHealth(event: 'ejected' | 'restored', group: HttpGroup, state: HttpEndpoint): void {
    const { ejection } = state.health;
    const until = ejection === undefined ? undefined : new Date(ejection.untilMs).toISOString();
    const fields = { endpoint: state.endpoint.name, address: state.address, of: group.description };
    if (event === 'ejected') {
      this.log.warn('endpoint ejected', { ...fields, reason: ejection?.reason, until });
    } else this.log.info('endpoint takes requests again after its ejection', fields);
  }

  #logLearned(protocol: 'h1' | 'h2', group: HttpGroup, state: HttpEndpoint): void {
    const name = `${state.endpoint.name} (${state.address})`;
    if (protocol === 'h1') {
      this.log.info(`endpoint ${name} speaks only HTTP/1.1; h2UpgradePolicy UPGRADE not applied`, {
        of: group.description,
      });
    } else this.log.info(`endpoint ${name} speaks HTTP/2`, { of: group.description });
  }
}

/** Everything that limits something in a snapshot. */
function limitsOf({ services, gateways }: Snapshot<HttpClientConnection>) {
  const tables = [...services].map(({ compiled }) => compiled.table);
  const configs = [...gateways.parts.keys()];
  const routes = [
    ...tables.flatMap(({ ports }) => ports.flatMap((port) => port.routes)),
    ...configs.flatMap(({ listeners }) =>
      listeners.flatMap(({ servers }) =>
        servers.flatMap(({ virtualHosts }) => virtualHosts.flatMap((host) => host.routes)),
      ),
    ),
  ];
  const places = [...tables, ...configs];
  return {
    rateLimits: [...places, ...routes].flatMap((each) => each.rateLimits ?? []),
    shedding: places.flatMap((each) => each.shedding ?? []),
  };
}
