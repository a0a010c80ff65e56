import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { responseOf } from '../respond.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { decidePlaintext, decideTunnel, denialOf, type InboundVerdict } from './decide.ts';

const local = completeWorkload(
  {
    name: 'product',
    namespace: 'shop',
    addresses: ['198.18.2.2'],
    services: {
      'shop/product.shop.svc.cluster.local': [{ servicePort: 80, targetPort: 8080 }],
      'shop/front.shop.svc.cluster.local': [],
    },
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
            ...NO_MATCH,
            notPrincipals: [{ kind: 'presence' as const }],
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
        name: 'front',
        namespace: 'shop',
        addresses: [{ network: '', address: '198.19.0.5' }],
      }),
    },
    {
      kind: 'service',
      service: completeService({
        name: 'dual',
        namespace: 'shop',
        addresses: [
          { network: 'other', address: '198.19.0.7' },
          { network: '', address: '2001:2::8' },
          { network: '', address: '198.19.0.8' },
        ],
        ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http' }],
      }),
    },
    {
      kind: 'service',
      service: completeService({
        name: 'behind',
        namespace: 'shop',
        addresses: [{ network: '', address: '198.19.0.4' }],
        waypoint: gateway,
      }),
    },
    {
      kind: 'service',
      service: completeService({
        name: 'behind-address',
        namespace: 'shop',
        addresses: [{ network: '', address: '198.19.0.6' }],
        waypoint: { address: { network: '', address: '198.19.0.5' }, hbonePort: 15008 },
      }),
    },
  ],
});

/** What the peer is told. */
function answerTo({ code, reason }: Extract<InboundVerdict, { kind: 'refuse' }>): number {
  return responseOf(new MeshError(code, reason, { side: 'downstream', hint: 'none' })).status;
}

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
      title: 'a service that names it by the virtual address of its own service',
      authority: '198.19.0.6:80',
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
      const verdict = decideTunnel(snapshot, { local, localAddress: '198.18.2.2', authority });
      expect(verdict).toMatchObject(want);
      if (verdict.kind === 'refuse') expect(answerTo(verdict)).toBe(verdict.status);
    });
  }
});

describe('decideTunnel on a machine', () => {
  const facts = { local, localAddress: '198.18.2.2' };
  const shared = new Set([8080]);
  test.each([
    ['198.18.2.2:8080', shared, undefined],
    ['product.shop.svc.cluster.local:80', shared, undefined],
    ['198.18.2.2:22', shared, 'shares only 8080 with the mesh, not 22'],
    ['198.18.2.2:22', new Set<number>(), 'shares no port with the mesh, not 22'],
  ])('%s where %p are shared', (authority, sharedPorts, complaint) => {
    const verdict = decideTunnel(snapshot, { ...facts, authority, sharedPorts });
    expect(verdict.kind).toBe(complaint === undefined ? 'connect' : 'refuse');
    expect(verdict.reason).toContain(complaint ?? '');
  });
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

describe('decideTunnel of a workload with an application tunnel', () => {
  const rows: {
    title: string;
    tunnel: Workload['applicationTunnel'];
    authority: string;
    want: object;
  }[] = [
    {
      title: 'PROXY on a port of its own: any address is for the app to judge',
      tunnel: { protocol: 'proxy', port: 15088 },
      authority: '198.19.0.99:80',
      want: {
        kind: 'connect',
        upstream: { address: '198.18.2.2', port: 15088 },
        announce: { address: '198.19.0.99', port: 80 },
      },
    },
    {
      title: "PROXY without a port: the tunnel's own",
      tunnel: { protocol: 'proxy', port: 0 },
      authority: '198.18.2.2:9000',
      want: {
        kind: 'connect',
        upstream: { address: '198.18.2.2', port: 9000 },
        announce: { address: '198.18.2.2', port: 9000 },
      },
    },
    {
      title: 'PROXY for a name: an address of the service of this network, IPv4 first',
      tunnel: { protocol: 'proxy', port: 15088 },
      authority: 'dual.shop.svc.cluster.local:80',
      want: { kind: 'connect', announce: { address: '198.19.0.8', port: 80 } },
    },
    {
      title: 'PROXY for a name without address',
      tunnel: { protocol: 'proxy', port: 15088 },
      authority: 'product.shop.svc.cluster.local:80',
      want: { kind: 'refuse', status: 503, code: 'NODE_NO_UPSTREAM' },
    },
    {
      title: 'no protocol: only the port is another',
      tunnel: { protocol: 'none', port: 8081 },
      authority: '198.18.2.2:9000',
      want: { kind: 'connect', upstream: { address: '198.18.2.2', port: 8081 } },
    },
    {
      title: "the proxy's own port, before the tunnel's port replaces it",
      tunnel: { protocol: 'proxy', port: 15088 },
      authority: '198.18.2.2:15008',
      want: { kind: 'refuse', status: 503, code: 'NODE_LOOP' },
    },
  ];
  for (const { title, tunnel, authority, want } of rows) {
    test(title, () => {
      const verdict = decideTunnel(snapshot, {
        local: { ...local, applicationTunnel: tunnel },
        localAddress: '198.18.2.2',
        authority,
      });
      expect(verdict).toMatchObject(want);
      if (tunnel?.protocol === 'none') expect(verdict).not.toHaveProperty('announce');
      if (verdict.kind === 'refuse') expect(answerTo(verdict)).toBe(verdict.status);
    });
  }
});
