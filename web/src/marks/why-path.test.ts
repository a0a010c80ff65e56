import { describe, expect, test } from 'bun:test';
import type { WhyAnswer, WhyRequest } from '#cli/why/contract.ts';
import { whyPath } from './why-path.ts';

const request: WhyRequest = {
  source: { namespace: 'shop', serviceAccount: 'web' },
  destination: { host: 'products', port: 80 },
};

const policy = (name: string, more: Partial<WhyAnswer['policies'][number]> = {}) => ({
  kind: 'AuthorizationPolicy',
  namespace: 'shop',
  name,
  action: 'ALLOW',
  matched: true,
  reason: 'rule 0 matches',
  ...more,
});

const forwarded: WhyAnswer = {
  verdict: 'forward',
  reason: 'products.shop.svc.cluster.local port 80',
  policies: [
    policy('allow-web'),
    policy('allow-admin', { matched: false, reason: 'no rule matches' }),
  ],
  route: {
    kind: 'VirtualService',
    namespace: 'shop',
    name: 'products',
    rule: 1,
    reason: 'it matches every request',
  },
  destinations: [
    { host: 'products', port: 80, subset: 'stable', weight: 90, endpoints: [] },
    { host: 'products', port: 80, subset: 'canary', weight: 10, endpoints: [] },
  ],
  mtls: { client: 'hbone', server: 'STRICT' },
  steps: [
    "the client's node proxy captures the connection to products.shop.svc.cluster.local:80",
    'shop/web (spiffe://cluster.local/ns/shop/sa/web) reaches waypoint shop/waypoint over HBONE, which serves products.shop.svc.cluster.local',
    'assumed: waypoint shop/waypoint runs',
    'waypoint shop/waypoint lets it through: AuthorizationPolicy shop/allow-web rule 0 allows it',
    'waypoint shop/waypoint: route products.1 of VirtualService shop/products takes the request, because it matches every request',
    'waypoint shop/waypoint picks one of shop/products-1 at 10.0.0.7:8080 for subset stable, 90 %',
    'the node proxy of shop/products-1 lets it in: no policy applies',
    'waypoint shop/waypoint picks one of shop/products-2 at 10.0.0.8:8080 for subset canary, 10 %',
    'the node proxy of shop/products-2 lets it in: no policy applies',
    'forwarded: products.shop.svc.cluster.local port 80',
  ],
};

describe('whyPath', () => {
  test('whyPath has a station for each hop, in the order of the path', () => {
    const { stations } = whyPath(request, forwarded);
    expect(stations.map((station) => station.title)).toEqual([
      'shop/web',
      "Client's node proxy",
      'Waypoint shop/waypoint',
      'Node proxies of 2 pods',
    ]);
    expect(stations.some((station) => station.isStop)).toBe(false);
  });

  test('whyPath puts the rule that decided, the rejected ones and the route at the hop that judged', () => {
    const waypoint = whyPath(request, forwarded).stations.find(
      (station) => station.kind === 'waypoint',
    )!;
    expect(waypoint.deciding.map((each) => each.name)).toEqual(['allow-web']);
    expect(waypoint.rejected.map((each) => each.name)).toEqual(['allow-admin']);
    expect(waypoint.route?.name).toBe('products');
    expect(waypoint.assumed).toEqual(['waypoint shop/waypoint runs']);
  });

  test('whyPath loses no step', () => {
    const { stations } = whyPath(request, forwarded);
    const kept = stations.flatMap((station) => [
      ...station.steps,
      ...station.assumed.map((each) => `assumed: ${each}`),
    ]);
    expect(kept.toSorted()).toEqual([...forwarded.steps].toSorted());
  });

  test('whyPath ends at the hop that refuses', () => {
    const steps = [
      forwarded.steps[0],
      'the node proxy of shop/products-1 refuses it: AuthorizationPolicy shop/deny rule 0 denies it',
      'denied: AuthorizationPolicy shop/deny rule 0 denies it',
    ];
    const denied: WhyAnswer = {
      ...forwarded,
      verdict: 'deny',
      steps,
      policies: [policy('deny', { action: 'DENY' })],
      route: undefined,
      destinations: [],
    };
    const { stations, legs, isArriving } = whyPath(request, denied);
    expect(isArriving).toBe(false);
    expect(stations.map((station) => station.isStop)).toEqual([false, false, true]);
    expect(stations[2].deciding.map((each) => each.name)).toEqual(['deny']);
    expect(legs.map((leg) => leg.label)).toEqual(['inside the pod', 'HBONE, mTLS']);
  });

  test('whyPath of a client outside the mesh shows plaintext', () => {
    const steps = [
      'the client is not in the mesh: its connection passes neither node proxy nor waypoint',
      'the node proxy of legacy/app lets it in: no policy applies',
      'forwarded: x',
    ];
    const { stations, legs } = whyPath(
      { ...request, source: { namespace: 'legacy' } },
      {
        ...forwarded,
        steps,
        policies: [],
        route: undefined,
        mtls: { client: 'plaintext', server: 'PERMISSIVE' },
      },
    );
    expect(stations.map((station) => station.kind)).toEqual(['client', 'destination']);
    expect(legs).toEqual([{ transport: 'plaintext', label: 'plaintext' }]);
  });
});
