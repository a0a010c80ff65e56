/** Opens HTTP connections for the upstream pools: a transport connection, then the protocol that the pool asks for. */
import type { Clock } from '#base/clock.ts';
import type { HttpClientConnection } from '#http/dispatch/dispatch.ts';
import { H1ClientConnection } from '#http/h1/client.ts';
import { H2ClientConnection } from '#http/h2/client.ts';
import { probeH2 } from '#http/h2/probe.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { DialEndpoint } from '#upstream/group/endpoint-group.ts';
import type { DialOutcome, LearnedProtocol } from '#upstream/pool/endpoint-pool.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import { PROBE_TIMEOUT_MS } from '../limits.ts';
import type { Transport, TransportTarget } from './transport.ts';

export function httpDial(
  transport: Transport,
  deps: { clock: Clock },
): DialEndpoint<HttpClientConnection> {
  return (state, group, protocol, outcome) => {
    transport.open(targetOf(state, group), {
      onOpen: (connection) => speak(connection, protocol, outcome, deps),
      onFail: (error) => outcome.onFail(error),
    });
  };
}

export function targetOf(state: HttpEndpoint, group: HttpGroup): TransportTarget {
  const { address, protocol, principal } = state.endpoint;
  const { policy, upstream } = group.config;
  return {
    address,
    port: state.port,
    protocol,
    principal,
    serviceHost: upstream.hostname,
    connectTimeoutMs: policy.connectionPool.connectTimeoutMs,
  };
}

function speak(
  connection: Connection,
  protocol: LearnedProtocol,
  outcome: DialOutcome<HttpClientConnection>,
  deps: { clock: Clock },
): ConnectionHandler {
  // The node proxy of the endpoint is replaced, or our certificate: the next request takes another connection.
  const ready = (client: HttpClientConnection) => {
    outcome.onReady(client);
    connection.onRetiring = () => client.drain();
  };
  if (protocol === 'unknown') {
    return probeH2(
      connection,
      deps,
      { timeoutMs: PROBE_TIMEOUT_MS },
      {
        onH2: (client) => ready(client),
        onH1: () => outcome.onSpeaksH1Only(),
      },
    );
  }
  const client =
    protocol === 'h2'
      ? new H2ClientConnection(connection, deps)
      : new H1ClientConnection(connection, deps);
  // Waiters dispatch at once: answers must find their handler.
  connection.handler = client;
  ready(client);
  return client;
}
