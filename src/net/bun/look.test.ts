/** Listeners that look first: TLS by what the client asks for, bytes that stay, clients that dawdle, lie or leave. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import type { Connection, ConnectionHandler, SocketAddress, TlsIdentity } from '../connection.ts';
import type { FirstLook, Listener, ServerTlsSetup } from '../network.ts';
import { BunNetwork } from './bun-network.ts';

const network = new BunNetwork({ clock: systemClock });
const listeners: Listener[] = [];
const clients: (Socket | TLSSocket)[] = [];
let ca: TestCa;
let setup: ServerTlsSetup;

beforeAll(async () => {
  ca = await createTestCa();
  setup = setupOf(await ca.issue('', { dns: 'a.test' }));
});
afterAll(() => {
  for (const each of [...listeners]) each.stop();
  for (const each of clients) each.destroy();
});

function setupOf(identity: TlsIdentity, extra: Partial<ServerTlsSetup> = {}): ServerTlsSetup {
  return {
    ...identity,
    clientCertificate: 'none',
    alpn: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ...extra,
  };
}

/** Says who it takes the client for, then what it got, byte for byte. */
function echo(connection: Connection): ConnectionHandler {
  connection.write(Buffer.from(`${connection.remoteAddress} `));
  return {
    onData: (bytes) => void connection.write(bytes),
    onDrain: () => undefined,
    onEnd: () => connection.end(),
    onClose: () => undefined,
  };
}

interface Rig {
  port: number;
  refused: string[];
  gate: { in: number; out: number };
}

function listen(
  look: (bytes: Uint8Array, peer: SocketAddress) => FirstLook,
  timeoutMs = 5_000,
): Rig {
  const refused: string[] = [];
  const gate = { in: 0, out: 0 };
  const listener = network.listenLooking(
    {
      address: '127.0.0.1',
      port: 0,
      handshakeTimeoutMs: timeoutMs,
      onRefused: (error) => void refused.push(error.message),
      gate: {
        enter() {
          gate.in++;
          return true;
        },
        leave: () => void gate.out++,
      },
    },
    look,
  );
  listeners.push(listener);
  return { port: listener.port, refused, gate };
}

function tls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const done = Promise.withResolvers<TLSSocket>();
  const socket = connectTls(
    { host: '127.0.0.1', port, ca: ca.rootPem, servername: 'a.test', ...options },
    () => done.resolve(socket),
  );
  clients.push(socket);
  socket.on('error', done.reject);
  socket.on('close', () => done.reject(new Error('closed')));
  return done.promise;
}

function plain(port: number): Socket {
  const socket = connectTcp({ host: '127.0.0.1', port });
  clients.push(socket);
  socket.on('error', () => undefined);
  return socket;
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};

function collect(socket: Socket | TLSSocket, count: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += String(bytes);
      if (text.length >= count) resolve(text);
    });
    socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}

const terminate = (): FirstLook => ({ kind: 'tls', skip: 0, setup, accept: echo });

describe('listenLooking', () => {
  test('serves TLS with what the look chose, both versions, protocol by the client', async () => {
    const { port } = listen(terminate);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await tls(port, {
        minVersion: version,
        maxVersion: version,
        ALPNProtocols: ['http/1.1'],
      });
      expect(socket.getProtocol()).toBe(version);
      expect(socket.alpnProtocol).toBe('http/1.1');
      const reply = collect(socket, 15);
      socket.write('hello');
      expect(await reply).toBe('127.0.0.1 hello');
    }
  });

  test('uses the certificate of the moment: the next handshake has the next one', async () => {
    let current = setup;
    const { port } = listen(() => ({ kind: 'tls', skip: 0, setup: current, accept: echo }));
    const serial = async () => (await tls(port)).getPeerCertificate().serialNumber;
    const first = await serial();
    current = setupOf(await ca.issue('', { dns: 'a.test' }));
    expect(await serial()).not.toBe(first);
  });

  test('leaves what it looked at for the handler, but for what is to be skipped', async () => {
    const { port, gate } = listen((bytes) =>
      bytes.length < 9
        ? { kind: 'more' }
        : { kind: 'plain', skip: 4, remote: { address: '192.0.2.7', port: 9 }, accept: echo },
    );
    const socket = plain(port);
    const reply = collect(socket, 15);
    for (const piece of ['head', 'he', 'llo']) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await reply).toBe('192.0.2.7 hello');
    socket.end();
    await until(() => gate.out === 1);
    expect(gate).toEqual({ in: 1, out: 1 });
  });

  test('serves TLS behind bytes that are skipped, to a hello that comes in pieces', async () => {
    const { port } = listen((bytes) =>
      bytes.length < 60 ? { kind: 'more' } : { kind: 'tls', skip: 3, setup, accept: echo },
    );
    // A relay that puts three bytes in front and cuts what follows.
    const relay = network.listen({ address: '127.0.0.1', port: 0 }, (connection) => {
      const upstream = plain(port);
      upstream.write('abc');
      upstream.on('data', (bytes) => void connection.write(Buffer.from(bytes as Buffer)));
      return {
        onData: (bytes) => {
          const copy = Buffer.from(bytes);
          upstream.write(copy.subarray(0, 20));
          setTimeout(() => upstream.write(copy.subarray(20)), 10);
        },
        onDrain: () => undefined,
        onEnd: () => upstream.end(),
        onClose: () => upstream.destroy(),
      };
    });
    listeners.push(relay);
    const socket = await tls(relay.port, { ALPNProtocols: ['h2'] });
    expect(socket.alpnProtocol).toBe('h2');
  });

  test('a client certificate is demanded, taken or not asked for', async () => {
    const other = await createTestCa('other');
    const good = await ca.issue('spiffe://cluster.local/ns/a/sa/b');
    const bad = await other.issue('spiffe://cluster.local/ns/a/sa/b');
    const seen: string[] = [];
    const rig = (clientCertificate: 'require' | 'optional') =>
      listen(() => ({
        kind: 'tls',
        skip: 0,
        setup: { ...setup, clientCertificate, clientRoots: ca.rootPem },
        accept(connection) {
          seen.push(connection.peerUris.join());
          return echo(connection);
        },
      }));
    const offer = async (port: number, identity?: TlsIdentity) => {
      const socket = await tls(port, {
        cert: identity?.certificateChain,
        key: identity?.privateKey,
      });
      // TLS 1.3: the client learns of a refusal after its own handshake.
      return collect(socket, 10).catch((error: Error) => error.message);
    };
    const strict = rig('require');
    expect(await offer(strict.port, good)).toBe('127.0.0.1 ');
    expect(await offer(strict.port)).toContain('closed');
    expect(await offer(strict.port, bad)).toContain('closed');
    expect(strict.refused).toHaveLength(2);
    const lenient = rig('optional');
    expect(await offer(lenient.port, good)).toBe('127.0.0.1 ');
    expect(await offer(lenient.port)).toBe('127.0.0.1 ');
    expect(await offer(lenient.port, bad)).toContain('closed');
    expect(seen).toEqual([
      'spiffe://cluster.local/ns/a/sa/b',
      'spiffe://cluster.local/ns/a/sa/b',
      '',
    ]);
  });

  test('judges a client certificate beyond its chain', async () => {
    const identity = await ca.issue('spiffe://cluster.local/ns/a/sa/b');
    let chain = 0;
    const { port, refused } = listen(() => ({
      kind: 'tls',
      skip: 0,
      setup: {
        ...setup,
        clientCertificate: 'require',
        clientRoots: ca.rootPem,
        judgePeer(certificates) {
          chain = certificates.length;
          return new MeshError('NET_PEER_IDENTITY', 'not you', {
            side: 'downstream',
            hint: 'none',
          });
        },
      },
      accept: echo,
    }));
    const socket = await tls(port, { cert: identity.certificateChain, key: identity.privateKey });
    expect(await collect(socket, 1).catch((error: Error) => error.message)).toContain('closed');
    expect(chain).toBeGreaterThan(0);
    expect(refused).toEqual(['not you']);
  });

  test('refuses who the look refuses, who never finishes, and a key that does not fit', async () => {
    const error = new MeshError('NET_TLS_FAILED', 'no server for b.test', {
      side: 'downstream',
      hint: 'none',
    });
    const never = listen(() => ({ kind: 'refuse', error }));
    await expect(tls(never.port)).rejects.toThrow();
    expect(never.refused).toEqual(['no server for b.test']);

    const slow = listen(() => ({ kind: 'more' }), 50);
    const dawdler = plain(slow.port);
    dawdler.write('x');
    await until(() => slow.refused.length === 1);
    expect(slow.refused[0]).toContain('no complete first message in 50 ms');
    expect(slow.gate).toEqual({ in: 1, out: 1 });

    const other = await ca.issue('', { dns: 'b.test' });
    const broken = listen(() => ({
      kind: 'tls',
      skip: 0,
      accept: echo,
      setup: { ...setup, privateKey: other.privateKey },
    }));
    await expect(tls(broken.port)).rejects.toThrow();
    await until(() => broken.refused.length === 1);
    expect(broken.gate).toEqual({ in: 1, out: 1 });
  });

  test('a handshake that stops half way ends at the deadline', async () => {
    const { port, refused, gate } = listen(terminate, 80);
    const socket = plain(port);
    socket.write(Buffer.from([22, 3, 1, 0, 200, 1]));
    await until(() => refused.length === 1);
    expect(refused[0]).toMatch(/no handshake in \d+ ms/);
    await until(() => gate.out === 1);
  });
});
