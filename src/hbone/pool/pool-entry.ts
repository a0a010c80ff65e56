/** The connections of one pool key, and the tunnels that wait for one. */
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import { H2Connection } from '#http/h2/connection.ts';
import type { ConnectionHandler, TlsConnection } from '#net/connection.ts';
import type { ConnectHandler, JudgePeer } from '#net/network.ts';
import { HBONE_ERRORS } from '../errors.ts';
import * as limits from '../limits.ts';
import type { TunnelConnection } from '../tunnel-connection.ts';
import { startTunnel, type TunnelHandler } from './start-tunnel.ts';
import {
  type PoolDeps,
  type PoolOptions,
  type PoolStatus,
  poolClosed,
  type TunnelRequest,
  type TunnelTarget,
} from './tunnel-request.ts';

interface Pooled {
  h2: H2Connection;
  /** Kept when peers are judged. */
  peerChain: readonly Uint8Array[];
  /** Monotonic time at which the last tunnel ended; meaningless while some run. */
  idleSince: number;
  retired: boolean;
}

/** A tunnel that is wanted, from the call to its answer. */
class Wanted implements TunnelHandler {
  readonly request: TunnelRequest;
  readonly handler: ConnectHandler<TunnelConnection>;
  attempts = 0;
  readonly #entry: PoolEntry;

  constructor(entry: PoolEntry, request: TunnelRequest, handler: ConnectHandler<TunnelConnection>) {
    this.#entry = entry;
    this.request = request;
    this.handler = handler;
  }

  onOpen(tunnel: TunnelConnection): ConnectionHandler {
    return this.handler.onOpen(tunnel);
  }

  onFail(error: MeshError): void {
    this.#entry.tunnelFailed(this, error);
  }
}

export class PoolEntry {
  readonly target: TunnelTarget;
  readonly #deps: PoolDeps;
  readonly #options: PoolOptions;
  readonly #connections: Pooled[] = [];
  #waiting: Wanted[] = [];
  #dialing = false;
  #closed = false;

  constructor(target: TunnelTarget, deps: PoolDeps, options: PoolOptions) {
    this.target = target;
    this.#deps = deps;
    this.#options = options;
  }

  get empty(): boolean {
    return this.#connections.length === 0 && this.#waiting.length === 0 && !this.#dialing;
  }

  open(request: TunnelRequest, handler: ConnectHandler<TunnelConnection>): void {
    this.#place(new Wanted(this, request, handler));
  }

  tunnelFailed(wanted: Wanted, error: MeshError): void {
    wanted.attempts++;
    const again = error.retry === 'safe' && wanted.attempts < limits.OPEN_ATTEMPTS_MAX;
    if (again && !this.#closed && error.code !== 'HBONE_REFUSED') this.#place(wanted);
    else wanted.handler.onFail(error);
  }

  retire(): void {
    for (const pooled of [...this.#connections]) {
      pooled.retired = true;
      pooled.h2.drain();
    }
  }

  close(): void {
    this.#closed = true;
    for (const pooled of [...this.#connections]) pooled.h2.close();
    this.#failWaiting(poolClosed());
  }

  judgeAgain(judge: JudgePeer): void {
    for (const pooled of [...this.#connections]) {
      const error = judge(pooled.peerChain);
      if (error !== undefined) pooled.h2.banish(error);
    }
  }

  releaseUnused(before: number): void {
    for (const pooled of [...this.#connections]) {
      if (pooled.h2.active > 0 || pooled.idleSince > before) continue;
      pooled.retired = true;
      pooled.h2.drain();
    }
  }

  status(): PoolStatus {
    const { destination, source } = this.target;
    return {
      destination: formatHostPort(destination.address, destination.port),
      source,
      connections: this.#connections.length,
      streams: this.#connections.reduce((sum, pooled) => sum + pooled.h2.active, 0),
      waiting: this.#waiting.length,
    };
  }

  #place(wanted: Wanted): void {
    if (this.#waiting.length === 0 && this.#start(wanted)) return;
    if (this.#waiting.length >= limits.WAITING_PER_KEY_MAX) {
      wanted.handler.onFail(this.#failure('HBONE_CONNECTION_LOST', 'too many tunnels wait'));
      return;
    }
    this.#waiting.push(wanted);
    this.#dial();
  }

  /** False when no connection has room. */
  #start(wanted: Wanted): boolean {
    for (const pooled of this.#connections) {
      if (pooled.retired || pooled.h2.capacity <= 0) continue;
      if (startTunnel(pooled.h2, wanted.request, this.#deps.clock, wanted)) return true;
    }
    return false;
  }

  #dial(): void {
    if (this.#dialing || this.#closed) return;
    const { destination, namespace, source, expected, share } = this.target;
    const identity = this.#deps.identities.get(source);
    if (identity === undefined) {
      this.#failWaiting(this.#failure('HBONE_NO_IDENTITY', `no certificate for ${source}`));
      return;
    }
    this.#dialing = true;
    this.#deps.network.connectTls(
      {
        ...destination,
        namespace,
        share,
        mark: this.#options.mark,
        connectTimeoutMs: limits.TUNNEL_CONNECT_TIMEOUT_MS,
        identity,
        alpn: [limits.HBONE_ALPN],
        expectedUris: expected,
        judgePeer: this.#deps.judgePeer,
      },
      {
        onOpen: (connection) => this.#dialled(connection),
        onFail: (error) => {
          this.#dialing = false;
          this.#failWaiting(this.#explain(error));
        },
      },
    );
  }

  #dialled(connection: TlsConnection): H2Connection {
    this.#dialing = false;
    const pooled: Pooled = {
      h2: this.#openH2(
        connection,
        () => this.#changed(pooled),
        () => this.#lost(pooled),
      ),
      peerChain: connection.peerChain,
      idleSince: this.#deps.clock.now(),
      retired: false,
    };
    if (this.#closed) {
      queueMicrotask(() => pooled.h2.close());
      return pooled.h2;
    }
    this.#connections.push(pooled);
    // Bun sets the returned handler first, then the tunnels may write.
    queueMicrotask(() => this.#serveWaiting());
    return pooled.h2;
  }

  #openH2(connection: TlsConnection, onChange: () => void, onClose: () => void): H2Connection {
    return new H2Connection(
      connection,
      { clock: this.#deps.clock },
      {
        role: 'client',
        streamWindowBytes: limits.STREAM_WINDOW_BYTES,
        connectionWindowBytes: limits.CONNECTION_WINDOW_BYTES,
        frameBytesMax: limits.FRAME_BYTES_MAX,
        concurrentStreamsMax: limits.STREAMS_PER_CONNECTION_MAX,
        headerListBytesMax: limits.CLIENT_HEADER_LIST_BYTES_MAX,
        keepAlive: {
          intervalMs: limits.KEEPALIVE_INTERVAL_MS,
          timeoutMs: limits.KEEPALIVE_TIMEOUT_MS,
        },
      },
      { onStream: (stream) => stream.reset(REFUSED_STREAM), onChange, onClose },
    );
  }

  #changed(pooled: Pooled): void {
    if (pooled.h2.active === 0) pooled.idleSince = this.#deps.clock.now();
    if (this.#waiting.length > 0) this.#serveWaiting();
  }

  #lost(pooled: Pooled): void {
    const index = this.#connections.indexOf(pooled);
    if (index >= 0) this.#connections.splice(index, 1);
    if (this.#waiting.length > 0 && !this.#closed) this.#dial();
  }

  #serveWaiting(): void {
    while (this.#waiting.length > 0 && this.#start(this.#waiting[0])) this.#waiting.shift();
    if (this.#waiting.length > 0) this.#dial();
  }

  #failWaiting(error: MeshError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { handler } of waiting) handler.onFail(error);
  }

  #explain(error: MeshError): MeshError {
    if (error.code !== 'NET_CONNECT_TIMEOUT') return error;
    const to = formatHostPort(this.target.destination.address, this.target.destination.port);
    const why = `connect to ${to} timed out, maybe a NetworkPolicy is blocking HBONE port 15008`;
    return this.#failure('HBONE_CONNECT_TIMEOUT', why, error);
  }

  #failure(code: keyof typeof HBONE_ERRORS, message: string, cause?: MeshError): MeshError {
    const hint = HBONE_ERRORS[code];
    return new MeshError(code, message, { side: 'upstream', hint, retry: 'safe', cause });
  }
}

/** RFC 9113 §7: a server must not open streams to us (push is off). */
const REFUSED_STREAM = 0x7;
