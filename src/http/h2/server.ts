/** Gives each request stream of an H2Connection in server role as a `ServerExchange`. */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { OnExchange } from '../dispatch/dispatch.ts';
import type { H2Deps, H2Options } from './connection.ts';

export interface H2ServerOptions extends Partial<H2Options> {
  scheme?: 'http' | 'https';
  onClose?: (error: MeshError | undefined) => void;
}
export declare const H2ServerConnection: new (
  connection: Connection,
  deps: H2Deps,
  options: H2ServerOptions,
  onExchange: OnExchange,
) => ConnectionHandler & {
  readonly active: number;
  readonly closed: boolean;
  drain(): void;
  close(): void;
};
