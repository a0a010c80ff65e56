/**
 * `bun test/bench/micro-waypoint.ts`: what the phases of a waypoint cost a request, without sockets and codecs: 100 routes, metrics
 * and access log on, a connection that answers at once. Best of several runs; on a shared machine trust the ratios.
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
import type { Route } from '#model/route/route-table.ts';
import { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { testTracing } from '#test/support/tracing.ts';
import { HOST, route, table, to, upstream, VIP } from '#test/support/waypoint-rig.ts';
import { Engine } from '#waypoint/engine.ts';
import { Recorder } from '#waypoint/record/recorder.ts';
import { SourceRegistry } from '#waypoint/source.ts';
import type { Tunnel } from '#waypoint/tunnel.ts';

const RUNS = 9;
const REQUESTS = 20_000;

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
const IGNORED: ClientExchange = {
  sendBody: () => true,
  sendEnd: () => undefined,
  abort: () => undefined,
  pauseResponse: () => undefined,
  resumeResponse: () => undefined,
};

function exchange(path: string): ServerExchange {
  const request = MessageHead.request('GET', 'p.shop', path);
  request.adoptFields(
    [
      ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'],
      ['accept', 'application/json, text/plain, */*'],
      ['accept-encoding', 'gzip, deflate, br'],
      ['authorization', 'Bearer 0123456789abcdef0123456789abcdef'],
      ['x-request-id', '6e8f1b0a-6f55-4a52-9f63-0a2d8a5b7c11'],
      ['x-forwarded-proto', 'http'],
    ].flat(),
  );
  return {
    request,
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

function rig(routes: readonly Route[]) {
  const sources = new SourceRegistry();
  const output = { write: () => true, onDrain: () => undefined };
  const recorder = new Recorder({
    clock: systemClock,
    registry: new MetricRegistry(),
    sources,
    accessLog: new LogWriter(output),
    format: 'text',
    cluster: 'Kubernetes',
  });
  const engine = new Engine({
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    recorder,
    ...testTracing(systemClock),
    dial: (_state, _group, _protocol, outcome) => outcome.onReady(answering),
  });
  engine.configure({ tables: [[`shop/${HOST}`, table(routes)]], upstream: () => upstream() });
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

function measure(title: string, routes: readonly Route[], path: string): void {
  const { engine, tunnel } = rig(routes);
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run += 1) {
    const exchanges = Array.from({ length: REQUESTS }, () => exchange(path));
    const startedAt = systemClock.now();
    for (const each of exchanges) engine.serve(tunnel, each);
    best = Math.min(best, ((systemClock.now() - startedAt) * 1e6) / REQUESTS);
  }
  engine.close();
  console.log(`${title.padEnd(56)} ${best.toFixed(0).padStart(9)} ns`);
}

const prefixed = (index: number) =>
  route(`r${index}`, [to('stable')], {
    matches: [
      {
        path: { kind: 'prefix', value: `/service-${index}/` },
        headers: [],
        withoutHeaders: [],
        queryParams: [],
      },
    ],
  });

measure('one route', [route('r', [to('stable')])], '/a');
measure(
  'one of 100 routes, the last',
  Array.from({ length: 100 }, (_, i) => prefixed(i)),
  '/service-99/a',
);
measure('one route with a timeout', [route('r', [to('stable')], { timeoutMs: 10_000 })], '/a');
