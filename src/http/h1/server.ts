/** Serves HTTP/1.1 on a `Connection`. Return it as the handler of the socket. */
import type { Clock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { OnExchange } from '../dispatch/dispatch.ts';

export interface H1ServerOptions {
  /** `scheme` of the requests. */
  scheme?: 'http' | 'https';
  /** A head must be whole this long after its first byte. */
  headTimeoutMs?: number;
  /** Between two requests. */
  idleTimeoutMs?: number;
  /** Once, when the connection is gone. Undefined after an orderly end. */
  onClose?: (error: MeshError | undefined) => void;
}

export interface H1ServerConnectionApi extends ConnectionHandler {
  /** 0 or 1. */
  readonly active: number;
  readonly closed: boolean;
  /** Finishes the running exchange with `Connection: close`, then closes; an idle connection closes now. */
  drain(): void;
  /** Breaks off at once. */
  close(): void;
}
export declare const H1ServerConnection: new (
  connection: Connection,
  deps: { clock: Clock },
  options: H1ServerOptions,
  onExchange: OnExchange,
) => H1ServerConnectionApi;
