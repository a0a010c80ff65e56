import { afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import type { Connection, TlsConnection, TlsIdentity } from '../connection.ts';
import type { Listener, TlsConnectOptions } from '../network.ts';
import { BunNetwork } from './bun-network.ts';

const SERVER = 'spiffe://cluster.local/ns/shop/sa/server';
const CLIENT = 'spiffe://cluster.local/ns/shop/sa/client';
const QUIET = { onData: () => undefined, onDrain: () => undefined, onEnd: () => undefined };

/** TLS inside a connection that is open already; here that is a plain TCP connection to a TLS server. */
describe('connectTlsOver', () => {
  const network = new BunNetwork({ clock: systemClock });
  let authority: TestCa;
  let client: TlsIdentity;
  let server: TlsIdentity;
  let listener: Listener | undefined;

  beforeAll(async () => {
    authority = await createTestCa();
    client = await authority.issue(CLIENT);
    server = await authority.issue(SERVER);
  });

  afterEach(() => listener?.stop());

  /** Sockets of other suites in this process may close meanwhile: fewer than before is no leak. */
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const until = async (done: () => boolean) => {
    while (!done()) await Bun.sleep(1);
  };

  /** Echoes, and ends when its client does. */
  function serveEcho(): number {
    listener = network.listenTls(
      {
        address: '127.0.0.1',
        port: 0,
        identity: server,
        clientCertificate: 'require',
        alpn: ['h2'],
      },
      (connection) => ({
        onData: (bytes) => void connection.write(bytes),
        onDrain: () => undefined,
        onEnd: () => connection.end(),
        onClose: () => undefined,
      }),
    );
    return listener.port;
  }

  /** The connection inside the carrier, or why there is none. */
  function connect(port: number, options: Partial<TlsConnectOptions> = {}) {
    const opened = Promise.withResolvers<TlsConnection | MeshError>();
    let failures = 0;
    network.connect(
      { address: '127.0.0.1', port, connectTimeoutMs: 5_000 },
      {
        onOpen(carrier: Connection) {
          return network.connectTlsOver(
            carrier,
            {
              address: '127.0.0.1',
              port,
              connectTimeoutMs: 5_000,
              identity: client,
              alpn: ['h2'],
              expectedUris: [SERVER],
              ...options,
            },
            {
              onOpen(connection) {
                opened.resolve(connection);
                return { ...QUIET, onClose: () => undefined };
              },
              onFail(error) {
                failures++;
                opened.resolve(error);
              },
            },
          );
        },
        onFail: (error) => opened.resolve(error),
      },
    );
    return { opened: opened.promise, failures: () => failures };
  }

  test('proves both ends, carries bytes and both half-closes, and leaves nothing open', async () => {
    const port = serveEcho();
    const before = descriptors();
    const connection = (await connect(port).opened) as TlsConnection;
    expect(connection.peerUris).toEqual([SERVER]);
    expect(connection.alpn).toBe('h2');
    let received = 0;
    const closed = Promise.withResolvers<MeshError | undefined>();
    connection.handler = {
      ...QUIET,
      onData(bytes) {
        received += bytes.length;
      },
      onClose: closed.resolve,
    };
    const block = Buffer.alloc(64 * 1024, 'x');
    for (let index = 1; index <= 4; index++) {
      expect(connection.write(block)).toBe(block.length);
      await until(() => received === index * block.length);
    }
    connection.end();
    expect(await closed.promise).toBeUndefined();
    await until(() => descriptors() <= before);
  });

  test('a peer that proves another identity fails it once, and nothing stays open', async () => {
    const port = serveEcho();
    const before = descriptors();
    const { opened, failures } = connect(port, {
      expectedUris: ['spiffe://cluster.local/ns/a/sa/b'],
    });
    expect(((await opened) as MeshError).code).toBe('NET_PEER_IDENTITY');
    await until(() => descriptors() <= before);
    expect(failures()).toBe(1);
  });

  test('a carrier that ends before the handshake is done fails it', async () => {
    listener = network.listen({ address: '127.0.0.1', port: 0 }, (connection) => {
      connection.handler = { ...QUIET, onClose: () => undefined };
      queueMicrotask(() => connection.reset());
      return connection.handler;
    });
    const before = descriptors();
    const { opened, failures } = connect(listener.port);
    expect(((await opened) as MeshError).code).toBe('NET_TLS_FAILED');
    await until(() => descriptors() <= before);
    expect(failures()).toBe(1);
  });

  test('a peer that says nothing fails it in time', async () => {
    listener = network.listen({ address: '127.0.0.1', port: 0 }, () => ({
      ...QUIET,
      onClose: () => undefined,
    }));
    const { opened } = connect(listener.port, { connectTimeoutMs: 50 });
    const error = (await opened) as MeshError;
    expect(error.code).toBe('NET_TLS_FAILED');
    expect(error.message).toContain('in 50 ms');
  });
});
