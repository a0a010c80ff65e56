/**
 * A waypoint engine on loopback sockets in front of one upstream: plain TCP (HTTP/1.1 or HTTP/2 by its first bytes), and TLS
 * with ALPN where a certificate is given.
 */
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { Route } from '#model/route/route-table.ts';
import type { AppProtocol } from '#model/service/service.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { TlsIdentity } from '#net/connection.ts';
import type { Listener } from '#net/network.ts';
import { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { parseStaticConfig } from '#waypoint/config/static-file.ts';
import { Engine } from '#waypoint/engine.ts';
import { listenPlain } from '#waypoint/listener/plain-listener.ts';
import { ConnectionServer } from '#waypoint/listener/serve-connection.ts';
import { Recorder } from '#waypoint/record/recorder.ts';
import { SourceRegistry } from '#waypoint/source.ts';
import { httpDial } from '#waypoint/transport/http-dial.ts';
import { plainTransport } from '#waypoint/transport/transport.ts';
import { testTracing } from './tracing.ts';
import { endpoint, HOST, POLICY, RETRIES, route, table, to, upstream } from './waypoint-rig.ts';

export interface HttpEngineOptions {
  upstreamPort: number;
  /** Of the service port: `http2` and `grpc` speak HTTP/2 to the upstream. */
  protocol?: AppProtocol;
  timeoutMs?: number;
  /** More of the one route. */
  rule?: Partial<Route>;
  /** Istio's default retries are off unless asked for: one fault is one answer. */
  retries?: boolean;
  identity?: TlsIdentity;
}

export interface HttpEngine extends Disposable {
  readonly engine: Engine;
  readonly server: ConnectionServer;
  readonly port: number;
  /** Where `identity` was given: TLS with ALPN `h2` and `http/1.1`. */
  readonly tlsPort: number;
  /** The access log so far. */
  log(): string;
}

export function httpEngine(options: HttpEngineOptions): HttpEngine {
  const clock = systemClock;
  const network = new BunNetwork({ clock });
  const transport = plainTransport(network);
  const sources = new SourceRegistry();
  let lines = '';
  const output = {
    write(written: Uint8Array) {
      lines += Buffer.from(written).toString();
      return true;
    },
    onDrain: () => undefined,
  };
  const accessLog = new LogWriter(output, undefined, { batchMs: 0 });
  const recorder = new Recorder({
    ...{ clock, sources, accessLog, format: 'text', cluster: 'static' },
    registry: new MetricRegistry(),
  });
  const { tracing, dialTrace } = testTracing(clock);
  const engine = new Engine({
    ...{ clock, recorder, tracing, dialTrace, log: silentLogger },
    random: seededRandom(1),
    dial: httpDial(transport, { clock, dialTrace }),
  });
  const server = new ConnectionServer({ engine, transport });
  const config = parseStaticConfig(staticFile(options));
  engine.configure(config.input);
  const listener = listenPlain({ network, sources, server }, config);
  const tls = options.identity && listenTls({ network, sources, server }, options.identity);
  return {
    engine,
    server,
    port: listener.port,
    tlsPort: tls?.port ?? 0,
    log() {
      accessLog.flush();
      return lines;
    },
    [Symbol.dispose]() {
      listener.stop();
      tls?.stop();
      server.close();
      engine.close();
    },
  };
}

/** The configuration of static mode: one route to one upstream. */
export function staticFile(options: Omit<HttpEngineOptions, 'identity'>) {
  const { upstreamPort, protocol = 'http', timeoutMs, retries, rule } = options;
  const ports = [{ port: 80, protocol }];
  const local = { address: '127.0.0.1', protocol: 'none', ports: { 80: upstreamPort } } as const;
  // One endpoint that is ejected would end every further comparison.
  const policy = rule === undefined ? POLICY : { ...POLICY, outlier: undefined };
  const only = route('all', [to('stable')], {
    timeoutMs,
    retries: retries === true ? RETRIES : { ...RETRIES, attempts: 0 },
    ...rule,
  });
  return {
    listen: { address: '127.0.0.1', port: 0 },
    service: `shop/${HOST}` as const,
    port: 80,
    // What tests judge is the target as it came.
    tables: [
      {
        ...table([]),
        ports: [{ port: 80, protocol, routes: [only] }],
        pathNormalization: 'NONE' as const,
      },
    ],
    upstreams: [
      upstream({
        ports,
        subsets: [{ name: 'stable', labels: { version: 'v1' }, policy }],
        endpoints: [endpoint('s1', 'v1', local)],
      }),
    ],
  };
}

function listenTls(
  deps: { network: BunNetwork; sources: SourceRegistry; server: ConnectionServer },
  identity: TlsIdentity,
): Listener {
  const place = { address: '127.0.0.1', port: 0 };
  const alpn = ['h2', 'http/1.1'];
  const how = { ...place, identity, clientCertificate: 'none', alpn } as const;
  return deps.network.listenTls(how, (connection) => {
    const { remoteAddress: address } = connection;
    const source = deps.sources.resolve({ address, principal: undefined });
    const ends = { remote: `${address}:${connection.remotePort}`, local: '127.0.0.1' };
    const tunnel = {
      source,
      host: HOST,
      port: 80,
      security: 'none',
      isH2: false,
      ...ends,
    } as const;
    return deps.server.http(tunnel, connection, connection.alpn === 'h2');
  });
}
