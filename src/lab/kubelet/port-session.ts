/**
 * One forwarded port over a WebSocket in Kubernetes' framing (v4.channel.k8s.io): channel 0 carries the bytes, channel 1
 * why they ended; each begins with the port's number. Connects to loopback in the pod's network, as a kubelet does.
 */
import type { ServerWebSocket } from 'bun';
import { messageOf } from '#base/errors.ts';
import type { Connection } from '#net/connection.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { Network } from '#net/network.ts';
import { Outbox } from '#net/pipe/outbox.ts';

const CHANNEL = { data: 0, error: 1 } as const;
/** Bytes that the client has not taken yet; above it the pod's side waits. */
const BUFFERED_BYTES_MAX = 1024 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;

type Socket = ServerWebSocket<unknown>;

export class PortSession {
  readonly #network: Network;
  readonly #pid: number;
  readonly #port: number;
  #connection: Connection | undefined;
  #outbox: Outbox | undefined;
  /** What the client sent before there was a connection. */
  #early: Uint8Array[] = [];
  #paused = false;

  constructor(network: Network, target: { pid: number; port: number }) {
    this.#network = network;
    this.#pid = target.pid;
    this.#port = target.port;
  }

  run(socket: Socket): void {
    for (const channel of [CHANNEL.data, CHANNEL.error])
      socket.send(Uint8Array.of(channel, this.#port & 0xff, this.#port >> 8));
    const namespace = openNamespace(`/proc/${this.#pid}/ns/net`);
    const address = { address: '127.0.0.1', port: this.#port };
    this.#network.connect(
      { ...address, namespace, connectTimeoutMs: CONNECT_TIMEOUT_MS },
      {
        onOpen: (connection) => this.#opened(connection, socket),
        onFail: (error) => this.#end(socket, messageOf(error)),
      },
    );
    namespace.close();
  }

  receive(frame: Uint8Array): void {
    if (frame[0] !== CHANNEL.data) return;
    const bytes = frame.slice(1);
    if (this.#outbox === undefined) this.#early.push(bytes);
    else this.#outbox.push(bytes);
  }

  /** The client took what waited. */
  drained(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection?.resume();
  }

  abandon(): void {
    this.#connection?.reset();
  }

  #opened(connection: Connection, socket: Socket) {
    const outbox = new Outbox(connection);
    this.#connection = connection;
    this.#outbox = outbox;
    for (const bytes of this.#early.splice(0)) outbox.push(bytes);
    return {
      onData: (bytes: Uint8Array) => {
        const frame = new Uint8Array(bytes.length + 1);
        frame.set(bytes, 1);
        socket.send(frame);
        if (this.#paused || socket.getBufferedAmount() < BUFFERED_BYTES_MAX) return;
        this.#paused = true;
        connection.pause();
      },
      onDrain: () => void outbox.flush(),
      onEnd: () => this.#end(socket, undefined),
      onClose: (error: Error | undefined) => this.#end(socket, error?.message),
    };
  }

  #end(socket: Socket, why: string | undefined): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (why !== undefined) socket.send(Buffer.concat([Buffer.of(CHANNEL.error), Buffer.from(why)]));
    socket.close(1000, '');
  }
}
