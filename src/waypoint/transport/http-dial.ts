/** Opens HTTP connections for the upstream pools: a transport connection, then the protocol that the pool asks for. */
import type { Clock } from '#base/clock.ts';
import type { HttpClientConnection } from '#http/dispatch/dispatch.ts';
import { H1ClientConnection } from '#http/h1/client.ts';
import { H2ClientConnection } from '#http/h2/client.ts';
import type { H2Options } from '#http/h2/connection.ts';
import { probeH2 } from '#http/h2/probe.ts';
import type { Upstream } from '#model/route/route-table.ts';
import type { Connection, ConnectionHandler, TlsConnection } from '#net/connection.ts';
import type { DialEndpoint } from '#upstream/group/endpoint-group.ts';
import type { DialOutcome, LearnedProtocol } from '#upstream/pool/endpoint-pool.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import { PROBE_TIMEOUT_MS } from '../limits.ts';
import type { DialTrace } from '../tracing/dial-trace.ts';
import type { Transport, TransportTarget } from './transport.ts';

const ALPN: Readonly<Record<LearnedProtocol, readonly string[]>> = {
  h1: ['http/1.1'],
  h2: ['h2'],
  unknown: ['h2', 'http/1.1'],
};

export function httpDial(
  transport: Transport,
  { clock, dialTrace }: { clock: Clock; dialTrace: DialTrace },
): DialEndpoint<HttpClientConnection> {
  return (state, group, protocol, outcome) => {
    const { traceparent } = dialTrace;
    const told = traceparent === undefined ? outcome : inTrace(outcome, dialTrace, traceparent);
    transport.open(
      { ...targetOf(state, group, ALPN[protocol]), traceparent },
      {
        onOpen: (connection) => {
          const { http2KeepAlive: keepAlive } = group.config.policy.connectionPool;
          return speak(connection, protocol, told, { clock, h2: keepAlive && { keepAlive } });
        },
        onFail: (error) => told.onFail(error),
      },
    );
  };
}

/** Spans of requests on the connection find the tunnel's. */
function inTrace(
  outcome: DialOutcome<HttpClientConnection>,
  dialTrace: DialTrace,
  traceparent: string,
): DialOutcome<HttpClientConnection> {
  return {
    onReady(connection) {
      dialTrace.carried(connection, traceparent);
      outcome.onReady(connection);
    },
    onSpeaksH1Only: () => outcome.onSpeaksH1Only(),
    onFail: (error) => outcome.onFail(error),
  };
}

/** `alpn`: what is offered where the destination wants TLS. */
export function targetOf(
  state: HttpEndpoint,
  group: HttpGroup,
  alpn: readonly string[],
): TransportTarget {
  const { address, protocol, principal, via } = state.endpoint;
  const { policy, upstream } = group.config;
  return {
    address,
    port: state.port,
    protocol,
    principal,
    via,
    serviceHost: upstream.hostname,
    connectTimeoutMs: policy.connectionPool.connectTimeoutMs,
    keepalive: policy.connectionPool.tcpKeepalive,
    origination: policy.tls && { tls: policy.tls, defaultSni: serverName(state, upstream), alpn },
    proxyProtocol: policy.proxyProtocol,
  };
}

/** A wildcard names nobody: there the endpoint was found by the name that the request gave. */
function serverName(state: HttpEndpoint, { hostname }: Upstream): string {
  return hostname.startsWith('*') ? state.endpoint.name : hostname;
}

function speak(
  connection: Connection,
  protocol: LearnedProtocol,
  outcome: DialOutcome<HttpClientConnection>,
  deps: { clock: Clock; h2: Partial<H2Options> | undefined },
): ConnectionHandler {
  const ready = (client: HttpClientConnection) => {
    outcome.onReady(client);
    drainWhenRetiring(client, connection);
  };
  const agreed = (connection as Partial<TlsConnection>).alpn;
  if (protocol === 'unknown' && agreed !== 'h2') {
    return probeH2(
      connection,
      deps,
      { timeoutMs: PROBE_TIMEOUT_MS, h2: deps.h2 },
      {
        onH2: (client) => ready(client),
        onH1: () => outcome.onSpeaksH1Only(),
      },
    );
  }
  const client =
    protocol === 'h2' || agreed === 'h2'
      ? new H2ClientConnection(connection, deps, deps.h2)
      : new H1ClientConnection(connection, deps);
  // Waiters dispatch at once: answers must find their handler.
  connection.handler = client;
  ready(client);
  return client;
}

/**
 * The node proxy of the endpoint is replaced, or our certificate: the next request takes another connection. (Apart, because the
 * callback lives as long as the connection, and with it everything that is in scope where it is made.)
 */
function drainWhenRetiring(client: HttpClientConnection, connection: Connection): void {
  connection.onRetiring = () => client.drain();
}
