/** What anybody can make a gateway hold and write down is bounded. */
import { expect, test } from 'bun:test';
import type { AcceptGate, ListenOptions, Network } from '#net/network.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  destinationAt,
  gatewayOf,
  hosted,
  serverOf,
  startGateway,
} from '#test/support/gateway-rig.ts';
import { GATEWAY_CONNECTIONS_MAX, REFUSALS_LOGGED_PER_SECOND } from '../limits.ts';

test('a gateway holds so many connections, refuses the next ones and logs some of them', () => {
  const clock = new FakeClock();
  const gates: (AcceptGate | undefined)[] = [];
  const network = {
    listen({ address, port, gate }: ListenOptions) {
      gates.push(gate);
      return { address, port, alive: true, stop: () => undefined };
    },
  };
  const gateway = startGateway([destinationAt('a', 9)], {
    clock,
    network: network as unknown as Network,
  });
  const servers = [serverOf({ name: 's', virtualHosts: [hosted('*', 'a')] })];
  gateway.configure([gatewayOf([{ port: 80, servers }])]);
  const [gate] = gates;
  const entered = (count: number) =>
    Array.from({ length: count }, () => gate?.enter()).filter((open) => open === true).length;
  expect(entered(GATEWAY_CONNECTIONS_MAX + 30)).toBe(GATEWAY_CONNECTIONS_MAX);
  expect(gateway.listeners.connections).toBe(GATEWAY_CONNECTIONS_MAX);
  expect(gateway.lines.length).toBe(REFUSALS_LOGGED_PER_SECOND);
  expect(gateway.lines[0]).toContain(`${GATEWAY_CONNECTIONS_MAX} connections are open`);
  clock.advance(1000);
  gate?.leave();
  expect(entered(2)).toBe(1);
  const swallowed = 30 - REFUSALS_LOGGED_PER_SECOND;
  expect(gateway.lines.slice(REFUSALS_LOGGED_PER_SECOND)).toEqual([
    `more connections refused ${JSON.stringify({ count: swallowed })}`,
    gateway.lines[0],
  ]);
  gateway.stop();
});
