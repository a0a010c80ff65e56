import { expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import type { HttpClientConnection } from '#http/dispatch/dispatch.ts';
import type { Connection } from '#net/connection.ts';
import type { ConnectHandler } from '#net/network.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { memoryPair } from '#test/support/memory-connection.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import { DialTrace } from '../tracing/dial-trace.ts';
import { httpDial, targetOf } from './http-dial.ts';

const STATE = {
  endpoint: { address: '198.18.1.2', protocol: 'hbone', principal: 'spiffe://x' },
  port: 8080,
} as unknown as HttpEndpoint;
const GROUP = {
  config: { policy: { connectionPool: { connectTimeoutMs: 1000 } }, upstream: { hostname: 'x' } },
} as unknown as HttpGroup;

test.each(['h1', 'h2'] as const)(
  'httpDial lets go of an %s connection whose tunnel is retiring',
  (protocol) => {
    const [connection] = memoryPair();
    const ready: HttpClientConnection[] = [];
    const dial = httpDial(
      {
        open: (_target, handler) => {
          connection.handler = handler.onOpen(connection);
        },
      },
      { clock: systemClock, dialTrace: new DialTrace() },
    );
    dial(STATE, GROUP, protocol, {
      onReady: (client) => void ready.push(client),
      onSpeaksH1Only: () => undefined,
      onFail: () => undefined,
    });
    expect(ready[0].capacity).toBeGreaterThan(0);
    (connection as Connection).onRetiring?.();
    expect(ready[0].capacity).toBe(0);
  },
);

test('httpDial sends PINGs as http2KeepAlive says, and lets a peer go that does not answer', () => {
  const clock = new FakeClock();
  const [connection, peer] = memoryPair();
  const keepAlive = { intervalMs: 7_000, timeoutMs: 2_000 };
  const policy = { connectionPool: { connectTimeoutMs: 1000, http2KeepAlive: keepAlive } };
  const group = { config: { policy, upstream: { hostname: 'x' } } } as unknown as HttpGroup;
  peer.handler = {
    onData: () => undefined,
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
  };
  const ready: HttpClientConnection[] = [];
  const open = (_target: unknown, handler: ConnectHandler<Connection>) => {
    connection.handler = handler.onOpen(connection);
  };
  httpDial({ open }, { clock, dialTrace: new DialTrace() })(STATE, group, 'h2', {
    onReady: (client) => void ready.push(client),
    onSpeaksH1Only: () => undefined,
    onFail: () => undefined,
  });
  // The interval in which the connection came about was not silent.
  clock.advance(14_000);
  expect(ready[0].closed).toBe(false);
  clock.advance(2_000);
  expect(ready[0].closed).toBe(true);
});

test.each([
  ['db.test', 'db.test'],
  ['*.example.test', 'a.example.test'],
])('the server name of TLS to %s is %s', (hostname, want) => {
  const tls = { mode: 'simple', subjectAltNames: [], insecureSkipVerify: false };
  const policy = { connectionPool: { connectTimeoutMs: 1000 }, tls };
  const group = { config: { policy, upstream: { hostname } } } as unknown as HttpGroup;
  const state = {
    ...STATE,
    endpoint: { ...STATE.endpoint, name: 'a.example.test' },
  } as HttpEndpoint;
  expect(targetOf(state, group, ['h2']).origination?.defaultSni).toBe(want);
});
