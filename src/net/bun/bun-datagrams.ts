/**
 * `Datagrams` on Bun: sockets are made by system call in the wanted namespace, bound or connected at once, and then
 * handed to Bun's event loop. What arrives between the two waits in the kernel.
 */
import { MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type {
  BoundDatagrams,
  ConnectedDatagrams,
  DatagramHandler,
  DatagramOptions,
  Datagrams,
} from '../datagram.ts';
import { NET_ERRORS } from '../errors.ts';
import * as raw from '../netns/raw-socket.ts';
import { crash } from './socket-callbacks.ts';

type BunSocket = Bun.udp.Socket<'buffer'>;

export class BunDatagrams implements Datagrams {
  bind(options: DatagramOptions, handler: DatagramHandler): BoundDatagrams {
    const fd = raw.openBoundDatagrams(options);
    const bound = raw.localName(fd) ?? options;
    const adopted = new Adopted(fd, options, handler);
    return {
      address: bound.address,
      port: bound.port,
      send: (bytes, to) => adopted.sendTo(bytes, to.address, to.port),
      detach: () => adopted.detach(bound.address),
      close: () => adopted.close(),
    };
  }

  connect(options: DatagramOptions, handler: DatagramHandler): ConnectedDatagrams {
    const fd = raw.openConnectedDatagrams(options);
    const adopted = new Adopted(fd, options, handler);
    return { send: (bytes) => adopted.send(bytes), close: () => adopted.close() };
  }
}

/** Owns the descriptor until Bun does; Bun takes it a microtask later. */
class Adopted {
  readonly #fd: number;
  #socket: BunSocket | undefined = undefined;
  #closed = false;

  constructor(fd: number, options: DatagramOptions, handler: DatagramHandler) {
    this.#fd = fd;
    const what = formatHostPort(options.address, options.port);
    const fail = (cause: unknown) => {
      if (!this.#closed) handler.onError(refused(what, cause));
    };
    // Bun's types do not know `fd`; its error callback gets the error alone.
    const adoption = {
      fd,
      socket: {
        data: (_socket: BunSocket, bytes: Buffer, port: number, address: string) => {
          if (this.#closed) return;
          try {
            handler.onDatagram(bytes, { address, port });
          } catch (error) {
            crash(error);
          }
        },
        error: (first: unknown, second?: unknown) => fail(second ?? first),
      },
    } as unknown as Bun.udp.SocketOptions<'buffer'>;
    Bun.udpSocket<'buffer'>(adoption).then(
      (socket) => {
        this.#socket = socket;
        if (this.#closed) socket.close();
      },
      (cause: unknown) => {
        fail(cause);
        this.#closed = true;
        raw.closeDescriptor(fd);
      },
    );
  }

  /** By system call: Bun may not have the descriptor yet, and does not know that it is connected. */
  send(bytes: Uint8Array): boolean {
    return !this.#closed && raw.sendDatagram(this.#fd, bytes);
  }

  sendTo(bytes: Uint8Array, address: string, port: number): boolean {
    if (this.#closed || this.#socket === undefined) return false;
    try {
      return this.#socket.send(bytes, port, address);
    } catch {
      // No route, or too large for one datagram: lost, as datagrams may be.
      return false;
    }
  }

  detach(address: string): void {
    if (!this.#closed) raw.detachDatagrams(this.#fd, address);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.close();
  }
}

function refused(what: string, cause: unknown): MeshError {
  const text = messageOf(cause);
  const code = /ECONNREFUSED/.test(text) ? 'NET_CONNECT_REFUSED' : 'NET_DATAGRAM';
  return new MeshError(code, `datagram ${what}: ${text}`, {
    side: 'upstream',
    hint: NET_ERRORS[code],
    retry: 'safe',
    cause,
  });
}
