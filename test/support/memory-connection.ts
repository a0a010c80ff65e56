/**
 * Two connections joined in memory, for tests of everything that runs on a `Connection`. Deliveries run as
 * microtasks; each side's buffer has a capacity, so short writes, pause and drain happen as on sockets.
 */
import { MeshError } from '#base/errors.ts';
import type { ConnectionHandler, SocketAddress, TlsConnection } from '#net/connection.ts';
import { NET_ERRORS } from '#net/errors.ts';

export interface MemoryPairOptions {
  capacityBytes?: number;
  client?: SocketAddress;
  server?: SocketAddress;
  clientUris?: readonly string[];
  serverUris?: readonly string[];
}

/** `[client, server]`. Set both handlers before the first microtask runs. */
export function memoryPair(options: MemoryPairOptions = {}): [MemoryConnection, MemoryConnection] {
  const clientName = options.client ?? { address: '198.18.0.1', port: 40000 };
  const serverName = options.server ?? { address: '198.18.0.2', port: 15008 };
  const capacity = options.capacityBytes ?? 64 * 1024;
  const client = new MemoryConnection(clientName, serverName, capacity);
  const server = new MemoryConnection(serverName, clientName, capacity);
  client.peerUris = options.serverUris ?? [];
  server.peerUris = options.clientUris ?? [];
  client.peer = server;
  server.peer = client;
  return [client, server];
}

export class MemoryConnection implements TlsConnection {
  handler: ConnectionHandler = UNSET;
  peer: MemoryConnection = this;
  peerUris: readonly string[] = [];
  readonly peerChain: readonly Uint8Array[] = [];
  readonly alpn = 'h2';
  readonly #local: SocketAddress;
  readonly #remote: SocketAddress;
  readonly #capacity: number;
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #finReceived = false;
  #finDelivered = false;
  #finSent = false;
  #paused = false;
  #starved = false;
  #scheduled = false;
  closed = false;

  constructor(local: SocketAddress, remote: SocketAddress, capacityBytes: number) {
    this.#local = local;
    this.#remote = remote;
    this.#capacity = capacityBytes;
  }

  get remoteAddress(): string {
    return this.#remote.address;
  }
  get remotePort(): number {
    return this.#remote.port;
  }
  get localAddress(): string {
    return this.#local.address;
  }
  get localPort(): number {
    return this.#local.port;
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.#finSent) return 0;
    const taken = this.peer.accept(bytes);
    if (taken < bytes.length) this.#starved = true;
    return taken;
  }

  end(): void {
    if (this.closed || this.#finSent) return;
    this.#finSent = true;
    this.peer.finReceived();
    this.#schedule();
  }

  reset(): void {
    if (this.closed) return;
    const { peer } = this;
    this.#close(resetError('NET_RESET_LOCAL', 'we reset it'));
    if (!peer.closed)
      queueMicrotask(() => peer.#close(resetError('NET_RESET', 'the peer reset it')));
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  /** Called by the peer's `write`. */
  accept(bytes: Uint8Array): number {
    if (this.closed) return 0;
    const taken = Math.min(bytes.length, this.#capacity - this.#inboxBytes);
    if (taken > 0) {
      this.#inbox.push(new Uint8Array(bytes.subarray(0, taken)));
      this.#inboxBytes += taken;
      this.#schedule();
    }
    return taken;
  }

  finReceived(): void {
    this.#finReceived = true;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    while (!this.#paused && !this.closed) {
      const chunk = this.#inbox.shift();
      if (chunk === undefined) break;
      this.#inboxBytes -= chunk.length;
      this.handler.onData(chunk);
      this.peer.#drained();
    }
    if (this.closed || this.#paused || this.#inbox.length > 0) return;
    if (this.#finReceived && !this.#finDelivered) {
      this.#finDelivered = true;
      this.handler.onEnd();
    }
    if (this.#finDelivered && this.#finSent) this.#close(undefined);
  }

  #drained(): void {
    if (!this.#starved || this.closed) return;
    this.#starved = false;
    queueMicrotask(() => {
      if (!this.closed) this.handler.onDrain();
    });
  }

  #close(error: MeshError | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#inbox = [];
    this.handler.onClose(error);
  }
}

const UNSET: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

function resetError(code: 'NET_RESET' | 'NET_RESET_LOCAL', message: string): MeshError {
  return new MeshError(code, message, { side: 'downstream', hint: NET_ERRORS[code] });
}
