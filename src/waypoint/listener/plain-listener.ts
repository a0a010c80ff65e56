/** Static mode's listener: every plain connection is for one service and port. */
import { formatHostPort } from '#base/ip.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { Listener, Network } from '#net/network.ts';
import type { SourceRegistry } from '../source.ts';
import type { ConnectionServer } from './serve-connection.ts';

export function listenPlain(
  deps: { network: Network; sources: SourceRegistry; server: ConnectionServer },
  options: { listen: SocketAddress; host: string; port: number },
): Listener {
  const { host, port, listen } = options;
  const local = formatHostPort(listen.address, listen.port);
  return deps.network.listen({ ...listen, reusePort: true }, (connection) => {
    const { remoteAddress: address, remotePort } = connection;
    const source = deps.sources.resolve({ address, principal: undefined });
    const remote = formatHostPort(address, remotePort);
    const tunnel = { source, host, port, security: 'none' as const, remote, local, isH2: false };
    return deps.server.serve(tunnel, connection);
  });
}
