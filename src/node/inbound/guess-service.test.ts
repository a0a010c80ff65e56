import { expect, test } from 'bun:test';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { guessService } from './guess-service.ts';

const service = (name: string, targetPort: number) =>
  completeService({
    name,
    namespace: 'shop',
    ports: [{ servicePort: 80, targetPort, appProtocol: 'http' }],
  });
const mappings = (targetPort: number) => [{ servicePort: 80, targetPort }];
const local = completeWorkload(
  {
    name: 'product',
    namespace: 'shop',
    services: {
      'shop/first.shop.svc.cluster.local': [],
      'shop/second.shop.svc.cluster.local': [],
      'shop/named.shop.svc.cluster.local': mappings(9000),
      'shop/gone.shop.svc.cluster.local': mappings(7000),
    },
  },
  'cluster.local',
);
const snapshot = new MeshSnapshot({
  version: 1,
  authorizations: [],
  addresses: [
    service('first', 8080),
    service('second', 8080),
    service('named', 0),
    service('else', 8080),
  ].map((each) => ({ kind: 'service' as const, service: each })),
});
const host = (name: string) => `${name}.shop.svc.cluster.local`;
const forwarded = (name: string) => `for="198.18.1.2:50000";host=${name}`;

const rows: {
  title: string;
  port: number;
  authority?: string;
  forwarded?: string;
  want: string;
}[] = [
  {
    title: 'what the client says',
    port: 8080,
    forwarded: forwarded(host('second')),
    want: 'second',
  },
  {
    title: 'what it says in quotes',
    port: 8080,
    forwarded: `host="${host('second')}"`,
    want: 'second',
  },
  {
    title: 'not what the pod is no part of',
    port: 8080,
    forwarded: forwarded(host('else')),
    want: 'first',
  },
  { title: 'the first that leads to the port', port: 8080, want: 'first' },
  { title: 'the pod’s own number of a named port', port: 9000, want: 'named' },
  {
    title: 'what the authority names',
    port: 8080,
    authority: `${host('second')}:80`,
    want: 'second',
  },
  { title: 'no service that discovery does not know', port: 7000, want: 'none' },
  { title: 'none for another port', port: 1, authority: '198.18.2.2:1', want: 'none' },
];
for (const { title, want, port, ...said } of rows) {
  test(`guessService: ${title}`, () => {
    const found = guessService(snapshot, {
      local,
      port,
      authority: said.authority,
      forwarded: said.forwarded,
    });
    expect(found?.name ?? 'none').toBe(want);
  });
}
