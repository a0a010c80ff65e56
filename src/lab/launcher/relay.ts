/**
 * A byte relay: accepts on a loopback port or a unix socket, dials the target, copies both ways with back-pressure
 * and keeps half-closes. Lets the host reach the lab's API and console without a route into the lab.
 */
import {
  connect,
  createServer,
  type ListenOptions,
  type NetConnectOpts,
  type Socket,
} from 'node:net';

export interface Relay {
  /** 0 for a unix socket. */
  readonly port: number;
  readonly connections: number;
  close(): void;
}

/** Where to dial for the next connection; undefined = nothing there now, the client is hung up on. */
export type Target = () => NetConnectOpts | undefined;

/** Rejects with the listener's error (EADDRINUSE, EACCES). */
export function startRelay(listen: ListenOptions, target: Target): Promise<Relay> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const to = target();
    if (to === undefined) {
      client.destroy();
      return;
    }
    open.add(client);
    client.on('close', () => open.delete(client));
    join(client, connect({ ...to, allowHalfOpen: true }));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, () => {
      server.off('error', reject);
      // Accepting may fail for want of file descriptors; those clients see a reset, the rest goes on.
      server.on('error', () => undefined);
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        get connections() {
          return open.size;
        },
        close() {
          server.close();
          for (const socket of open) socket.destroy();
        },
      });
    });
  });
}

/** `pipe` pauses the reader when the writer is full and passes a FIN on; an error ends both at once. */
function join(client: Socket, upstream: Socket): void {
  client.setNoDelay(true);
  const abort = () => {
    client.destroy();
    upstream.destroy();
  };
  client.on('error', abort);
  upstream.on('error', abort);
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.destroy());
  client.pipe(upstream);
  upstream.pipe(client);
}
