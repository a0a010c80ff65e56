/** A gateway on loopback ports: configuration and TLS material are handed in and swapped, destinations are real sockets. */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '#base/clock.ts';
import type {
  GatewayConfig,
  GatewayListener,
  GatewayServer,
  TlsMaterial,
} from '#model/route/gateway-config.ts';
import type { L4Route, RouteDestination, Upstream } from '#model/route/route-table.ts';
import type { TlsIdentity } from '#net/connection.ts';
import type { Network } from '#net/network.ts';
import { MaterialStore } from '#waypoint/config/materials.ts';
import { GatewayListeners } from '#waypoint/listener/gateway-listeners.ts';
import { createBase, createRuntime } from '#waypoint/runtime.ts';
import { originatingTransport, plainTransport } from '#waypoint/transport/transport.ts';
import { TEST_SELF } from './tracing.ts';
import { endpoint, POLICY, route, upstream } from './waypoint-rig.ts';

/** A loopback port that nobody has now. */
export function freePort(): number {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: () => undefined },
  });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** The one destination `name`.shop, whose port 80 is `port` on loopback. */
export function destinationAt(name: string, port: number, policy = POLICY): Upstream {
  return upstream({
    hostname: `${name}.shop.svc.cluster.local`,
    ports: [{ port: 80, protocol: 'http' }],
    policy,
    subsets: [],
    endpoints: [
      endpoint(name, 'v1', { address: '127.0.0.1', protocol: 'none', ports: { 80: port } }),
    ],
  });
}

export const toward = (name: string): RouteDestination => ({
  upstream: `shop/${name}.shop.svc.cluster.local`,
  host: name,
  port: 80,
  weight: 1,
});

export const hosted = (domain: string, name: string) => ({
  domains: [domain],
  routes: [route(`to-${name}`, [toward(name)])],
});

export function bytesTo(name: string, sniHosts: string[] = []): L4Route {
  return {
    name: `bytes-${name}`,
    provenance: { kind: 'TLSRoute', namespace: 'shop', name },
    matches: [{ sniHosts, destinationSubnets: [], sourceSubnets: [] }],
    destinations: [toward(name)],
  };
}

export function serverOf(part: Partial<GatewayServer> & { name: string }): GatewayServer {
  return {
    provenance: { kind: 'Gateway', namespace: 'shop', name: 'edge' },
    protocol: 'http',
    hosts: ['*'],
    virtualHosts: [],
    l4Routes: [],
    ...part,
  };
}

export function gatewayOf(
  listeners: GatewayListener[],
  part: Partial<GatewayConfig> = {},
): GatewayConfig {
  return { namespace: 'shop', name: 'edge', listeners, ...part };
}

export const materialOf = (name: string, identity: TlsIdentity): TlsMaterial => ({
  name,
  certificateChain: identity.certificateChain,
  privateKey: identity.privateKey,
  roots: identity.trustBundle,
});

/** `parts` take the place of the real clock and network. */
export function startGateway(
  upstreams: Upstream[],
  parts: { clock?: Clock; network?: Network } = {},
) {
  const base = { ...createBase('error'), ...parts };
  const materials = new MaterialStore();
  const lines: string[] = [];
  const log = {
    ...base.log,
    info: () => undefined,
    warn: (message: string, fields?: object) =>
      void lines.push(`${message} ${JSON.stringify(fields ?? {})}`),
  };
  const carrier = plainTransport(base.network);
  const transport = originatingTransport(carrier, { network: base.network, materials });
  const runtime = createRuntime(
    { ...base, log: log as unknown as typeof base.log },
    { transport, accessLog: 'off', cluster: 'test', self: () => TEST_SELF },
  );
  const known = new Map(upstreams.map((each) => [`${each.namespace}/${each.hostname}`, each]));
  let identity: TlsIdentity | undefined;
  const listeners = new GatewayListeners(
    {
      ...runtime,
      materials,
      identity: () => identity,
      self: () => ({ workload: undefined, principal: '' }),
    },
    { address: '127.0.0.1', trustDomain: 'cluster.local' },
  );
  return {
    runtime,
    listeners,
    lines,
    setIdentity(next: TlsIdentity) {
      identity = next;
    },
    configure(configs: GatewayConfig[], secrets: TlsMaterial[] = []) {
      materials.update(secrets.map((each) => [each.name, each] as const));
      runtime.engine.configure({
        tables: [],
        gateways: configs,
        upstream: (key) => known.get(key),
        problems: materials.problems,
      });
      listeners.apply();
    },
    stop() {
      listeners.drain();
      runtime.server.close();
      runtime.engine.close();
    },
  };
}

/** What a client on a TLS or plain socket gets for some bytes, up to the end of the connection or a quiet moment. */
export async function exchange(
  port: number,
  bytes: string | Uint8Array,
  tls?: ConnectionOptions,
): Promise<string> {
  const done = Promise.withResolvers<string>();
  let text = '';
  const onOpen = () => void socket.write(bytes);
  const socket: Socket | TLSSocket =
    tls === undefined
      ? connectTcp({ host: '127.0.0.1', port }, onOpen)
      : connectTls({ host: '127.0.0.1', port, ...tls }, onOpen);
  socket.on('data', (piece) => {
    text += String(piece);
  });
  socket.on('error', (error: Error) => {
    text ||= `error: ${error.message}`;
  });
  socket.on('close', () => done.resolve(text));
  return done.promise;
}

export const get = (host: string, path = '/', fields = '') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`;
