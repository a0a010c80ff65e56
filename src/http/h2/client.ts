/** `HttpClientConnection` over an H2Connection in client role. Return it as the handler of the socket. */
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { HttpClientConnection } from '../dispatch/dispatch.ts';
import type { H2Deps, H2Options } from './connection.ts';

export declare const H2ClientConnection: new (
  connection: Connection,
  deps: H2Deps,
  options?: Partial<H2Options>,
) => HttpClientConnection & ConnectionHandler & { close(): void };
