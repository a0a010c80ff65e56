import { describe, expect, test } from 'bun:test';
import { parseManifests } from '#kube/manifests.ts';
import { checkRequest } from './check-request.ts';
import type { WhyAnswer, WhyRequest } from './contract.ts';
import { readRequests } from './serve.ts';
import { why } from './why.ts';
import { worldOf } from './world.ts';

function answer(yaml: string, request: Partial<WhyRequest> & { port?: number } = {}): WhyAnswer {
  const { port = 80, ...rest } = request;
  const objects = parseManifests(yaml, 'test').map(({ object }) => object);
  return why(worldOf(objects, 'shop'), {
    source: { namespace: 'shop', serviceAccount: 'web' },
    destination: { host: 'p', port },
    ...rest,
  });
}

const STRICT = `
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default }
spec: { mtls: { mode: STRICT } }
`;

const AMBIENT = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Service
metadata: { name: p }
spec: { selector: { app: p }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: p-1, labels: { app: p, version: v1 } }
spec: { containers: [] }
status: { podIP: 10.0.0.1 }
`;
const WAYPOINT = `${AMBIENT}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint }
spec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }
`.replace('dataplane-mode: ambient', 'dataplane-mode: ambient, istio.io/use-waypoint: waypoint');
const rules = (http: string) => `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: p }
spec: { hosts: [p], http: ${http} }
`;
const policy = (spec: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: only }
spec: ${spec}
`;

describe('why in an ambient mesh', () => {
  test('without a waypoint bytes go to an endpoint, and a VirtualService says nothing', () => {
    const given = answer(AMBIENT + rules('[{ directResponse: { status: 418 } }]'));
    expect(given).toMatchObject({
      verdict: 'forward',
      destinations: [
        {
          host: 'p.shop.svc.cluster.local',
          port: 80,
          weight: 100,
          endpoints: [{ address: '10.0.0.1', port: 8080, workload: 'shop/p-1' }],
        },
      ],
      mtls: { client: 'hbone', server: 'PERMISSIVE' },
    });
    expect(given.steps.join('\n')).toContain('no waypoint serves');
    expect(given.steps.join('\n')).not.toContain('assumed');
  });

  test('a waypoint acts on the rules, and every fact of the rule is in the answer', () => {
    const http = `[{
      match: [{ uri: { prefix: /api } }], rewrite: { uri: /v2, authority: other }, timeout: 2s,
      retries: { attempts: 3, perTryTimeout: 1s, retryOn: 5xx },
      mirror: { host: p }, mirrorPercentage: { value: 10 },
      fault: { delay: { fixedDelay: 1s, percentage: { value: 5 } }, abort: { httpStatus: 500, percentage: { value: 1 } } },
      headers: { request: { set: { x-a: "1" }, remove: [x-b] }, response: { add: { x-c: "2" } } },
      route: [{ destination: { host: p } }] }]`;
    const given = answer(WAYPOINT + rules(http), { path: '/api/x?q=1' });
    expect(given).toMatchObject({
      verdict: 'forward',
      route: { kind: 'VirtualService', namespace: 'shop', name: 'p', rule: 0 },
      request: { host: 'other', path: '/v2/x?q=1', set: { 'x-a': '1' }, remove: ['x-b'] },
      response: { add: { 'x-c': '2' } },
      mirrors: [{ host: 'p.shop.svc.cluster.local', port: 80, percent: 10 }],
      fault: { delayMs: 1000, delayPercent: 5, abortStatus: 500, abortPercent: 1 },
      timeoutMs: 2000,
      retries: { attempts: 3, perTryTimeoutMs: 1000, on: ['5xx'] },
    });
    expect(answer(WAYPOINT + rules(http), { path: '/' })).toMatchObject({
      verdict: 'no-route',
      status: 404,
    });
  });

  test('shares sum to 100, and a subset without endpoints is answered 503', () => {
    const subsets = `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: p }
spec: { host: p, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
`;
    const split = (first: number, second: number) =>
      rules(
        `[{ route: [{ destination: { host: p, subset: v1 }, weight: ${first} }, { destination: { host: p, subset: v2 }, weight: ${second} }] }]`,
      );
    const { verdict, destinations } = answer(WAYPOINT + subsets + split(3, 1));
    expect(verdict).toBe('forward');
    expect(destinations.map(({ subset, weight }) => [subset, weight])).toEqual([
      ['v1', 75],
      ['v2', 25],
    ]);
    expect(answer(WAYPOINT + subsets + split(0, 1))).toMatchObject({
      verdict: 'respond',
      status: 503,
      reason: expect.stringContaining('no healthy upstream'),
    });
  });

  test('a policy at the destination decides, and every policy is told with what it did', () => {
    const allow = policy(
      '{ selector: { matchLabels: { app: p } }, rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }] }] }',
    );
    expect(answer(AMBIENT + allow)).toMatchObject({
      verdict: 'forward',
      policies: [
        { kind: 'AuthorizationPolicy', name: 'only', action: 'ALLOW', matched: true, rule: 0 },
      ],
    });
    const other = answer(AMBIENT + allow, { source: { namespace: 'shop', serviceAccount: 'x' } });
    expect(other).toMatchObject({ verdict: 'deny', policies: [{ name: 'only', matched: false }] });
    expect(answer(AMBIENT + allow, { source: { namespace: 'shop', mtls: false } }).verdict).toBe(
      'deny',
    );
  });

  test('of several endpoints the one that is asked about is judged', () => {
    const second = `
---
apiVersion: v1
kind: Pod
metadata: { name: p-2, labels: { app: p, version: v2 } }
spec: { containers: [] }
status: { podIP: 10.0.0.2 }
`;
    const nobody = policy('{ selector: { matchLabels: { version: v2 } } }');
    const about = (workload?: string) =>
      answer(AMBIENT + second + nobody, {
        destination: { host: 'p', port: 80, ...(workload && { workload }) },
      });
    expect(about().verdict).toBe('forward');
    expect(about('shop/p-1')).toMatchObject({
      verdict: 'forward',
      destinations: [{ endpoints: [{ workload: 'shop/p-1' }] }],
    });
    expect(about('shop/p-2').verdict).toBe('deny');
  });

  test('STRICT refuses who comes from outside the mesh', () => {
    expect(answer(AMBIENT + STRICT, { source: { namespace: 'shop', mtls: false } })).toMatchObject({
      verdict: 'deny',
      policies: [{ kind: 'PeerAuthentication', name: 'default', matched: true }],
      mtls: { client: 'plaintext', server: 'STRICT' },
    });
    expect(answer(AMBIENT + STRICT)).toMatchObject({
      verdict: 'forward',
      mtls: { client: 'hbone' },
    });
  });

  test('a client that is named, and whose pods no proxy speaks for, comes in plaintext', () => {
    const visitor = `
---
apiVersion: v1
kind: Pod
metadata: { name: visitor-1, namespace: legacy, ownerReferences: [{ kind: ReplicaSet, name: visitor-5c8f6b7d94, controller: true }], labels: { pod-template-hash: 5c8f6b7d94 } }
spec: { serviceAccountName: guest, containers: [] }
status: { podIP: 10.0.0.9 }
`;
    const asked = (name: string) =>
      answer(AMBIENT + STRICT + visitor, {
        source: { namespace: 'legacy', serviceAccount: name, workload: `legacy/${name}` },
        destination: { host: 'p.shop', port: 80 },
      });
    for (const name of ['visitor-1', 'guest', 'visitor'])
      expect(asked(name)).toMatchObject({
        verdict: 'deny',
        mtls: { client: 'plaintext', server: 'STRICT' },
        steps: expect.arrayContaining([expect.stringContaining('the client is not in the mesh')]),
      });
    expect(asked('somebody').verdict).toBe('forward');
    // The account alone may be anybody's: files do not say who else runs as it.
    const account = { namespace: 'legacy', serviceAccount: 'guest' };
    expect(
      answer(AMBIENT + STRICT + visitor, {
        source: account,
        destination: { host: 'p.shop', port: 80 },
      }).verdict,
    ).toBe('forward');
  });

  test('what only a waypoint can judge is denied where there is none, as the node proxies do', () => {
    const get = policy(
      '{ action: DENY, selector: { matchLabels: { app: p } }, rules: [{ to: [{ operation: { methods: [GET] } }] }] }',
    );
    expect(answer(AMBIENT + get)).toMatchObject({
      verdict: 'deny',
      policies: [
        { name: 'only', matched: true, reason: expect.stringContaining('only a waypoint') },
      ],
    });
  });

  test('a waypoint that does not exist is waited for, never passed by', () => {
    const missing = AMBIENT.replace('ambient }', 'ambient, istio.io/use-waypoint: gone }');
    expect(answer(missing)).toMatchObject({
      verdict: 'reset',
      reason: expect.stringContaining('gone'),
    });
  });

  test('a host that nobody knows is outside of the mesh', () => {
    const given = answer(AMBIENT, { destination: { host: 'example.com', port: 443 } });
    expect(given).toMatchObject({ verdict: 'forward', mtls: { client: 'plaintext' } });
  });
});

describe('what files lack', () => {
  test('is assumed, and the steps say so', () => {
    const { verdict, steps } = answer(rules('[{ route: [{ destination: { host: other } }] }]'));
    expect(verdict).toBe('forward');
    const assumed = steps.filter((step) => step.startsWith('assumed: '));
    expect(assumed.join('\n')).toMatch(/Service shop\/p exists[\s\S]*a waypoint serves p/);
  });

  test('is missing where files describe the services of its namespace', () => {
    const given = answer(WAYPOINT + rules('[{ route: [{ destination: { host: typo } }] }]'));
    expect(given).toMatchObject({
      verdict: 'respond',
      status: 503,
      reason: expect.stringContaining('host typo.shop.svc.cluster.local does not exist'),
    });
  });

  test('invented endpoints are never shown', () => {
    const { destinations } = answer('');
    expect(destinations).toEqual([
      { host: 'p.shop.svc.cluster.local', port: 80, weight: 100, endpoints: [] },
    ]);
  });

  test('objects of one request are there for the next, and answers do not depend on the order', () => {
    const world = worldOf([], 'shop');
    const to = (host: string): WhyRequest => ({
      source: { namespace: 'shop', serviceAccount: 'web' },
      destination: { host, port: 80 },
    });
    const first = why(world, to('a'));
    why(world, to('b'));
    expect(why(world, to('a'))).toEqual(first);
  });
});

describe('why at a gateway', () => {
  const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  selector: { role: front }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [shop.example] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: edge, namespace: shop }
spec: { hosts: [shop.example], gateways: [edge], http: [{ route: [{ destination: { host: p } }] }] }
`;
  const ask = (name: string, host: string) =>
    answer(gateway, { gateway: name, destination: { host, port: 80 } });
  test.each(['shop/edge', 'istio-system/istio-ingressgateway', 'edge/front'])(
    'takes %s for the proxies of the only Gateway there is',
    (name) => {
      expect(ask(name, 'shop.example')).toMatchObject({
        verdict: 'forward',
        destinations: [{ host: 'p.shop.svc.cluster.local', port: 80 }],
      });
    },
  );

  test('says that a waypoint decides after the gateway, and how to ask it', () => {
    const at = (yaml: string) =>
      answer(`${yaml}---${gateway}`, {
        gateway: 'shop/edge',
        destination: { host: 'shop.example', port: 80 },
      }).steps.filter((step) => step.includes('is reached through waypoint'));
    expect(at(AMBIENT)).toEqual([]);
    expect(at(WAYPOINT)).toEqual([
      expect.stringMatching(
        /^p\.shop\.svc\.cluster\.local is reached through waypoint shop\/waypoint, .*: tulle why --from \S+ --to p\.shop\.svc\.cluster\.local:80$/,
      ),
    ]);
  });

  test('judges by policies, and refuses what it cannot judge', () => {
    const only = `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: only, namespace: istio-system }
spec: { selector: { matchLabels: { role: front } }, rules: [{ to: [{ operation: { paths: [/] } }] }] }
`;
    const custom = only.replace('spec: {', 'spec: { action: CUSTOM, provider: { name: opa },');
    const at = (mode: WhyRequest['mode'], policy: string, path = '/') =>
      answer(gateway + policy, {
        mode,
        gateway: 'shop/edge',
        destination: { host: 'shop.example', port: 80 },
        path,
      });
    for (const mode of ['ambient', 'sidecar'] as const) {
      expect(at(mode, only)).toMatchObject({
        verdict: 'forward',
        policies: [{ name: 'only', action: 'ALLOW', matched: true, rule: 0 }],
      });
      expect(at(mode, only, '/other')).toMatchObject({ verdict: 'deny', status: 403 });
    }
    expect(at('ambient', custom)).toMatchObject({
      verdict: 'deny',
      status: 403,
      reason: expect.stringContaining('nobody here can ask it'),
    });
  });

  test('connects to nobody by a BackendTLSPolicy without usable certificate authorities', () => {
    const given = answer(
      `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec: { gatewayClassName: istio, listeners: [{ name: http, port: 80, protocol: HTTP }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: edge, namespace: shop }
spec: { parentRefs: [{ name: edge }], rules: [{ backendRefs: [{ name: p, port: 80 }] }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: tls, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: p }]
  validation: { hostname: p.example, caCertificateRefs: [{ group: "", kind: ConfigMap, name: roots }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: roots, namespace: shop }
data: { ca.crt: nothing }
`,
      { gateway: 'shop/edge', destination: { host: 'shop.example', port: 80 } },
    );
    expect(given).toMatchObject({ verdict: 'respond', status: 503 });
    expect(given.reason).toContain('no usable certificate authorities');
  });

  test('finds no host that it does not serve', () => {
    expect(ask('shop/edge', 'other.example')).toMatchObject({ verdict: 'no-route', status: 404 });
  });
});

describe('why in sidecar mode', () => {
  const labelled = rules(
    '[{ match: [{ sourceLabels: { app: web } }], directResponse: { status: 299 } }, { route: [{ destination: { host: p } }] }]',
  );
  test('decides at the client, with its labels', () => {
    const source = { namespace: 'shop', serviceAccount: 'web', labels: { app: 'web' } };
    expect(answer(AMBIENT + labelled, { mode: 'sidecar', source }).status).toBe(299);
    expect(answer(AMBIENT + labelled, { mode: 'sidecar' })).toMatchObject({
      verdict: 'forward',
      mtls: { client: 'istio-mtls' },
    });
  });

  test('takes DestinationRule.tls for the connection', () => {
    const tls = (mode: string) => `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: p }
spec: { host: p, trafficPolicy: { tls: { mode: ${mode} } } }
`;
    const client = (mode: string) => answer(AMBIENT + tls(mode), { mode: 'sidecar' }).mtls.client;
    expect([client('DISABLE'), client('SIMPLE'), client('ISTIO_MUTUAL')]).toEqual([
      'plaintext',
      'simple',
      'istio-mtls',
    ]);
  });
});

describe('readRequests', () => {
  test('collects every problem, with its place in a list', () => {
    expect(
      checkRequest({ destination: { host: '', port: 70_000 }, mode: 'x', bad: 1 }).problems,
    ).toEqual([
      expect.stringContaining('bad is unknown'),
      expect.stringContaining('mode is none of'),
      'destination.host is required',
      'destination.port is no port number',
    ]);
    expect(readRequests([{ destination: { host: 'p', port: 80 } }, 1])).toMatchObject({
      problem: 'request 1: a request is a JSON object',
    });
  });
});
