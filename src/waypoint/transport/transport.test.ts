import { expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { seededRandom } from '#base/random.ts';
import type { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { Connection } from '#net/connection.ts';
import type { ConnectHandler, Network } from '#net/network.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { memoryPair } from '#test/support/memory-connection.ts';
import { meshTransport } from './transport.ts';

function setup() {
  const clock = new FakeClock();
  let opening: ConnectHandler<Connection> | undefined;
  const tunnels = {
    open: (_request: unknown, handler: ConnectHandler<Connection>) => {
      opening = handler;
    },
  } as unknown as TunnelPool;
  const transport = meshTransport(
    { network: {} as Network, tunnels, random: seededRandom(1), clock },
    { principal: 'spiffe://t/ns/n/sa/w' as Principal, address: '198.18.0.9', baggage: () => '' },
  );
  const outcomes: string[] = [];
  transport.open(
    {
      address: '198.18.0.1',
      port: 8080,
      protocol: 'hbone',
      principal: 'spiffe://t/ns/n/sa/a',
      serviceHost: 'h',
      connectTimeoutMs: 2_000,
    },
    {
      onOpen: (connection) => {
        outcomes.push('open');
        return connection.handler;
      },
      onFail: ({ code, message }) => outcomes.push(`${code}: ${message}`),
    },
  );
  if (opening === undefined) throw new Error('nothing was opened');
  return { clock, outcomes, tunnel: opening };
}

test('a tunnel keeps to connectTimeout; one that comes too late is let go', () => {
  const { clock, outcomes, tunnel } = setup();
  clock.advance(2_000);
  expect(outcomes).toEqual(['NET_CONNECT_TIMEOUT: no tunnel to 198.18.0.1:8080 within 2000 ms']);
  const [late] = memoryPair();
  let wasReset = false;
  late.reset = () => {
    wasReset = true;
  };
  tunnel.onOpen(late);
  expect([outcomes.length, wasReset]).toEqual([1, true]);
});

test('a tunnel that opens or fails in time is handed on, and no timer stays', () => {
  const opened = setup();
  opened.tunnel.onOpen(memoryPair()[0]);
  const failed = setup();
  failed.tunnel.onFail(new MeshError('HBONE_X', 'refused', { side: 'upstream', hint: 'h' }));
  for (const { clock } of [opened, failed]) clock.advance(10_000);
  expect([opened.outcomes, failed.outcomes]).toEqual([['open'], ['HBONE_X: refused']]);
});
