/**
 * What micro benches of a waypoint's phases share: an engine without sockets and codecs, a destination that answers at once, and requests as
 * a browser sends them. Figures are processor time.
 */
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  ServerExchange,
} from '#http/dispatch/dispatch.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { HOST, route, table, to, upstream, VIP } from '#test/support/waypoint-rig.ts';
import type { ProxyTelemetry } from '#waypoint/config/telemetry.ts';
import { Engine } from '#waypoint/engine.ts';
import { Recorder } from '#waypoint/record/recorder.ts';
import { SourceRegistry } from '#waypoint/source.ts';
import { DialTrace } from '#waypoint/tracing/dial-trace.ts';
import type { RequestTracing } from '#waypoint/tracing/request-tracing.ts';
import type { Tunnel } from '#waypoint/tunnel.ts';

const REQUESTS = 10_000;
/** Heads made ahead at a time: few, as in a proxy, where what is kept of thousands would be the collector's work, not the request's. */
const CHUNK = 100;

const IGNORED: ClientExchange = {
  sendBody: () => true,
  sendEnd: () => undefined,
  abort: () => undefined,
  pauseResponse: () => undefined,
  resumeResponse: () => undefined,
};
const answering: HttpClientConnection = {
  protocol: 'h2',
  capacity: 100,
  active: 0,
  closed: false,
  onChange: () => undefined,
  drain: () => undefined,
  dispatch(_head, _end, handler) {
    handler.onHead(MessageHead.response(200), true);
    return IGNORED;
  },
};

export const REQUEST_ID = '6e8f1b0a-6f55-4a52-9f63-0a2d8a5b7c11';
const FIELDS = [
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
  ['accept', 'application/json, text/plain, */*'],
  ['authorization', 'Bearer 0123456789abcdef0123456789abcdef'],
  ['x-request-id', REQUEST_ID],
  ['x-forwarded-proto', 'http'],
];

export function headWith(traceparent: string | undefined): MessageHead {
  const request = MessageHead.request('GET', 'p.shop', '/a');
  const own = traceparent === undefined ? [] : [['traceparent', traceparent]];
  request.adoptFields([...FIELDS, ...own].flat());
  return request;
}

export function exchange(traceparent: string | undefined): ServerExchange {
  return {
    request: headWith(traceparent),
    requestEnded: true,
    handler: {
      ...IGNORED,
      onBody: () => undefined,
      onEnd: () => undefined,
      onAbort: () => undefined,
      onDrain: () => undefined,
    },
    sendHead: () => undefined,
    sendBody: () => true,
    sendEnd: () => undefined,
    abort: () => undefined,
    pauseRequest: () => undefined,
    resumeRequest: () => undefined,
  };
}

export function rig(of: {
  readonly tracing: RequestTracing;
  readonly telemetry: ProxyTelemetry;
  readonly accessLog: LogWriter | undefined;
}): { engine: Engine; tunnel: Tunnel } {
  const { tracing, telemetry, accessLog } = of;
  const sources = new SourceRegistry();
  const recorder = new Recorder({
    clock: systemClock,
    registry: new MetricRegistry(),
    sources,
    accessLog,
    format: 'text',
    cluster: 'Kubernetes',
  });
  const engine = new Engine({
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    recorder,
    tracing,
    dialTrace: new DialTrace(),
    dial: (_state, _group, _protocol, outcome) => outcome.onReady(answering),
  });
  engine.configure({
    tables: [[`shop/${HOST}`, table([route('r', [to('stable')])])]],
    upstream: () => upstream(),
    telemetry,
  });
  const principal = 'spiffe://cluster.local/ns/shop/sa/web';
  const tunnel: Tunnel = {
    source: sources.resolve({ address: '198.18.1.5', principal }),
    host: VIP,
    port: 80,
    security: 'mutual_tls',
    remote: '198.18.1.5:41000',
    local: `${VIP}:80`,
    isH2: true,
  };
  return { engine, tunnel };
}

/** Processor nanoseconds of a request, without the making of it: others may be at work on the machine. */
export function cpuNanos<T>(
  make: () => T,
  work: (each: T) => void,
  end: () => void = () => undefined,
): number {
  let micros = 0;
  for (let done = 0; done < REQUESTS; done += CHUNK) {
    const chunk = Array.from({ length: CHUNK }, make);
    const before = process.cpuUsage();
    for (const each of chunk) work(each);
    end();
    const { user, system } = process.cpuUsage(before);
    micros += user + system;
  }
  return (micros * 1000) / REQUESTS;
}

export interface Row {
  readonly title: string;
  /** Nanoseconds of a request. */
  readonly run: () => number;
}

/** Runs take turns, the best of each counts. */
export function printBest(rows: readonly Row[], runs: number): void {
  const best = rows.map(() => Number.POSITIVE_INFINITY);
  for (let run = 0; run < runs; run += 1) {
    for (const [index, row] of rows.entries()) best[index] = Math.min(best[index], row.run());
  }
  for (const [index, { title }] of rows.entries())
    console.log(`${title.padEnd(48)} ${best[index].toFixed(0).padStart(8)} ns`);
}
