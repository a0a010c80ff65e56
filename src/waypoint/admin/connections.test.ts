import { expect, test } from 'bun:test';
import type { Principal } from '#model/identity/spiffe.ts';
import { jsonAnswer } from '#telemetry/admin/json-stream.ts';
import type { OpenConnection } from '../listener/serve-connection.ts';
import { connectionsAnswer } from './connections.ts';

const tunnel = {
  source: {
    labels: { workload: 'web', workloadNamespace: 'shop' },
    principal: 'spiffe://cluster.local/ns/shop/sa/web',
  },
  host: '198.19.0.11',
  port: 80,
  security: 'mutual_tls',
  remote: '198.18.1.4:40000',
  gateway: undefined,
} as unknown as OpenConnection['tunnel'];

test('a connection is told with the service behind the address, both identities, and no bytes where none are counted', async () => {
  const http = { tunnel, since: 1_000, receivedBytes: undefined, sentBytes: undefined };
  const answer = jsonAnswer(
    connectionsAnswer([http], {
      filter: {},
      limit: 10,
      now: 3_000,
      self: {
        name: 'shop/waypoint-1',
        principal: 'spiffe://cluster.local/ns/shop/sa/waypoint' as Principal,
        hostnameAt: (host) => (host === '198.19.0.11' ? 'p.shop.svc.cluster.local' : undefined),
      },
    }),
  );
  expect(await answer.json()).toEqual({
    total: 1,
    matched: 1,
    limit: 10,
    connections: [
      {
        direction: 'inbound',
        pod: 'shop/waypoint-1',
        source: {
          workload: 'shop/web',
          address: '198.18.1.4:40000',
          identity: 'spiffe://cluster.local/ns/shop/sa/web',
        },
        destination: {
          address: '198.19.0.11:80',
          identity: 'spiffe://cluster.local/ns/shop/sa/waypoint',
        },
        service: 'p.shop.svc.cluster.local',
        authority: '198.19.0.11:80',
        protocol: 'HBONE',
        mutualTls: true,
        ageMs: 2_000,
      },
    ],
  });
});
