import { beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import type { Connection, ConnectionHandler, TlsConnection, TlsIdentity } from '../connection.ts';
import type { PlainConnection } from '../epoll/plain-connection.ts';
import { TLS_HANDSHAKE_TIMEOUT_MS } from '../limits.ts';
import { SOL_TCP, TCP_NODELAY } from '../netns/constants.ts';
import { libc, ptr } from '../netns/libc.ts';
import type { Listener, TlsConnectOptions, TlsListener } from '../network.ts';
import { BunNetwork } from './bun-network.ts';

const network = new BunNetwork({ clock: systemClock });
const LOCAL = { address: '127.0.0.1', port: 0 };
const CLIENT = 'spiffe://cluster.local/ns/shop/sa/web';
const SERVER = 'spiffe://cluster.local/ns/shop/sa/product';

/** Records what happens on one connection. */
class Recorder implements ConnectionHandler {
  readonly closed = Promise.withResolvers<MeshError | undefined>();
  readonly ended = Promise.withResolvers<void>();
  text = '';
  #want = 0;
  #reached = Promise.withResolvers<void>();
  onData(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1');
    if (this.text.length >= this.#want) this.#reached.resolve();
  }
  onDrain(): void {
    return;
  }
  onEnd(): void {
    this.ended.resolve();
  }
  onClose(error: MeshError | undefined): void {
    this.closed.resolve(error);
    this.#reached.resolve();
  }
  async atLeast(count: number): Promise<string> {
    this.#want = count;
    if (this.text.length < count) await this.#reached.promise;
    return this.text;
  }
}

type Opened<C> = { connection: C; recorder: Recorder };

function dial(port: number, extra = {}): Promise<Opened<Connection>> {
  const opened = Promise.withResolvers<Opened<Connection>>();
  network.connect(
    { address: '127.0.0.1', port, connectTimeoutMs: 5000, ...extra },
    {
      onOpen(connection) {
        const recorder = new Recorder();
        opened.resolve({ connection, recorder });
        return recorder;
      },
      onFail: opened.reject,
    },
  );
  return opened.promise;
}

function serve() {
  const accepted = Promise.withResolvers<Opened<Connection>>();
  const listener = network.listen(LOCAL, (connection) => {
    const recorder = new Recorder();
    accepted.resolve({ connection, recorder });
    return recorder;
  });
  return { listener, accepted: accepted.promise };
}

async function pair() {
  const { listener, accepted } = serve();
  const client = await dial(listener.port);
  return { client, server: await accepted, [Symbol.dispose]: () => listener.stop() };
}

describe('BunNetwork over TCP', () => {
  test('connect opens, both ends know their names, bytes pass', async () => {
    using joined = await pair();
    const { client, server } = joined;
    expect(client.connection.localPort).toBe(server.connection.remotePort);
    expect(server.connection.localPort).toBe(client.connection.remotePort);
    client.connection.write(Buffer.from('hello'));
    expect(await server.recorder.atLeast(5)).toBe('hello');
    client.connection.end();
    server.connection.end();
  });

  test('neither end waits to fill a segment: TCP_NODELAY', async () => {
    using joined = await pair();
    for (const { connection } of [joined.client, joined.server]) {
      const { fd } = connection as PlainConnection;
      const value = new Int32Array(1);
      const length = Uint32Array.of(4);
      expect(libc().getsockopt(fd, SOL_TCP, TCP_NODELAY, ptr(value), ptr(length))).toBe(0);
      expect(value[0]).toBe(1);
      connection.reset();
    }
  });

  test('end is a half-close: the other direction goes on', async () => {
    using joined = await pair();
    const { client, server } = joined;
    client.connection.end();
    await server.recorder.ended.promise;
    server.connection.write(Buffer.from('late'));
    server.connection.end();
    expect(await client.recorder.atLeast(4)).toBe('late');
    expect(await client.recorder.closed.promise).toBeUndefined();
    expect(await server.recorder.closed.promise).toBeUndefined();
  });

  test('reset reaches the peer as NET_RESET and reports NET_RESET_LOCAL here', async () => {
    using joined = await pair();
    const { client, server } = joined;
    server.connection.reset();
    expect((await client.recorder.closed.promise)?.code).toBe('NET_RESET');
    expect((await server.recorder.closed.promise)?.code).toBe('NET_RESET_LOCAL');
  });

  test('a reset that a write is the first to meet is no orderly end', async () => {
    using joined = await pair();
    const { client, server } = joined;
    client.connection.reset();
    expect(server.connection.write(Buffer.from('too late'))).toBe(0);
    expect((await server.recorder.closed.promise)?.code).toBe('NET_RESET');
  });

  test('large chunks come whole and in order past Bun, and a reset or end behind them is what it is', async () => {
    for (const last of ['end', 'reset'] as const) {
      using joined = await pair();
      const { client, server } = joined;
      const sum = 24 * 1024 * 1024;
      const received = new Uint8Array(sum + 1);
      let at = 0;
      const whole = Promise.withResolvers<void>();
      const { recorder } = client;
      recorder.onData = (bytes) => {
        received.set(bytes, at);
        at += bytes.length;
        if (at === sum) whole.resolve();
      };
      const sent = Uint8Array.from(
        { length: sum },
        (_, index) => (index * 31 + (index >> 12)) & 255,
      );
      let from = 0;
      server.recorder.onDrain = () => {
        while (from < sum) {
          const taken = server.connection.write(sent.subarray(from, from + 512 * 1024));
          if (taken === 0) return;
          from += taken;
        }
      };
      server.recorder.onDrain();
      await whole.promise;
      expect(Buffer.compare(received.subarray(0, sum), sent)).toBe(0);
      server.connection[last]();
      if (last === 'end') await recorder.ended.promise;
      client.connection.end();
      expect((await recorder.closed.promise)?.code).toBe(last === 'end' ? undefined : 'NET_RESET');
      expect(at).toBe(sum);
    }
  });

  test('write takes a part, pause holds the peer back, onDrain follows resume', async () => {
    using joined = await pair();
    const { client, server } = joined;
    server.connection.pause();
    const bytes = Buffer.alloc(16 << 20, 'x');
    let sent = client.connection.write(bytes);
    expect(sent).toBeLessThan(bytes.length);
    client.recorder.onDrain = () => {
      sent += client.connection.write(bytes.subarray(sent));
    };
    server.connection.resume();
    expect((await server.recorder.atLeast(bytes.length)).length).toBe(bytes.length);
    client.connection.reset();
  });

  test('a refused connect is NET_CONNECT_REFUSED, an address that is none NET_CONNECT_FAILED', async () => {
    const { listener } = serve();
    listener.stop();
    await expect(dial(listener.port)).rejects.toMatchObject({ code: 'NET_CONNECT_REFUSED' });
    await expect(dial(80, { address: 'localhost' })).rejects.toMatchObject({
      code: 'NET_CONNECT_FAILED',
    });
  });

  test('an accepted connection without a handler is reset', async () => {
    const listener = network.listen(LOCAL, () => undefined);
    const { recorder } = await dial(listener.port);
    expect((await recorder.closed.promise)?.code).toBe('NET_RESET');
    listener.stop();
  });

  test('a taken port is NET_LISTEN_FAILED', () => {
    const { listener } = serve();
    const again = () => network.listen({ ...LOCAL, port: listener.port }, () => undefined);
    expect(again).toThrow(expect.objectContaining({ code: 'NET_LISTEN_FAILED' }));
    listener.stop();
  });
});

describe('BunNetwork over TLS', () => {
  let authority: TestCa;
  let stranger: TestCa;
  let client: TlsIdentity;
  let server: TlsIdentity;
  beforeAll(async () => {
    [authority, stranger] = await Promise.all([createTestCa(), createTestCa('other')]);
    [client, server] = await Promise.all([authority.issue(CLIENT), authority.issue(SERVER)]);
  });

  function serveTls(identity: TlsIdentity, alpn = ['h2']) {
    const accepted = Promise.withResolvers<Opened<TlsConnection>>();
    const refused = Promise.withResolvers<MeshError>();
    const listener = network.listenTls(
      { ...LOCAL, identity, clientCertificate: 'require', alpn, onRefused: refused.resolve },
      (connection) => {
        const recorder = new Recorder();
        accepted.resolve({ connection, recorder });
        return recorder;
      },
    );
    return { listener, accepted: accepted.promise, refused: refused.promise };
  }

  function dialTls(listener: Listener, options: Partial<TlsConnectOptions>) {
    const opened = Promise.withResolvers<Opened<TlsConnection>>();
    const base = { address: '127.0.0.1', port: listener.port, connectTimeoutMs: 5000 };
    const tls = { identity: client, alpn: ['h2'], expectedUris: [SERVER] };
    network.connectTls(
      { ...base, ...tls, ...options },
      {
        onOpen(connection) {
          const recorder = new Recorder();
          opened.resolve({ connection, recorder });
          return recorder;
        },
        onFail: opened.reject,
      },
    );
    return opened.promise;
  }

  test('both ends learn the SPIFFE URI and the ALPN of the other', async () => {
    const { listener, accepted } = serveTls(server);
    const near = await dialTls(listener, {});
    const far = await accepted;
    expect(near.connection.peerUris).toEqual([SERVER]);
    expect(far.connection.peerUris).toEqual([CLIENT]);
    expect([near.connection.alpn, far.connection.alpn]).toEqual(['h2', 'h2']);
    near.connection.write(Buffer.from('hello'));
    expect(await far.recorder.atLeast(5)).toBe('hello');
    near.connection.end();
    await far.recorder.ended.promise;
    far.connection.write(Buffer.from('late'));
    far.connection.end();
    expect(await near.recorder.atLeast(4)).toBe('late');
    expect(await near.recorder.closed.promise).toBeUndefined();
    expect(await far.recorder.closed.promise).toBeUndefined();
    listener.stop();
  });

  const bad: { title: string; server: () => Promise<TlsIdentity>; code: string }[] = [
    {
      title: 'another name of the right root',
      server: () => authority.issue(CLIENT),
      code: 'NET_PEER_IDENTITY',
    },
    {
      title: 'the right name of a foreign root',
      server: () => stranger.issue(SERVER),
      code: 'NET_CERTIFICATE_UNTRUSTED',
    },
    {
      title: 'a bad chain and a bad name together',
      server: () => stranger.issue(CLIENT),
      code: 'NET_CERTIFICATE_UNTRUSTED',
    },
    {
      title: 'an expired certificate',
      server: () => authority.issue(SERVER, { validForMs: -60_000 }),
      code: 'NET_CERTIFICATE_EXPIRED',
    },
    {
      title: 'an expired certificate and a bad name together',
      server: () => authority.issue(CLIENT, { validForMs: -60_000 }),
      code: 'NET_CERTIFICATE_EXPIRED',
    },
    {
      title: 'a certificate for clients only',
      server: () => authority.issue(SERVER, { only: 'client' }),
      code: 'NET_CERTIFICATE_UNTRUSTED',
    },
    {
      title: 'a certificate that somebody without that right signed',
      server: async () => (await authority.subordinate('x', { impostor: true })).issue(SERVER),
      code: 'NET_CERTIFICATE_UNTRUSTED',
    },
    {
      title: 'a DNS name that spells the URI',
      server: () => authority.issue('', { dns: `x, URI:${SERVER}` }),
      code: 'NET_PEER_IDENTITY',
    },
  ];
  for (const row of bad) {
    test(`connectTls refuses a server with ${row.title}`, async () => {
      const identity = { ...(await row.server()), trustBundle: authority.rootPem };
      const { listener } = serveTls(identity);
      await expect(dialTls(listener, {})).rejects.toMatchObject({ code: row.code });
      listener.stop();
    });
  }

  test('listenTls refuses a client of a foreign root, one without certificate, and one without ALPN', async () => {
    const foreign = { ...(await stranger.issue(CLIENT)), trustBundle: authority.rootPem };
    for (const [options, code] of [
      [{ identity: foreign }, 'NET_CERTIFICATE_UNTRUSTED'],
      [{ identity: undefined, trustBundle: authority.rootPem }, 'NET_CERTIFICATE_MISSING'],
      [{ alpn: [] }, 'NET_TLS_REFUSED'],
    ] as const) {
      const { listener, refused } = serveTls(server);
      const near = await dialTls(listener, options).catch(() => undefined);
      expect((await refused).code).toBe(code);
      if (near !== undefined) expect(await near.recorder.closed.promise).toBeDefined();
      listener.stop();
    }
  });

  test('replaceIdentity serves the new certificate; the old connection lives on', async () => {
    const next = await authority.issue(CLIENT);
    const { listener, accepted } = serveTls(server);
    const before = await dialTls(listener, {});
    (listener as TlsListener).replaceIdentity(next);
    const after = await dialTls(listener, { expectedUris: [CLIENT] });
    expect(after.connection.peerUris).toEqual([CLIENT]);
    before.connection.write(Buffer.from('still'));
    expect(await (await accepted).recorder.atLeast(5)).toBe('still');
    listener.stop();
  });

  test('bytes that are no TLS are refused with a reason', async () => {
    const { listener, refused } = serveTls(server);
    const { connection, recorder } = await dial(listener.port);
    connection.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect((await refused).message).toContain('HTTP_REQUEST');
    await recorder.closed.promise;
    listener.stop();
  });

  test('a peer that never begins its handshake, or never ends it, is dropped in time with a reason', async () => {
    const clock = new FakeClock();
    const patient = new BunNetwork({ clock });
    const refused: MeshError[] = [];
    const onRefused = (error: MeshError) => void refused.push(error);
    const options = { ...LOCAL, identity: server, clientCertificate: 'require' as const };
    const open = new Set<number>();
    const gate = {
      enter: () => open.add(open.size).size > 0,
      leave: () => void open.delete(open.size - 1),
    };
    const listener = patient.listenTls(
      { ...options, alpn: ['h2'], gate, onRefused },
      () => undefined,
    );
    const silent = await dial(listener.port);
    const half = await dial(listener.port);
    // The first bytes of a ClientHello of 512.
    half.connection.write(Buffer.from('16030102000100', 'hex'));
    while (clock.pending < 2) await Bun.sleep(1);
    clock.advance(TLS_HANDSHAKE_TIMEOUT_MS - 1);
    expect([refused.length, open.size]).toEqual([0, 2]);
    clock.advance(1);
    for (const { connection, recorder } of [silent, half]) {
      // FIN or RST, as the kernel had bytes of theirs left to read or not.
      await Promise.race([recorder.ended.promise, recorder.closed.promise]);
      connection.reset();
    }
    expect(refused.map(({ code, message }) => [code, message.split(': ')[1]])).toEqual([
      ['NET_TLS_FAILED', 'no handshake in 10000 ms'],
      ['NET_TLS_FAILED', 'no handshake in 10000 ms'],
    ]);
    expect([clock.pending, open.size]).toEqual([0, 0]);
    listener.stop();
  });

  test('a server that never shakes hands is NET_TLS_FAILED after the dial’s time, and let go', async () => {
    const clock = new FakeClock();
    const { listener, accepted } = serve();
    const failed = Promise.withResolvers<MeshError>();
    new BunNetwork({ clock }).connectTls(
      { ...LOCAL, port: listener.port, identity: client, alpn: ['h2'], connectTimeoutMs: 5000 },
      { onOpen: () => new Recorder(), onFail: failed.resolve },
    );
    const { connection, recorder } = await accepted;
    await recorder.atLeast(1);
    clock.advance(5000);
    const error = await failed.promise;
    expect([error.code, error.message.split(': ')[1]]).toEqual([
      'NET_TLS_FAILED',
      'no handshake in 5000 ms',
    ]);
    await Promise.race([recorder.ended.promise, recorder.closed.promise]);
    connection.reset();
    listener.stop();
  });

  test('a refused TLS connect is NET_CONNECT_REFUSED', async () => {
    const { listener } = serveTls(server);
    listener.stop();
    await expect(dialTls(listener, {})).rejects.toMatchObject({ code: 'NET_CONNECT_REFUSED' });
  });
});
