/**
 * A waypoint engine without sockets: exchanges are handed in, upstreams are scripts. Time is a FakeClock, chance a seed. One
 * script per endpoint name says what a dispatched request gets.
 */
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  RequestHandler,
  ResponseHandler,
  ServerExchange,
} from '#http/dispatch/dispatch.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type {
  Endpoint,
  Route,
  RouteDestination,
  RouteTable,
  TrafficPolicy,
  Upstream,
} from '#model/route/route-table.ts';
import type { Workload } from '#model/workload/workload.ts';
import { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { ProxyTelemetry } from '#waypoint/config/telemetry.ts';
import { Engine } from '#waypoint/engine.ts';
import { Recorder } from '#waypoint/record/recorder.ts';
import { type KnownWorkloads, SourceRegistry } from '#waypoint/source.ts';
import type { Tunnel } from '#waypoint/tunnel.ts';
import { FakeClock } from './fake-clock.ts';
import { ScriptedNames } from './scripted-names.ts';
import { testTracing } from './tracing.ts';

export const HOST = 'p.shop.svc.cluster.local';
export const VIP = '198.19.0.7';

type Fields = Readonly<Record<string, string>>;

/** What an endpoint does with a request. `hang` answers nothing; `break` resets after the request; `close-idle` as a stale connection. */
export type Behaviour =
  | { answer: number; headers?: Fields; body?: string; trailers?: Fields }
  | 'hang'
  | 'refuse'
  | 'break'
  | 'stale'
  | 'half'
  /** Breaks after the request with this code. */
  | { error: string };

export type Script = (request: MessageHead, count: number) => Behaviour;

export const POLICY: TrafficPolicy = {
  loadBalancer: 'round-robin',
  connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 60_000, h2Upgrade: 'default' },
  outlier: {
    consecutive5xx: 3,
    consecutiveGatewayErrors: 0,
    intervalMs: 30_000,
    baseEjectionTimeMs: 60_000,
    maxEjectionPercent: 10,
    minHealthPercent: 0,
  },
};

export function endpoint(name: string, version: string, part: Partial<Endpoint> = {}): Endpoint {
  return {
    uid: `Kubernetes//Pod/shop/${name}`,
    name,
    address: '198.18.1.9',
    ports: { 80: 8080 },
    labels: { version },
    locality: { region: '', zone: '', subzone: '' },
    node: 'node1',
    weight: 1,
    healthy: true,
    protocol: 'hbone',
    principal: 'spiffe://cluster.local/ns/shop/sa/p',
    workloadName: `p-${version}`,
    canonicalName: 'p',
    canonicalRevision: version,
    ...part,
  };
}

export function upstream(part: Partial<Upstream> = {}): Upstream {
  return {
    namespace: 'shop',
    hostname: HOST,
    ports: [{ port: 80, protocol: 'http' }],
    policy: POLICY,
    subsets: [
      { name: 'stable', labels: { version: 'v1' }, policy: POLICY },
      { name: 'canary', labels: { version: 'v2' }, policy: POLICY },
    ],
    provenance: { kind: 'DestinationRule', namespace: 'shop', name: 'p' },
    endpoints: [endpoint('s1', 'v1'), endpoint('s2', 'v1'), endpoint('c1', 'v2')],
    ...part,
  };
}

export const to = (subset: string, weight = 1): RouteDestination => ({
  upstream: `shop/${HOST}`,
  host: 'p',
  port: 80,
  subset,
  weight,
});

/** Istio's default retries. */
export const RETRIES: Route['retries'] = {
  attempts: 2,
  on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
  statusCodes: [],
  backoffBaseMs: 25,
};

export function route(
  name: string,
  destinations: RouteDestination[],
  part: Partial<Route> = {},
): Route {
  return {
    name,
    provenance: { kind: 'VirtualService', namespace: 'shop', name: 'p' },
    matches: [],
    action: { kind: 'forward', destinations },
    retries: RETRIES,
    ...part,
  };
}

export function table(routes: readonly Route[]): RouteTable {
  return {
    namespace: 'shop',
    hostname: HOST,
    addresses: [VIP],
    ports: [{ port: 80, protocol: 'http', routes }],
  };
}

/** The downstream side of one request, and what it was answered. */
export class ScriptedExchange implements ServerExchange {
  readonly request: MessageHead;
  readonly requestEnded: boolean;
  handler!: RequestHandler;
  status = 0;
  head: MessageHead | undefined = undefined;
  body = '';
  ended = false;
  aborted = false;
  paused = false;
  /** `sendBody` answers this. */
  hasRoom = true;

  constructor(request: MessageHead, requestEnded: boolean) {
    this.request = request;
    this.requestEnded = requestEnded;
  }

  sendHead(head: MessageHead, end: boolean): void {
    this.status = head.status;
    this.head = head;
    if (head.status >= 200) this.ended = end;
  }
  sendBody(bytes: Uint8Array): boolean {
    this.body += Buffer.from(bytes).toString();
    return this.hasRoom;
  }
  sendEnd(): void {
    this.ended = true;
  }
  abort(): void {
    this.aborted = true;
  }
  pauseRequest(): void {
    this.paused = true;
  }
  resumeRequest(): void {
    this.paused = false;
  }
}

/** One request as an upstream saw it. */
export interface Seen {
  readonly endpoint: string;
  readonly request: MessageHead;
  body: string;
  ended: boolean;
  aborted: boolean;
  paused: boolean;
  readonly handler: ResponseHandler;
  readonly connection: ScriptedConnection;
}

class ScriptedConnection implements HttpClientConnection {
  readonly protocol = 'h1';
  active = 0;
  closed = false;
  onChange: () => void = () => undefined;
  readonly #rig: WaypointRig;
  readonly #endpoint: string;

  constructor(rig: WaypointRig, name: string) {
    this.#rig = rig;
    this.#endpoint = name;
  }

  get capacity(): number {
    return this.closed || this.active > 0 ? 0 : 1;
  }

  dispatch(request: MessageHead, end: boolean, handler: ResponseHandler): ClientExchange {
    this.active = 1;
    const seen: Seen = {
      endpoint: this.#endpoint,
      request: request.clone(),
      body: '',
      ended: end,
      aborted: false,
      paused: false,
      handler,
      connection: this,
    };
    this.#rig.seen.push(seen);
    const act = () => this.#rig.behave(seen);
    if (end) queueMicrotask(act);
    return {
      sendBody: (bytes) => {
        seen.body += Buffer.from(bytes).toString();
        return !seen.paused;
      },
      sendEnd: () => {
        seen.ended = true;
        queueMicrotask(act);
      },
      abort: () => {
        seen.aborted = true;
        this.finish(true);
      },
      pauseResponse: () => {
        seen.paused = true;
      },
      resumeResponse: () => {
        seen.paused = false;
      },
    };
  }

  finish(close: boolean): void {
    this.active = 0;
    if (close) this.closed = true;
    this.onChange();
  }

  drain(): void {
    if (this.active === 0) this.finish(true);
  }
}

export class WaypointRig {
  readonly clock = new FakeClock();
  readonly registry = new MetricRegistry();
  readonly seen: Seen[] = [];
  readonly scripts = new Map<string, Script>();
  readonly dials: string[] = [];
  readonly names = new ScriptedNames();
  /** In force with the next `configure`. */
  telemetry: ProxyTelemetry | undefined = undefined;
  /** Spans as they were made. */
  readonly traced = testTracing(this.clock, { REGION: 'north' });
  /** Dials come to nothing, neither good nor bad. */
  holdDials = false;
  readonly engine: Engine;
  /** What discovery knows of clients, by address. */
  readonly clients = new Map<string, Workload>();
  readonly sources = new SourceRegistry(knownOf(this.clients));
  readonly #counts = new Map<string, number>();
  readonly #log: LogWriter;
  #lines = '';

  constructor(seed = 1, options: { streamLifeMs?: number } = {}) {
    const output = {
      write: (lines: Uint8Array) => {
        this.#lines += Buffer.from(lines).toString();
        return true;
      },
      onDrain: () => undefined,
    };
    this.#log = new LogWriter(output, undefined, { batchMs: 0 });
    const { clock, registry } = this;
    const recorder = new Recorder({
      clock,
      registry,
      sources: this.sources,
      accessLog: this.#log,
      format: 'text',
      cluster: 'Kubernetes',
    });
    this.engine = new Engine({
      clock,
      random: seededRandom(seed),
      log: silentLogger,
      recorder,
      tracing: this.traced.tracing,
      dialTrace: this.traced.dialTrace,
      streamLifeMs: options.streamLifeMs,
      names: this.names,
      dial: (state, _group, _protocol, outcome) => {
        const { name } = state.endpoint;
        this.dials.push(name);
        if (this.holdDials) return;
        if (this.scripts.get(name)?.(MessageHead.request('', '', ''), -1) === 'refuse') {
          const hint = 'is it up?';
          outcome.onFail(
            new MeshError('NET_CONNECT_REFUSED', `${name} refused`, { side: 'upstream', hint }),
          );
        } else outcome.onReady(new ScriptedConnection(this, name));
      },
    });
  }

  configure(
    routes: readonly Route[],
    upstreams: readonly Upstream[] = [upstream()],
    part: Partial<RouteTable> = {},
  ): void {
    const found = new Map(
      upstreams.map((entry) => [`${entry.namespace}/${entry.hostname}`, entry]),
    );
    this.engine.configure({
      tables: [[`shop/${HOST}`, { ...table(routes), ...part }]],
      upstream: (key) => found.get(key),
      telemetry: this.telemetry,
    });
  }

  tunnel(part: Partial<Tunnel> = {}): Tunnel {
    const principal = 'spiffe://cluster.local/ns/shop/sa/web';
    const source = this.sources.resolve({ address: '198.18.1.5', principal });
    const remote = '198.18.1.5:41000';
    return {
      source,
      host: VIP,
      port: 80,
      security: 'mutual_tls',
      remote,
      local: `${VIP}:80`,
      isH2: false,
      ...part,
    };
  }

  /** Sends a request without body and waits until everything that needs no time has happened. */
  async get(path = '/', headers: Record<string, string> = {}): Promise<ScriptedExchange> {
    const exchange = this.begin('GET', path, headers, true);
    await this.settle();
    return exchange;
  }

  begin(
    method: string,
    path: string,
    headers: Record<string, string>,
    requestEnded: boolean,
  ): ScriptedExchange {
    const head = MessageHead.request(method, 'product-service', path);
    for (const name in headers) head.add(name, headers[name]);
    const exchange = new ScriptedExchange(head, requestEnded);
    this.engine.serve(this.tunnel(), exchange);
    return exchange;
  }

  /** A request without body, through another tunnel than usual. */
  beginFrom(
    tunnel: Partial<Tunnel>,
    method: string,
    path: string,
    headers: Record<string, string>,
  ): ScriptedExchange {
    const head = MessageHead.request(method, 'product-service', path);
    for (const name in headers) head.add(name, headers[name]);
    const exchange = new ScriptedExchange(head, true);
    this.engine.serve(this.tunnel(tunnel), exchange);
    return exchange;
  }

  /** A request on a tunnel that is there. */
  async getOn(tunnel: Tunnel): Promise<ScriptedExchange> {
    const exchange = new ScriptedExchange(MessageHead.request('GET', 'product-service', '/'), true);
    this.engine.serve(tunnel, exchange);
    await this.settle();
    return exchange;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }

  /** Access log so far. */
  get log(): string {
    this.#log.flush();
    return this.#lines;
  }

  behave(seen: Seen): void {
    if (seen.aborted) return;
    const count = (this.#counts.get(seen.endpoint) ?? 0) + 1;
    this.#counts.set(seen.endpoint, count);
    const what = this.scripts.get(seen.endpoint)?.(seen.request, count) ?? { answer: 200 };
    const { handler, connection } = seen;
    const fail = (code: string, retry: 'never' | 'reused-connection-only') => {
      connection.closed = true;
      connection.active = 0;
      connection.onChange();
      handler.onError(
        new MeshError(code, 'the upstream closed', { side: 'upstream', hint: 'h', retry }),
      );
    };
    if (what === 'hang' || what === 'refuse') return;
    if (typeof what === 'object' && 'error' in what) fail(what.error, 'never');
    else if (what === 'break') fail('H1_UNEXPECTED_CLOSE', 'never');
    else if (what === 'stale') fail('H1_REUSED_CONNECTION_CLOSED', 'reused-connection-only');
    else if (what === 'half') {
      handler.onHead(MessageHead.response(200), false);
      handler.onBody(Buffer.from('half'));
      fail('H1_UNEXPECTED_CLOSE', 'never');
    } else {
      const headOf = (fields: Fields = {}) => {
        const head = MessageHead.response(what.answer);
        for (const name in fields) head.add(name, fields[name]);
        return head;
      };
      const head = headOf(what.headers);
      const body = what.body ?? seen.endpoint;
      handler.onHead(head, false);
      handler.onBody(Buffer.from(body));
      handler.onEnd(what.trailers && headOf(what.trailers));
      connection.finish(false);
    }
  }
}

function knownOf(clients: ReadonlyMap<string, Workload>): KnownWorkloads {
  return {
    workloadAt: (address) => clients.get(address),
    get revision() {
      return clients.size;
    },
  };
}
