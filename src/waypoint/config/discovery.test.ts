/** What a proxy makes of a destination that the control plane sent for all of them. */
import { describe, expect, test } from 'bun:test';
import { endpoint, POLICY, upstream } from '#test/support/waypoint-rig.ts';
import { throughWaypoint, variantFor } from './discovery.ts';

const TLS = {
  mode: 'simple' as const,
  subjectAltNames: [],
  insecureSkipVerify: false,
};
const WAYPOINT_ENDPOINT = endpoint('wp-1', '', { via: '198.19.0.7', address: '198.18.1.3' });

describe('throughWaypoint', () => {
  test('leaves a destination without waypoint as it is', () => {
    const plain = upstream();
    expect(throughWaypoint(plain)).toBe(plain);
  });

  test('leads to the waypoint, whatever subset is asked for, and leaves the rest to it', () => {
    const shaped = throughWaypoint(
      upstream({
        policy: { ...POLICY, tls: TLS, proxyProtocol: 'v1' },
        waypoint: { key: 'shop/wp', endpoints: [WAYPOINT_ENDPOINT] },
        denied: { policy: 'p', reason: 'judged there' },
      }),
    );
    expect(shaped.endpoints).toEqual([WAYPOINT_ENDPOINT]);
    expect(shaped.denied).toBeUndefined();
    expect(shaped.subsets.map(({ name, labels }) => [name, labels])).toEqual([
      ['stable', {}],
      ['canary', {}],
    ]);
    for (const policy of [shaped.policy, ...shaped.subsets.map((each) => each.policy)]) {
      expect([policy.tls, policy.proxyProtocol, policy.outlier]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    }
  });
});

describe('variantFor', () => {
  const own = { policy: { ...POLICY, tls: TLS }, subsets: [], proxies: ['shop/edge'] };

  test('takes what is in force for this proxy, and nothing of another one', () => {
    const varied = upstream({ variants: [own] });
    expect(variantFor(varied, ['shop/edge', 'shop/edge-1']).policy.tls).toEqual(TLS);
    expect(variantFor(varied, ['shop/edge']).provenance).toBeUndefined();
    expect(variantFor(varied, ['other/edge'])).toBe(varied);
  });
});
