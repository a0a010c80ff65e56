import { expect, test } from 'bun:test';
import { parseManifests } from '#kube/manifests.ts';
import { why } from './why.ts';
import { worldOf } from './world.ts';

const MESH = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint } }
---
apiVersion: v1
kind: Service
metadata: { name: p, labels: { istio.io/use-waypoint: waypoint } }
spec: { selector: { app: p }, ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint }
spec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }
---
apiVersion: tulle.dev/v1
kind: LocalRateLimit
metadata: { name: l }
spec:
  targetRefs: [{ kind: Service, name: p }]
  limits: [{ requests: 5, unit: Minute, burst: 9, key: Header, header: X-User }]
---
apiVersion: tulle.dev/v1
kind: LoadShedding
metadata: { name: s }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: waypoint }]
  maxRequests: 7
`;

test('why tells which limits a request has to pass', () => {
  const objects = parseManifests(MESH, 'test').map(({ object }) => object);
  const { steps } = why(worldOf(objects, 'shop'), {
    source: { namespace: 'shop', serviceAccount: 'web' },
    destination: { host: 'p', port: 80 },
  });
  const text = steps.join('\n');
  expect(text).toContain('LoadShedding shop/s sheds load: 7 requests in flight at most, else 503');
  expect(text).toContain(
    'LocalRateLimit shop/l lets 5 requests in 60 s pass for each value of x-user, 9 at once, else 429',
  );
});
