/** The console's picture of a path is read from the words of `why`: the real functions are asked, and each hop has to be found in what they say. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WhyRequest } from '#cli/why/contract.ts';
import { why } from '#cli/why/why.ts';
import { worldOf } from '#cli/why/world.ts';
import { parseManifests } from '#kube/manifests.ts';
import { whyPath } from '../../web/src/marks/why-path.ts';

const EXAMPLE = join(import.meta.dir, '../../examples/product-service');
const example = (name: string) => readFileSync(join(EXAMPLE, name), 'utf8');
const ROUTED = `${example('app.yaml')}\n---\n${example('product-service.yaml')}`;
const DENIED = `${ROUTED}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: only-admins, namespace: shop }
spec:
  targetRefs: [{ kind: Service, group: "", name: product-service }]
  action: ALLOW
  rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/admin"] } }] }]
`;

function pathOf(yaml: string, more: Partial<WhyRequest> = {}) {
  const request: WhyRequest = {
    source: { namespace: 'shop', serviceAccount: 'web' },
    destination: { host: 'product-service', port: 80 },
    ...more,
  };
  const world = worldOf(
    parseManifests(yaml, 'test').map(({ object }) => object),
    'shop',
  );
  const answer = why(world, request);
  return { answer, path: whyPath(request, answer) };
}

describe('whyPath of real answers', () => {
  test('whyPath finds node proxy, waypoint with its route, and the ends of the split', () => {
    const { path } = pathOf(ROUTED);
    expect(path.stations.map((station) => station.kind)).toEqual([
      'client',
      'proxy',
      'waypoint',
      'destination',
    ]);
    expect(path.stations[2].route?.name).toBe('product-service');
    expect(path.ends.map((end) => end.weight)).toEqual([90, 10]);
    expect(path.isArriving).toBe(true);
  });

  test('whyPath stops a denied request at the waypoint that denies it, with the policy', () => {
    const { path, answer } = pathOf(DENIED);
    expect(answer.verdict).toBe('deny');
    const last = path.stations.at(-1)!;
    expect(last).toMatchObject({ kind: 'waypoint', isStop: true });
    expect([...last.deciding, ...last.rejected].map((policy) => policy.name)).toContain(
      'only-admins',
    );
  });

  test('whyPath of a client outside the mesh passes no proxy on its side', () => {
    const source = { namespace: 'legacy', serviceAccount: 'visitor', mtls: false };
    const { path } = pathOf(ROUTED, { source });
    expect(path.stations[0].kind).toBe('client');
    expect(path.stations.some((station) => station.kind === 'proxy')).toBe(false);
  });

  test('whyPath as Istio’s sidecars starts at the sidecar of the client', () => {
    const { path } = pathOf(ROUTED, { mode: 'sidecar' });
    expect(path.stations.map((station) => station.kind)).toEqual(['client', 'sidecar']);
    expect(path.stations[1].route?.name).toBe('product-service');
  });

  test('no step is lost, whatever is asked', () => {
    for (const more of [{}, { mode: 'sidecar' as const }, { path: '/x', method: 'POST' }]) {
      const { path, answer } = pathOf(ROUTED, more);
      const kept = path.stations.flatMap(({ steps, assumed }) => [
        ...steps,
        ...assumed.map((text) => `assumed: ${text}`),
      ]);
      expect(kept.toSorted()).toEqual([...answer.steps].toSorted());
    }
  });
});
