/** Speaks HTTP/1.1 to an upstream on a `Connection`: one exchange at a time. Return it as the handler of the socket. */
import type { Clock } from '#base/clock.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { HttpClientConnection } from '../dispatch/dispatch.ts';

export declare const H1ClientConnection: new (
  connection: Connection,
  deps: { clock: Clock },
) => HttpClientConnection & ConnectionHandler & { close(): void };
