import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import type { MeshError } from '#base/errors.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { TlsConnection, TlsIdentity } from '#net/connection.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import type { ServerExchange } from '../dispatch/dispatch.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2ServerConnection } from '../h2/server.ts';
import { openChannel } from './channel.ts';
import { CALL_TIMEOUT_MS } from './limits.ts';
import { frameMessage } from './message-reader.ts';

const NAME = 'istiod.istio-system.svc';
const METHOD = '/a.Service/Method';
const MESSAGE = new Uint8Array([1, 2, 3]);

type Serve = (exchange: ServerExchange, connection: H2ServerConnection) => void;

function head(status: number, fields: Record<string, string> = {}): MessageHead {
  const made = MessageHead.response(status);
  for (const [name, value] of Object.entries(fields)) made.add(name, value);
  return made;
}

/** A head, then messages, then trailers. */
function answer(messages: readonly Uint8Array[], trailers: Record<string, string>): Serve {
  return (exchange) => {
    exchange.sendHead(head(200, { 'content-type': 'application/grpc' }), false);
    for (const message of messages) exchange.sendBody(message);
    exchange.sendEnd(head(0, trailers));
  };
}

const only =
  (status: number, fields: Record<string, string> = {}): Serve =>
  (exchange) =>
    exchange.sendHead(head(status, fields), true);

describe('openChannel', () => {
  const clock = new FakeClock();
  let scope: Scope;
  let folder: string;
  let ca: TestCa;
  let serve: Serve;
  let sockets: TlsConnection[];

  beforeEach(async () => {
    scope = new Scope();
    folder = mkdtempSync(join(tmpdir(), 'tulle-grpc-'));
    scope.add(() => rmSync(folder, { recursive: true }));
    ca = await createTestCa();
    writeFileSync(join(folder, 'root.pem'), ca.rootPem);
    writeFileSync(join(folder, 'token'), 'first\n');
    serve = answer([frameMessage(MESSAGE)], { 'grpc-status': '0' });
    sockets = [];
  });

  afterEach(() => scope.dispose());

  async function listen(identity?: TlsIdentity): Promise<number> {
    const listener = new BunNetwork({ clock: systemClock }).listenTls(
      {
        address: '127.0.0.1',
        port: 0,
        identity: identity ?? (await ca.issue('', { dns: NAME })),
        clientCertificate: 'none',
        alpn: ['h2'],
      },
      (socket) => {
        sockets.push(socket);
        const connection = new H2ServerConnection(socket, { clock: systemClock }, {}, (exchange) =>
          serve(exchange, connection),
        );
        return connection;
      },
    );
    scope.add(() => listener.stop());
    return listener.port;
  }

  function channelTo(port: number, serverName: string | undefined = NAME) {
    const channel = openChannel(clock, {
      address: `127.0.0.1:${port}`,
      serverName,
      rootFile: join(folder, 'root.pem'),
      tokenFile: join(folder, 'token'),
      clusterId: 'Kubernetes',
    });
    scope.add(() => channel.close());
    return channel;
  }

  const outcome = (call: Promise<Uint8Array>) =>
    call.then(
      (bytes) => [...bytes],
      (error: MeshError) => `${error.code}: ${error.message}`,
    );

  test('a unary call: request on the wire, answer, the token read anew at each', async () => {
    const seen: Record<string, string>[] = [];
    const ok = serve;
    serve = (exchange, connection) => {
      const { request } = exchange;
      const { method, scheme, path, authority } = request;
      const fields: Record<string, string> = { method, scheme, path, authority };
      request.forEach((name, value) => {
        fields[name] = value;
      });
      seen.push(fields);
      ok(exchange, connection);
    };
    const channel = channelTo(await listen());
    expect(await outcome(channel.unary(METHOD, MESSAGE))).toEqual([1, 2, 3]);
    writeFileSync(join(folder, 'token'), 'second');
    expect(await outcome(channel.unary(METHOD, MESSAGE))).toEqual([1, 2, 3]);
    expect(seen[0]).toEqual({
      method: 'POST',
      scheme: 'https',
      path: METHOD,
      authority: NAME,
      'content-type': 'application/grpc',
      'user-agent': 'tulle',
      clusterid: 'Kubernetes',
      authorization: 'Bearer first',
      'grpc-timeout': '10000m',
      te: 'trailers',
    });
    expect(seen[1].authorization).toBe('Bearer second');
    expect(sockets.length).toBe(1);
  });

  const ROWS: { title: string; serve: Serve; want: string }[] = [
    {
      title: 'trailers alone, the message percent-encoded',
      serve: only(200, { 'grpc-status': '7', 'grpc-message': 'not %E2%80%9Cyou%E2%80%9D' }),
      want: 'GRPC_REFUSED: control plane refused: not “you”',
    },
    {
      title: 'a message that is not percent-encoded well',
      serve: only(200, { 'grpc-status': '16', 'grpc-message': '100%' }),
      want: 'GRPC_REFUSED: control plane refused: 100%',
    },
    {
      title: 'status in the trailers after messages',
      serve: answer([frameMessage(MESSAGE)], { 'grpc-status': '14', 'grpc-message': 'later' }),
      want: 'GRPC_UNAVAILABLE: control plane unavailable: later',
    },
    {
      title: 'a status that is no number',
      serve: answer([], { 'grpc-status': 'fine' }),
      want: 'GRPC_FAILED: gRPC status 2: ',
    },
    {
      title: 'no status',
      serve: answer([frameMessage(MESSAGE)], {}),
      want: 'GRPC_FAILED: gRPC status 13: the answer ended without a status',
    },
    {
      title: 'an end inside a message',
      serve: answer([frameMessage(MESSAGE).subarray(0, 6)], { 'grpc-status': '0' }),
      want: 'GRPC_FAILED: gRPC status 13: the answer ended inside a message',
    },
    {
      title: 'a compressed message',
      serve: answer([new Uint8Array([1, 0, 0, 0, 1, 9])], { 'grpc-status': '0' }),
      want: 'GRPC_FAILED: gRPC status 13: a compressed message, and compression was not offered',
    },
    {
      title: 'a message that is too long',
      serve: answer([new Uint8Array([0, 255, 255, 255, 255])], { 'grpc-status': '0' }),
      want: 'GRPC_FAILED: gRPC status 13: a message of 4294967295 bytes, at most 209715200',
    },
    {
      title: 'HTTP 503 of something in between',
      serve: only(503),
      want: 'GRPC_UNAVAILABLE: control plane unavailable: HTTP status 503 instead of a gRPC answer',
    },
    {
      title: 'HTTP 401',
      serve: only(401),
      want: 'GRPC_REFUSED: control plane refused: HTTP status 401 instead of a gRPC answer',
    },
    {
      title: 'a stream that is broken off',
      serve: (exchange) => exchange.abort(),
      want: 'GRPC_FAILED: gRPC status 13: ',
    },
  ];
  test.each(ROWS)('the end of a call: $title', async ({ serve: row, want }) => {
    serve = row;
    const channel = channelTo(await listen());
    expect(await outcome(channel.unary(METHOD, MESSAGE))).toStartWith(want);
  });

  test('a connection that breaks ends its calls; the next call connects again', async () => {
    const ok = serve;
    serve = () => sockets[0].reset();
    const channel = channelTo(await listen());
    expect(await outcome(channel.unary(METHOD, MESSAGE))).toStartWith('GRPC_UNAVAILABLE');
    serve = ok;
    expect(await outcome(channel.unary(METHOD, MESSAGE))).toEqual([1, 2, 3]);
    expect(sockets.length).toBe(2);
  });

  test('a connection that is drained is left to its calls; the next call opens another', async () => {
    const ok = serve;
    const running = Promise.withResolvers<ServerExchange>();
    serve = (exchange, connection) => {
      connection.drain();
      running.resolve(exchange);
    };
    const channel = channelTo(await listen());
    const first = outcome(channel.unary(METHOD, MESSAGE));
    const exchange = await running.promise;
    serve = ok;
    let second: unknown;
    // Until the GOAWAY is read, calls still go to the old connection.
    while (sockets.length < 2) second = await outcome(channel.unary(METHOD, MESSAGE));
    expect(second).toEqual([1, 2, 3]);
    answer([frameMessage(MESSAGE)], { 'grpc-status': '0' })(exchange, undefined as never);
    expect(await first).toEqual([1, 2, 3]);
  });

  test('a call that is not answered in time', async () => {
    const asked = Promise.withResolvers<void>();
    serve = () => asked.resolve();
    const channel = channelTo(await listen());
    const call = outcome(channel.unary(METHOD, MESSAGE));
    await asked.promise;
    clock.advance(CALL_TIMEOUT_MS);
    expect(await call).toBe(
      'GRPC_DEADLINE: control plane did not answer in time: no answer in 10000 ms',
    );
  });

  test('a stream: messages both ways, what is sent before the connection waits, one end', async () => {
    const events: string[] = [];
    const over = Promise.withResolvers<void>();
    serve = (exchange) => {
      exchange.sendHead(head(200, { 'content-type': 'application/grpc' }), false);
      exchange.handler = {
        onBody: (bytes) => void exchange.sendBody(Uint8Array.from(bytes)),
        onEnd: () => undefined,
        onAbort: () => undefined,
        onDrain: () => undefined,
      };
    };
    const stream = channelTo(await listen()).stream(METHOD, {
      onMessage(bytes) {
        events.push(`message ${[...bytes]}`);
        if (events.length === 2) stream.cancel();
        else stream.send(new Uint8Array([4]));
      },
      onClose(error) {
        events.push(`close ${error?.message}`);
        over.resolve();
      },
    });
    stream.send(MESSAGE);
    await over.promise;
    stream.cancel();
    stream.send(MESSAGE);
    expect(events).toEqual([
      'message 1,2,3',
      'message 4',
      'close gRPC status 1: cancelled by this side',
    ]);
  });

  test('close ends what still waits for a connection', async () => {
    const channel = channelTo(await listen());
    const call = outcome(channel.unary(METHOD, MESSAGE));
    channel.close();
    expect(await call).toBe('GRPC_FAILED: gRPC status 1: cancelled by this side');
  });

  test('nobody listens', async () => {
    const listener = new BunNetwork({ clock: systemClock }).listen(
      { address: '127.0.0.1', port: 0 },
      () => undefined,
    );
    listener.stop();
    expect(await outcome(channelTo(listener.port).unary(METHOD, MESSAGE))).toBe(
      `GRPC_UNAVAILABLE: control plane unavailable: connect to 127.0.0.1:${listener.port}: refused`,
    );
  });

  test('the name must be in the certificate, an IP address as well', async () => {
    const refusal = async (identity: TlsIdentity, name: string | undefined) =>
      outcome(channelTo(await listen(identity), name).unary(METHOD, MESSAGE));
    expect(await refusal(await ca.issue('', { dns: 'other' }), NAME)).toStartWith(
      'GRPC_UNAVAILABLE',
    );
    // A certificate of a workload, from the same root.
    const workload = await ca.issue('spiffe://cluster.local/ns/shop/sa/web');
    expect(await refusal(workload, NAME)).toStartWith('GRPC_UNAVAILABLE');
    expect(await refusal(workload, '127.0.0.1')).toContain('is not for 127.0.0.1');
    const byAddress = await ca.issue('', { ip: '127.0.0.1' });
    expect(await refusal(byAddress, '127.0.0.1')).toEqual([1, 2, 3]);
    expect(await refusal(await ca.issue('', { ip: '127.0.0.2' }), '127.0.0.1')).toContain(
      'is not for 127.0.0.1',
    );
    const stranger = await (await createTestCa()).issue('', { dns: NAME });
    expect(await refusal(stranger, NAME)).toStartWith('GRPC_UNAVAILABLE');
  });

  test('a root or token file that is missing is said at once', () => {
    rmSync(join(folder, 'token'));
    const channel = channelTo(1);
    expect(() =>
      channel.stream(METHOD, { onMessage: () => undefined, onClose: () => undefined }),
    ).toThrow('cannot read');
    rmSync(join(folder, 'root.pem'));
    expect(() => channelTo(1)).toThrow('cannot read');
  });
});
