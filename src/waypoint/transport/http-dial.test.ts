import { expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import type { HttpClientConnection } from '#http/dispatch/dispatch.ts';
import type { Connection } from '#net/connection.ts';
import { memoryPair } from '#test/support/memory-connection.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import { httpDial } from './http-dial.ts';

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
      { clock: systemClock },
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
