/**
 * Gives a stream of bytes on its way to a service to the right engine: HTTP/1.1 or HTTP/2 by its first bytes, raw bytes where the
 * port is declared TCP or TLS. A port without a declared protocol is sniffed, as Istio does; silence means that the server speaks first.
 */
import type { Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { H1ServerConnection } from '#http/h1/server.ts';
import { H2ServerConnection } from '#http/h2/server.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { Engine } from '../engine.ts';
import { SNIFF_TIMEOUT_MS } from '../limits.ts';
import { TcpRun } from '../tcp/tcp-run.ts';
import type { Transport } from '../transport/transport.ts';
import type { Tunnel } from '../tunnel.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Longest registered method that matters, and a space. */
const METHOD_BYTES_MAX = 24;

interface HttpServer extends ConnectionHandler {
  readonly active: number;
  retire(): void;
  drain(): void;
  close(): void;
}

export class ConnectionServer {
  readonly #engine: Engine;
  readonly #transport: Transport;
  readonly #servers = new Set<HttpServer>();
  #retiring = false;

  constructor(deps: { engine: Engine; transport: Transport }) {
    this.#engine = deps.engine;
    this.#transport = deps.transport;
  }

  get connections(): number {
    return this.#servers.size;
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

  /** Each connection ends with its running or its next exchange, those that come as well. */
  retire(): void {
    this.#retiring = true;
    for (const server of [...this.#servers]) server.retire();
  }

  /** Running exchanges finish, idle connections close. */
  drain(): void {
    for (const server of [...this.#servers]) server.drain();
  }

  close(): void {
    for (const server of [...this.#servers]) server.close();
  }

  http(tunnel: Tunnel, connection: Connection, isH2: boolean): ConnectionHandler {
    const { clock } = this.#engine;
    tunnel.isH2 = isH2;
    const options = { onClose: () => void this.#servers.delete(server) };
    const onExchange = (exchange: Parameters<Engine['serve']>[1]) =>
      this.#engine.serve(tunnel, exchange);
    const server: HttpServer = isH2
      ? new H2ServerConnection(connection, { clock }, options, onExchange)
      : new H1ServerConnection(connection, { clock }, options, onExchange);
    this.#servers.add(server);
    if (this.#retiring) server.retire();
    return server;
  }

  raw(tunnel: Tunnel, connection: Connection, early: Uint8Array): ConnectionHandler {
    return this.#raw(tunnel, connection, early);
  }

  #raw(tunnel: Tunnel, connection: Connection, early?: Uint8Array): ConnectionHandler {
    const service = this.#engine.snapshot?.serviceAt(tunnel.host);
    const deps = { engine: this.#engine, transport: this.#transport };
    const run = new TcpRun(deps, { tunnel, service, connection, early });
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
class Sniffer implements ConnectionHandler {
  readonly #server: ConnectionServer;
  readonly #options: SnifferOptions;
  #seen: Uint8Array = new Uint8Array(0);
  #timer: Timer | undefined;

  constructor(server: ConnectionServer, options: SnifferOptions) {
    this.#server = server;
    this.#options = options;
    if (options.mayBeRaw) {
      this.#timer = options.engine.clock.after(SNIFF_TIMEOUT_MS, () => this.#become('raw'));
    }
  }

  onData(bytes: Uint8Array): void {
    const seen = this.#seen.length === 0 ? bytes : Buffer.concat([this.#seen, bytes]);
    const found = classify(seen, this.#options.mayBeRaw);
    if (found === 'more') {
      this.#seen = seen.slice();
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
  }

  #become(kind: 'h1' | 'h2' | 'raw'): ConnectionHandler {
    this.#timer?.cancel();
    const { tunnel, connection } = this.#options;
    const seen = this.#seen;
    if (kind === 'raw') return this.#server.raw(tunnel, connection, seen.slice());
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
