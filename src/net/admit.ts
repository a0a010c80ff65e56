/** Gives an accepted connection the handler that it is to have, or resets it. */
import type { Connection, ConnectionHandler } from './connection.ts';
import type { Accept } from './network.ts';

export const IGNORE: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

export function admit<C extends Connection>(connection: C, accept: Accept<C>): void {
  const handler = accept(connection);
  if (handler !== undefined) {
    connection.handler = handler;
    return;
  }
  connection.handler = IGNORE;
  connection.reset();
}
