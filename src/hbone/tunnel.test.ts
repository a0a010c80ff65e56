import { expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { H2Connection } from '#http/h2/connection.ts';
import { CLOSE_LINGER_MS } from '#http/limits.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { Connection, ConnectionHandler, TlsIdentity } from '#net/connection.ts';
import type { ConnectHandler, Network, TlsConnectOptions } from '#net/network.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { memoryPair } from '#test/support/memory-connection.ts';
import {
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  STREAMS_PER_CONNECTION_MAX,
  TUNNEL_ANSWER_TIMEOUT_MS,
  UNUSED_RELEASE_MS,
} from './limits.ts';
import { TunnelPool } from './pool/tunnel-pool.ts';
import type { TunnelRequest } from './pool/tunnel-request.ts';
import { type IncomingTunnel, serveTunnels } from './server/tunnel-server.ts';
import type { TunnelConnection } from './tunnel-connection.ts';

const WEB = formatPrincipal({
  trustDomain: 'cluster.local',
  namespace: 'shop',
  serviceAccount: 'web',
});
const IDENTITY: TlsIdentity = { certificateChain: '', privateKey: '', trustBundle: '' };

class Recorder implements ConnectionHandler {
  text = '';
  ended = false;
  closed = false;
  error: MeshError | undefined = undefined;
  onData(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString();
  }
  onDrain(): void {
    return;
  }
  onEnd(): void {
    this.ended = true;
  }
  onClose(error: MeshError | undefined): void {
    this.closed = true;
    this.error = error;
  }
}

/** A network whose only peer is a tunnel server that does what `serve` says. */
class TunnelWorld {
  dials: TlsConnectOptions[] = [];
  refuseDial: MeshError | undefined = undefined;
  /** Peers hang up as soon as TLS is done. */
  speechless = false;
  tunnels: { incoming: IncomingTunnel; recorder: Recorder }[] = [];
  serve: (tunnel: IncomingTunnel) => void = (tunnel) => tunnel.accept();
  servers: Connection[] = [];
  readonly pool: TunnelPool;

  constructor(readonly clock = systemClock) {
    const network = { connectTls: this.#connectTls.bind(this) } as unknown as Network;
    this.pool = new TunnelPool({ network, clock, identities: { get: () => IDENTITY } });
  }

  #connectTls(options: TlsConnectOptions, handler: ConnectHandler<Connection>): void {
    this.dials.push(options);
    const failure = this.refuseDial;
    if (failure !== undefined) {
      queueMicrotask(() => handler.onFail(failure));
      return;
    }
    const [client, server] = memoryPair({ clientUris: [WEB] });
    this.servers.push(server);
    if (this.speechless) {
      server.handler = new Recorder();
      queueMicrotask(() => {
        client.handler = handler.onOpen(client);
        setImmediate(() => server.reset());
      });
      return;
    }
    server.handler = serveTunnels(
      server,
      { clock: this.clock },
      {
        onTunnel: (incoming) => {
          const recorder = new Recorder();
          incoming.connection.handler = recorder;
          this.tunnels.push({ incoming, recorder });
          this.serve(incoming);
        },
        onClose: () => undefined,
      },
    );
    queueMicrotask(() => {
      client.handler = handler.onOpen(client);
    });
  }

  open(authority = '198.18.2.2:8080', expected = ['spiffe://x']) {
    const opened = Promise.withResolvers<{ tunnel: TunnelConnection; recorder: Recorder }>();
    this.pool.open(requestFor(authority, expected), {
      onOpen(tunnel) {
        const recorder = new Recorder();
        opened.resolve({ tunnel, recorder });
        return recorder;
      },
      onFail: opened.reject,
    });
    return opened.promise;
  }
}

function requestFor(authority: string, expected: string[]): TunnelRequest {
  return {
    source: WEB,
    expected,
    destination: { address: '198.18.2.2', port: 15008 },
    sourceAddress: '198.18.1.2',
    namespace: undefined,
    client: { address: '198.18.1.2', port: 40001 },
    head: {
      authority,
      baggage: 'service.name=web',
      forwarded: 'for="198.18.1.2:40001"',
      traceparent: '',
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** RFC 9113 §6.5 and §6.9: what ztunnel says as well, but for the order (src/config.rs, facts of HBONE). */
const FIRST_FRAMES = {
  client: [
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').toString('hex'),
    '000018' + '04' + '00' + '00000000',
    '0004' + '00400000', // a window of 4 MiB for each stream
    '0005' + '00100000', // frames up to 1 MiB
    '0006' + '00004000', // heads up to 16 KiB
    '0002' + '00000000', // no pushes
    '000004' + '08' + '00' + '00000000' + '00ff0001', // 16 MiB for the connection
  ].join(''),
  server: [
    '000018' + '04' + '00' + '00000000',
    '0004' + '00400000',
    '0005' + '00100000',
    '0006' + '00010000', // heads up to 64 KiB
    '0003' + '000000c8', // 200 streams
    '000004' + '08' + '00' + '00000000' + '00ff0001',
  ].join(''),
};

test.each(['client', 'server'] as const)('the first bytes of a %s', async (role) => {
  const clock = new FakeClock();
  const [client, server] = memoryPair();
  let sent = '';
  const listen = new Recorder();
  listen.onData = (bytes) => {
    sent += Buffer.from(bytes).toString('hex');
  };
  if (role === 'server') {
    client.handler = listen;
    const nobody = { onTunnel: () => undefined, onClose: () => undefined };
    server.handler = serveTunnels(server, { clock }, nobody);
  } else {
    server.handler = listen;
    const connectTls = (_: TlsConnectOptions, handler: ConnectHandler<Connection>) => {
      client.handler = handler.onOpen(client);
    };
    const network = { connectTls } as unknown as Network;
    const pool = new TunnelPool({ network, clock, identities: { get: () => IDENTITY } });
    pool.open(requestFor('198.18.2.2:8080', ['spiffe://x']), {
      onOpen: () => new Recorder(),
      onFail: () => undefined,
    });
  }
  const want = FIRST_FRAMES[role];
  await until(() => sent.length >= want.length);
  expect(sent.slice(0, want.length)).toBe(want);
});

test('TunnelPool opens a tunnel: the server sees authority and baggage, bytes and FIN pass both ways', async () => {
  const world = new TunnelWorld();
  const { tunnel, recorder } = await world.open();
  const [{ incoming, recorder: far }] = world.tunnels;
  expect(incoming.head.authority).toBe('198.18.2.2:8080');
  expect(incoming.head.get('baggage')).toBe('service.name=web');
  tunnel.write(Buffer.from('ping'));
  tunnel.end();
  await until(() => far.ended);
  expect(far.text).toBe('ping');
  incoming.connection.write(Buffer.from('pong'));
  incoming.connection.end();
  await until(() => recorder.closed && far.closed);
  expect([recorder.text, recorder.error, far.error]).toEqual(['pong', undefined, undefined]);
  world.pool.close();
});

test('TunnelPool dials once for concurrent first tunnels and shares the connection', async () => {
  const world = new TunnelWorld();
  await Promise.all(Array.from({ length: 20 }, () => world.open()));
  expect(world.dials.length).toBe(1);
  await world.open('198.18.2.2:8080', ['spiffe://y']);
  expect(world.dials.length).toBe(2);
  world.pool.close();
});

const OTHER = formatPrincipal({
  trustDomain: 'cluster.local',
  namespace: 'shop',
  serviceAccount: 'other',
});
test.each<[string, Partial<TunnelRequest>, number]>([
  ['the same', {}, 1],
  ['for another client', { client: { address: '198.18.1.2', port: 40002 } }, 1],
  ['of another identity', { source: OTHER }, 2],
  ['from another address', { sourceAddress: 'fd00::2' }, 2],
  ['to another address', { destination: { address: '198.18.2.3', port: 15008 } }, 2],
  ['to another port', { destination: { address: '198.18.2.2', port: 15009 } }, 2],
  ['to one that proves one name more', { expected: ['spiffe://x', 'spiffe://y'] }, 2],
])('a second tunnel, %s: with what differs (%j), dials in all: %d', async (_title, more, dials) => {
  const world = new TunnelWorld();
  const request = requestFor('198.18.2.2:8080', ['spiffe://x']);
  const open = (each: TunnelRequest) =>
    new Promise<void>((resolve, onFail) => {
      world.pool.open(each, {
        onOpen() {
          resolve();
          return new Recorder();
        },
        onFail,
      });
    });
  await open(request);
  await open({ ...request, ...more });
  expect(world.dials.length).toBe(dials);
  world.pool.close();
});

test('TunnelPool dials another connection when the first is full', async () => {
  const world = new TunnelWorld();
  await Promise.all(Array.from({ length: STREAMS_PER_CONNECTION_MAX + 1 }, () => world.open()));
  expect(world.dials.length).toBe(2);
  world.pool.close();
});

test('TunnelPool reports a refusal with its status and keeps the connection', async () => {
  const world = new TunnelWorld();
  world.serve = (tunnel) => tunnel.refuse(401);
  await expect(world.open()).rejects.toMatchObject({
    code: 'HBONE_REFUSED',
    message: 'http status: 401',
  });
  world.serve = (tunnel) => tunnel.accept();
  await world.open();
  expect(world.dials.length).toBe(1);
  world.pool.close();
});

test('TunnelPool reports a failed dial to every tunnel that waits, and a time-out with its likely cause', async () => {
  const world = new TunnelWorld();
  world.refuseDial = new MeshError('NET_CONNECT_TIMEOUT', 'timed out', {
    side: 'upstream',
    hint: 'x',
  });
  const failures = await Promise.allSettled([world.open(), world.open()]);
  for (const failure of failures) {
    expect(failure).toMatchObject({
      status: 'rejected',
      reason: { code: 'HBONE_CONNECT_TIMEOUT' },
    });
  }
  expect(world.dials.length).toBe(1);
});

test('a reset of a tunnel is a reset at the other end, the connection lives on', async () => {
  const world = new TunnelWorld();
  const first = await world.open();
  first.tunnel.reset();
  await until(() => world.tunnels[0].recorder.closed);
  expect(world.tunnels[0].recorder.error?.code).toBe('HBONE_TUNNEL_RESET');
  const second = await world.open();
  world.tunnels[1].incoming.connection.reset();
  await until(() => second.recorder.closed);
  expect(second.recorder.error?.code).toBe('HBONE_TUNNEL_RESET');
  expect(world.dials.length).toBe(1);
  world.pool.close();
});

test('the loss of the connection closes its tunnels as HBONE_CONNECTION_LOST; the next tunnel dials', async () => {
  const world = new TunnelWorld();
  const { recorder } = await world.open();
  world.servers[0].reset();
  await until(() => recorder.closed);
  expect(recorder.error?.code).toBe('HBONE_CONNECTION_LOST');
  await world.open();
  expect(world.dials.length).toBe(2);
  world.pool.close();
});

test('a peer that never answers CONNECT costs its stream after a time, and the caller hears of it', async () => {
  const clock = new FakeClock();
  const world = new TunnelWorld(clock);
  world.serve = () => undefined;
  const silent = world.open();
  const failure = silent.catch((error: unknown) => error);
  await until(() => world.tunnels.length === 1);
  expect(world.pool.status()).toMatchObject([{ connections: 1, streams: 1 }]);
  clock.advance(TUNNEL_ANSWER_TIMEOUT_MS);
  expect(await failure).toMatchObject({
    code: 'HBONE_NO_ANSWER',
    message: 'no answer to CONNECT in 15000 ms',
    side: 'upstream',
  });
  expect(world.pool.status()).toMatchObject([{ connections: 1, streams: 0 }]);
  await until(() => world.tunnels[0].recorder.closed);
  world.serve = (tunnel) => tunnel.accept();
  await world.open();
  expect(world.dials.length).toBe(1);
  world.pool.close();
});

test('a peer that never answers anything is found out by the PING, and its connection given up', async () => {
  const clock = new FakeClock();
  const [mute, server] = memoryPair();
  const closed = Promise.withResolvers<MeshError | undefined>();
  server.handler = serveTunnels(
    server,
    { clock },
    { onTunnel: () => undefined, onClose: closed.resolve },
  );
  // Half a preface, and nothing more.
  mute.write(Buffer.from('PRI * HTTP/2'));
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(3 * KEEPALIVE_INTERVAL_MS + KEEPALIVE_TIMEOUT_MS);
  expect(await closed.promise).toMatchObject({ code: 'H2_KEEPALIVE_TIMEOUT', side: 'downstream' });
  clock.advance(CLOSE_LINGER_MS);
  await until(() => mute.closed);
  expect(clock.pending).toBe(0);
});

test('retire sends new tunnels to a new connection while the old finishes', async () => {
  const world = new TunnelWorld();
  const old = await world.open();
  world.pool.retire(WEB);
  await world.open();
  expect(world.dials.length).toBe(2);
  old.tunnel.write(Buffer.from('still'));
  await until(() => world.tunnels[0].recorder.text === 'still');
  world.pool.close();
});

test('a server that drains refuses no tunnel: those on their way are served, the next ones go to a new connection', async () => {
  const world = new TunnelWorld();
  const before = await world.open();
  const [server] = world.servers;
  (server.handler as H2Connection).drain();
  // The client has not read the GOAWAY yet.
  const crossing = Array.from({ length: 10 }, () => world.open());
  await Promise.all(crossing);
  expect(world.dials.length).toBe(1);
  await until(() => world.pool.status()[0].streams === 11 && before.recorder.closed === false);
  await Promise.all(Array.from({ length: 10 }, () => world.open()));
  expect(world.dials.length).toBe(2);
  // Not one was tried twice.
  expect(world.tunnels.length).toBe(21);
  before.tunnel.write(Buffer.from('still'));
  await until(() => world.tunnels[0].recorder.text === 'still');
  world.pool.close();
});

test('a tunnel tells who keeps it for later that its connection is draining, however early that began', async () => {
  const world = new TunnelWorld();
  const told: string[] = [];
  const open = async (name: string) => {
    const { tunnel } = await world.open();
    tunnel.onRetiring = () => void told.push(name);
  };
  await open('open');
  let answer: (() => void) | undefined;
  world.serve = (tunnel) => {
    answer = () => tunnel.accept();
  };
  const late = open('opening');
  await until(() => world.tunnels.length === 2);
  (world.servers[0].handler as H2Connection).drain();
  await until(() => told.length > 0);
  answer?.();
  await late;
  expect(new Set(told)).toEqual(new Set(['open', 'opening']));
  world.serve = (tunnel) => tunnel.accept();
  await open('own');
  world.pool.retire(WEB);
  expect(told.at(-1)).toBe('own');
  world.pool.close();
});

test('an unused connection is released after its time, and the next tunnel has one that the pool knows', async () => {
  const clock = new FakeClock();
  const world = new TunnelWorld(clock);
  const { tunnel, recorder } = await world.open();
  tunnel.end();
  world.tunnels[0].incoming.connection.end();
  await until(() => recorder.closed);
  expect(world.pool.status()).toMatchObject([{ connections: 1, streams: 0 }]);
  clock.advance(UNUSED_RELEASE_MS + 60_000);
  await until(() => world.pool.status().length === 0 || world.pool.status()[0].connections === 0);
  clock.advance(UNUSED_RELEASE_MS);
  expect(world.pool.status()).toEqual([]);
  await world.open();
  expect(world.pool.status()).toMatchObject([{ connections: 1, streams: 1 }]);
  world.pool.close();
});

test('TunnelPool says so when the peer closes after TLS without a word of HTTP/2', async () => {
  const world = new TunnelWorld();
  world.speechless = true;
  await expect(world.open()).rejects.toMatchObject({
    code: 'HBONE_HANDSHAKE_FAILED',
    side: 'upstream',
  });
  world.pool.close();
});
