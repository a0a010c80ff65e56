/**
 * The callback tables that Bun's sockets are given. Each finds its connection in `socket.data`; a socket that
 * was refused at once has none. One table per listener or dial kind, never one per connection.
 */
import { FREED_CHUNK_BYTES_MIN } from '../limits.ts';
import { giveBack } from '../pipe/give-back.ts';
import type { SocketConnection } from './socket-connection.ts';

/** Bun's socket, as far as the callbacks use it. */
export interface CallbackSocket {
  data: SocketConnection | undefined;
}

export interface SocketCallbacks {
  data(socket: CallbackSocket, bytes: Uint8Array): void;
  drain(socket: CallbackSocket): void;
  end(socket: CallbackSocket): void;
  close(socket: CallbackSocket, error?: unknown): void;
  error(socket: CallbackSocket, error: unknown): void;
}

export const STREAM_CALLBACKS: SocketCallbacks = {
  data: (socket, bytes) => {
    const connection = socket.data;
    if (connection === undefined) return;
    const { length } = bytes;
    connection.deliver(bytes);
    if (length < FREED_CHUNK_BYTES_MIN) return;
    giveBack(bytes);
    connection.readOn();
  },
  drain: (socket) => socket.data?.drained(),
  end: (socket) => socket.data?.peerEnded(),
  close: (socket, error) => socket.data?.closed(error),
  error: (socket, error) => {
    if (isSystemError(error)) socket.data?.failed(error);
    else crash(error);
  },
};

/** Bun hands exceptions of our own callbacks to `error`: those are bugs and must end the process. */
export function crash(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function isSystemError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code: unknown = Reflect.get(error, 'code');
  return (
    error.name !== 'MeshError' && typeof code === 'string' && /^E[A-Z]|^ERR_(SSL|TLS)/.test(code)
  );
}
