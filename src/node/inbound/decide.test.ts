import { describe, expect, test } from 'bun:test';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { decidePlaintext, decideTunnel, denialOf } from './decide.ts';

const local = completeWorkload(
  {
    name: 'product',
    namespace: 'shop',
    addresses: ['198.18.2.2'],
    services: { 'shop/product.shop.svc.cluster.local': [{ servicePort: 80, targetPort: 8080 }] },
    authorizationPolicies: ['istio-system/istio_converted_static_strict'],
  },
  'cluster.local',
);
const gateway = {
  service: { namespace: 'shop', hostname: 'product.shop.svc.cluster.local' },
  hbonePort: 15008,
};
const strict = {
  name: 'istio_converted_static_strict',
  namespace: 'istio-system',
  scope: 'workload-selector' as const,
  action: 'deny' as const,
  dryRun: false,
  rules: [
    {
      clauses: [
        [
          {
            namespaces: [],
            notNamespaces: [],
            principals: [],
            notPrincipals: [{ kind: 'presence' as const }],
            sourceIps: [],
            notSourceIps: [],
            destinationIps: [],
            notDestinationIps: [],
            destinationPorts: [],
            notDestinationPorts: [],
            serviceAccounts: [],
            notServiceAccounts: [],
          },
        ],
      ],
    },
  ],
};
const snapshot = new MeshSnapshot({
  version: 1,
  authorizations: [strict],
  addresses: [
    { kind: 'workload', workload: local },
    { kind: 'service', service: completeService({ name: 'product', namespace: 'shop' }) },
    {
      kind: 'service',
      service: completeService({
        name: 'behind',
        namespace: 'shop',
        addresses: [{ network: '', address: '198.19.0.4' }],
        waypoint: gateway,
      }),
    },
  ],
});

describe('decideTunnel', () => {
  const rows: { title: string; authority: string; want: object }[] = [
    {
      title: 'its own address',
      authority: '198.18.2.2:9000',
      want: { kind: 'connect', upstream: { address: '198.18.2.2', port: 9000 } },
    },
    {
      title: 'another address',
      authority: '198.18.2.3:9000',
      want: { kind: 'refuse', status: 400 },
    },
    { title: 'no port', authority: '198.18.2.2', want: { kind: 'refuse', status: 400 } },
    { title: 'garbage', authority: 'a b:1', want: { kind: 'refuse', status: 400 } },
    {
      title: 'a service it is the waypoint of',
      authority: '198.19.0.4:80',
      want: { kind: 'connect', upstream: { address: '198.18.2.2', port: 80 } },
    },
    {
      title: 'a hostname it serves',
      authority: 'product.shop.svc.cluster.local:80',
      want: { kind: 'connect', upstream: { address: '198.18.2.2', port: 8080 } },
    },
    {
      title: 'a port of the hostname it does not serve',
      authority: 'product.shop.svc.cluster.local:81',
      want: { kind: 'refuse', status: 503 },
    },
    {
      title: 'an unknown hostname',
      authority: 'gone.shop.svc.cluster.local:80',
      want: { kind: 'refuse', status: 503 },
    },
    ...[15001, 15006, 15008].map((port) => ({
      title: `the proxy's own port ${port}`,
      authority: `198.18.2.2:${port}`,
      want: { kind: 'refuse', status: 503, code: 'NODE_LOOP' },
    })),
  ];
  for (const { title, authority, want } of rows) {
    test(`${title}: ${authority}`, () => {
      expect(
        decideTunnel(snapshot, { local, localAddress: '198.18.2.2', authority }),
      ).toMatchObject(want);
    });
  }
});

test('decidePlaintext keeps the original destination and refuses loops', () => {
  const original = { address: '198.18.2.2', port: 8080 };
  expect(decidePlaintext(original)).toMatchObject({ kind: 'connect', upstream: original });
  expect(decidePlaintext({ ...original, port: 15006 })).toMatchObject({ code: 'NODE_LOOP' });
});

test('denialOf: STRICT refuses who proved nothing with 401 and the name of the policy, and admits the rest', () => {
  const access = { local, sourceIp: '198.18.1.2', upstream: { address: '198.18.2.2', port: 8080 } };
  expect(denialOf(snapshot, { ...access, sourcePrincipal: undefined })).toEqual({
    kind: 'refuse',
    status: 401,
    code: 'NODE_POLICY',
    policy: 'istio-system/istio_converted_static_strict',
    reason:
      'explicitly denied by: istio-system/istio_converted_static_strict (a STRICT PeerAuthentication, which demands mutual TLS)',
  });
  const sourcePrincipal = parsePrincipal('spiffe://cluster.local/ns/shop/sa/web');
  expect(denialOf(snapshot, { ...access, sourcePrincipal })).toBeUndefined();
});
