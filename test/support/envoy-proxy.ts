/**
 * Envoy as a plain HTTP proxy in front of one upstream, with the options that Istio gives it: what our engine is compared
 * with. Without one (envoy-program.ts says where it is looked for) the comparison is skipped, and said so.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PathNormalization } from '#model/route/normalize-path.ts';
import { findEnvoyProgram } from './envoy-program.ts';
import { freePort, startGuarded, untilListening } from './guarded-process.ts';

const TYPE = 'type.googleapis.com/envoy';
const LINE =
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %REQ(:METHOD)% %REQ(:PATH)%\n';

export interface EnvoyProxy extends AsyncDisposable {
  readonly port: number;
  /** `code flags details method path`, a line a request. */
  log(): string;
}

export interface EnvoyProxyOptions {
  upstreamPort: number;
  upstreamProtocol?: 'h1' | 'h2';
  normalization?: PathNormalization;
  /** The one route instead of forwarding: without its match, which is everything. */
  route?: object;
  /** Filters before the router. */
  filters?: readonly object[];
}

export function missingEnvoy(): string | undefined {
  if (findEnvoyProgram() !== null) return undefined;
  process.stderr.write('SKIPPED, no envoy on the PATH and none in ENVOY\n');
  return 'no envoy';
}

export async function startEnvoy(options: EnvoyProxyOptions): Promise<EnvoyProxy> {
  const program = findEnvoyProgram();
  if (program === null) throw new Error('no envoy');
  const folder = mkdtempSync(join(tmpdir(), 'tulle-envoy-'));
  const log = join(folder, 'access.log');
  const config = join(folder, 'envoy.json');
  const port = await freePort();
  writeFileSync(log, '');
  writeFileSync(config, JSON.stringify(bootstrap(options, { port, log })));
  const words = [
    program,
    '-c',
    config,
    '--concurrency',
    '1',
    '-l',
    'critical',
    '--disable-hot-restart',
    '--file-flush-interval-msec',
    '20',
  ];
  const child = await startGuarded(words);
  await untilListening(port);
  return {
    port,
    log: () => readFileSync(log, 'utf8'),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function bootstrap(options: EnvoyProxyOptions, place: { port: number; log: string }) {
  const socket = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  return {
    layered_runtime: {
      layers: [
        {
          name: 'istio',
          static_layer: { 'envoy.reloadable_features.http_reject_path_with_fragment': false },
        },
      ],
    },
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: socket(place.port),
          filter_chains: [{ filters: [connectionManager(options, place.log)] }],
        },
      ],
      clusters: [
        {
          name: 'upstream',
          connect_timeout: '2s',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config:
                options.upstreamProtocol === 'h2'
                  ? { http2_protocol_options: { allow_connect: true } }
                  : { http_protocol_options: { enable_trailers: true } },
            },
          },
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [
              { lb_endpoints: [{ endpoint: { address: socket(options.upstreamPort) } }] },
            ],
          },
        },
      ],
    },
  };
}

function connectionManager(options: EnvoyProxyOptions, log: string) {
  const { normalization = 'NONE', route, filters = [] } = options;
  const decode = normalization === 'DECODE_AND_MERGE_SLASHES';
  const upgrades = ['websocket', 'CONNECT', 'other'];
  const forward = { cluster: 'upstream', timeout: '0s' };
  const connect = { upgrade_configs: [{ upgrade_type: 'CONNECT' }] };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'in',
      normalize_path: normalization !== 'NONE',
      merge_slashes: normalization === 'MERGE_SLASHES' || decode,
      path_with_escaped_slashes_action: decode ? 'UNESCAPE_AND_FORWARD' : 'KEEP_UNCHANGED',
      proxy_100_continue: true,
      delayed_close_timeout: '0.01s',
      http_protocol_options: { enable_trailers: true, accept_http_10: true },
      http2_protocol_options: { allow_connect: true },
      upgrade_configs: upgrades.map((upgrade_type) => ({ upgrade_type })),
      access_log: [
        {
          name: 'envoy.access_loggers.file',
          typed_config: {
            '@type': `${TYPE}.extensions.access_loggers.file.v3.FileAccessLog`,
            path: log,
            log_format: { text_format_source: { inline_string: LINE } },
          },
        },
      ],
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            include_request_attempt_count: route !== undefined,
            routes: [
              { match: { connect_matcher: {} }, route: { ...forward, ...connect } },
              { match: { prefix: '/' }, ...(route ?? { route: forward }) },
            ],
          },
        ],
      },
      http_filters: [
        ...filters,
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${TYPE}.extensions.filters.http.router.v3.Router` },
        },
      ],
    },
  };
}
