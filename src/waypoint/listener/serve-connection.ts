/**
 * Gives a stream of bytes on its way to a service to the right engine: HTTP/1.1 or HTTP/2 by its first bytes, raw bytes where the
 * port is declared TCP or TLS. A port without a declared protocol is sniffed, as Istio does; silence means that the server speaks first.
 */
import type { Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { H1ServerConnection } from '#http/h1/server.ts';
import { H2ServerConnection } from '#http/h2/server.ts';
import { HEAD_TIMEOUT_MS, IDLE_TIMEOUT_MS } from '#http/limits.ts';
import { type Sweepable, type Sweeper, sweeperOf } from '#http/sweeper.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { FRAME_BYTES_DEFAULT } from '#wire/h2/limits.ts';
import type { Engine } from '../engine.ts';
import { SNIFF_TIMEOUT_MS } from '../limits.ts';
import { refusedBytes } from '../respond.ts';
import { needsServerName } from '../tcp/find-l4.ts';
import { TcpRun } from '../tcp/tcp-run.ts';
import type { Transport } from '../transport/transport.ts';
import type { Tunnel } from '../tunnel.ts';
import { HelloReader } from './hello-reader.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Longest registered method that matters, and a space. */
const METHOD_BYTES_MAX = 24;

const NO_BYTES = new Uint8Array(0);

/** A client's connection. Bytes are counted where they are passed through; undefined: it is HTTP, whose requests are. */
export interface OpenConnection {
  readonly tunnel: Tunnel;
  readonly since: number;
  readonly receivedBytes: number | undefined;
  readonly sentBytes: number | undefined;
}

interface HttpServer extends ConnectionHandler {
  readonly active: number;
  retire(): void;
  drain(): void;
  close(): void;
}

export class ConnectionServer {
  readonly #engine: Engine;
  readonly #transport: Transport;
  readonly #servers = new Map<HttpServer, OpenConnection>();
  #retiring = false;

  constructor(deps: { engine: Engine; transport: Transport }) {
    this.#engine = deps.engine;
    this.#transport = deps.transport;
  }

  get connections(): number {
    return this.#servers.size;
  }

  /** What is open now. */
  *open(): Generator<OpenConnection> {
    yield* this.#servers.values();
    for (const { tunnel, startedAt: since, counters } of this.#engine.connections) {
      yield { tunnel, since, ...counters };
    }
  }

  /** The handler for the connection. */
  serve(tunnel: Tunnel, connection: Connection): ConnectionHandler {
    const service = this.#engine.snapshot?.serviceAt(tunnel.host);
    switch (service?.compiled.ports.get(tunnel.port)?.protocol) {
      case 'tcp':
      case 'tls':
        return this.#raw(tunnel, connection);
      case 'unknown':
        return new Sniffer(this, { tunnel, connection, engine: this.#engine, mayBeRaw: true });
      default:
        return new Sniffer(this, { tunnel, connection, engine: this.#engine, mayBeRaw: false });
    }
  }

  /** The handler for a connection at a gateway's listener. `alpn`: what the TLS handshake agreed on. */
  serveGateway(
    tunnel: Tunnel,
    connection: Connection,
    { kind, alpn }: { kind: 'http' | 'bytes'; alpn: string | undefined },
  ): ConnectionHandler {
    if (kind === 'bytes') return this.#raw(tunnel, connection);
    if (alpn === 'h2') return this.http(tunnel, connection, true);
    if (alpn === 'http/1.1') return this.http(tunnel, connection, false);
    return new Sniffer(this, { tunnel, connection, engine: this.#engine, mayBeRaw: false });
  }

  /** Each connection ends with its running or its next exchange, those that come as well. */
  retire(): void {
    this.#retiring = true;
    for (const server of [...this.#servers.keys()]) server.retire();
  }

  /** Those connections end with their running exchange, at once when they have none, bytes at once. */
  retireWhere(matches: (tunnel: Tunnel) => boolean, reason: string): void {
    for (const run of [...this.#engine.connections]) if (matches(run.tunnel)) run.cut('LR', reason);
    for (const [server, { tunnel }] of [...this.#servers]) if (matches(tunnel)) server.drain();
  }

  /** Running exchanges finish, idle connections close. */
  drain(): void {
    for (const server of [...this.#servers.keys()]) server.drain();
  }

  close(): void {
    for (const server of [...this.#servers.keys()]) server.close();
  }

  http(tunnel: Tunnel, connection: Connection, isH2: boolean): ConnectionHandler {
    const { clock } = this.#engine;
    tunnel.isH2 = isH2;
    const options = {
      // What all clients expect; larger frames would bring nothing to small messages.
      frameBytesMax: FRAME_BYTES_DEFAULT,
      scheme: tunnel.gateway?.scheme,
      onClose: () => void this.#servers.delete(server),
      onRefused: (status: number, error: MeshError) => {
        const { flag, details } = refusedBytes(error, isH2);
        const refusal = { status, flags: flag, details, note: error.message };
        this.#engine.recorder.refused(tunnel, refusal);
      },
    };
    const onExchange = (exchange: Parameters<Engine['serve']>[1]) =>
      this.#engine.serve(tunnel, exchange);
    const server: HttpServer = isH2
      ? new H2ServerConnection(connection, { clock }, options, onExchange)
      : new H1ServerConnection(connection, { clock }, options, onExchange);
    this.#servers.set(server, {
      tunnel,
      since: clock.now(),
      receivedBytes: undefined,
      sentBytes: undefined,
    });
    if (this.#retiring) server.retire();
    return server;
  }

  /** `early` empty: the client is silent, so it waits for the server to speak. */
  raw(tunnel: Tunnel, connection: Connection, early: Uint8Array): ConnectionHandler {
    return early.length === 0
      ? this.#pass(tunnel, connection, {})
      : this.#raw(tunnel, connection, early);
  }

  /** Rules that go by server name need to see what a TLS client asks for. */
  #raw(tunnel: Tunnel, connection: Connection, early: Uint8Array = NO_BYTES): ConnectionHandler {
    const { snapshot, clock } = this.#engine;
    if (!needsServerName(snapshot, tunnel)) return this.#pass(tunnel, connection, { early });
    const reader = new HelloReader(clock, {
      early,
      onHello: (hello) =>
        this.#pass(tunnel, connection, { early: hello.early, sni: hello.serverName }),
    });
    connection.handler = reader;
    return reader.look() ?? reader;
  }

  #pass(
    tunnel: Tunnel,
    connection: Connection,
    { early, sni }: { early?: Uint8Array; sni?: string },
  ): ConnectionHandler {
    const service = this.#engine.snapshot?.serviceAt(tunnel.host);
    const deps = { engine: this.#engine, transport: this.#transport };
    const run = new TcpRun(deps, { tunnel, service, connection, early, sni });
    connection.handler = run;
    run.start();
    // A connect that failed or succeeded at once has set another handler.
    return connection.handler;
  }
}

interface SnifferOptions {
  tunnel: Tunnel;
  connection: Connection;
  engine: Engine;
  mayBeRaw: boolean;
}

/** Waits for the first bytes, then becomes one of the others. */
class Sniffer implements ConnectionHandler, Sweepable {
  readonly #server: ConnectionServer;
  readonly #options: SnifferOptions;
  #seen: Uint8Array = new Uint8Array(0);
  #timer: Timer | undefined;
  readonly #sweeper: Sweeper;
  #quietSince: number;

  constructor(server: ConnectionServer, options: SnifferOptions) {
    this.#server = server;
    this.#options = options;
    const { clock } = options.engine;
    this.#sweeper = sweeperOf(clock);
    this.#quietSince = this.#sweeper.now;
    if (options.mayBeRaw) {
      this.#timer = clock.after(SNIFF_TIMEOUT_MS, () => this.#become('raw'));
    } else this.#sweeper.enroll(this);
  }

  /** One that never begins, or not wholly. */
  sweep(nowMs: number): void {
    const limitMs = this.#seen.length > 0 ? HEAD_TIMEOUT_MS : IDLE_TIMEOUT_MS;
    if (nowMs - this.#quietSince > limitMs) this.#options.connection.reset();
  }

  onData(bytes: Uint8Array): void {
    const seen = this.#seen.length === 0 ? bytes : Buffer.concat([this.#seen, bytes]);
    const found = classify(seen, this.#options.mayBeRaw);
    if (found === 'more') {
      if (this.#seen.length === 0) this.#quietSince = this.#sweeper.now;
      this.#seen = new Uint8Array(seen);
      return;
    }
    this.#seen = seen;
    this.#become(found);
  }

  onDrain(): void {
    // Nothing was written yet.
  }

  onEnd(): void {
    this.#become(this.#options.mayBeRaw ? 'raw' : 'h1').onEnd();
  }

  onClose(_error: MeshError | undefined): void {
    this.#timer?.cancel();
    this.#sweeper.dismiss(this);
  }

  #become(kind: 'h1' | 'h2' | 'raw'): ConnectionHandler {
    this.#timer?.cancel();
    this.#sweeper.dismiss(this);
    const { tunnel, connection } = this.#options;
    const seen = this.#seen;
    if (kind === 'raw') return this.#server.raw(tunnel, connection, new Uint8Array(seen));
    const handler = this.#server.http(tunnel, connection, kind === 'h2');
    connection.handler = handler;
    if (seen.length > 0) handler.onData(seen);
    return handler;
  }
}

/** `more` while the bytes could still become something else. */
export function classify(bytes: Uint8Array, mayBeRaw: boolean): 'h1' | 'h2' | 'raw' | 'more' {
  const { length } = bytes;
  let same = 0;
  while (same < length && same < PREFACE.length && bytes[same] === PREFACE[same]) same += 1;
  // Four bytes tell PRI from any HTTP/1.1 method; the HTTP/2 server checks the rest.
  if (same >= 4) return 'h2';
  if (same === length) return 'more';
  if (!mayBeRaw) return 'h1';
  for (let index = 0; index < length && index < METHOD_BYTES_MAX; index += 1) {
    const byte = bytes[index];
    if (byte === 0x20 && index >= 3) return 'h1';
    if (byte < 0x41 || byte > 0x5a) return 'raw';
  }
  return length < METHOD_BYTES_MAX ? 'more' : 'raw';
}
