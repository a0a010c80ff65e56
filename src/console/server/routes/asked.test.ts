import { expect, test } from 'bun:test';
import { peer } from '#test/support/flows.ts';
import { EPOCH, http, tcp, World } from '#test/support/graph-world.ts';
import type { ConsoleData } from '../../console-data.ts';
import { Parameters } from '../parameters.ts';
import { trafficOf } from './asked.ts';

test('of a window in the past, workloads stand as live: without hops, waypoints with what passed them', async () => {
  const { engine } = new World()
    .run(60, http('cart-v1', 9), [
      'shop/node-a',
      {
        ...tcp,
        reporter: 'source',
        source: peer('waypoint', { kind: 'waypoint' }),
        destination: peer('cart-v1'),
      },
      { opened: 5 },
    ])
    .settle();
  const data: Pick<ConsoleData, 'graph'> = {
    graph: async (request) => engine.graph({ ...request, form: 'objects' }),
  };
  const at = new Date(EPOCH + 60_000).toISOString();
  const query = new Parameters(new URLSearchParams({ at, window: '60s' }), ['at', 'window']);
  const traffic = await trafficOf(data as ConsoleData, query);
  expect(traffic.get('workload/shop/cart-v1')?.inbound).toMatchObject({
    requestsPerSecond: 9,
    connectionsPerSecond: 0,
  });
  expect(traffic.get('waypoint/shop/waypoint')?.inbound.requestsPerSecond).toBe(9);
  expect(traffic.get('service/shop/cart')?.inbound.requestsPerSecond).toBe(9);
});
