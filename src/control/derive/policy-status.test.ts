import { describe, expect, test } from 'bun:test';
import type { AuthorizationPolicySpec } from './authorization.ts';
import { deriveAuthorization } from './authorization.ts';
import type { PolicyCondition, TargetState } from './policy-status.ts';
import {
  authorizationConditions,
  peerAuthenticationConditions,
  requestAuthenticationConditions,
  withMissingKeys,
} from './policy-status.ts';
import { bindRequestAuthentication } from './request-authentication.ts';

const brief = (conditions: readonly PolicyCondition[]) =>
  conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
const at = (state: TargetState['state']): TargetState => ({ target: 'Service/shop/api', state });

function statusOf(
  spec: AuthorizationPolicySpec,
  targets: readonly TargetState[] = [],
  annotations: Record<string, string> = {},
) {
  const object = { metadata: { name: 'p', namespace: 'shop', annotations }, spec };
  const options = { rootNamespace: 'istio-system', unenforcedPolicy: 'deny' } as const;
  const { value, fallback, findings } = deriveAuthorization(object, options);
  return authorizationConditions(value ?? fallback, findings, targets);
}

describe('authorizationConditions', () => {
  const http = [{ to: [{ operation: { paths: ['/x'], methods: ['GET'] } }] }];
  const l4 = [{ to: [{ operation: { ports: ['80'] } }] }];
  const bound = { targetRefs: [{ kind: 'Service', name: 'api' }], rules: l4 };
  const ignore = { 'tulle.dev/unenforced-policy': 'ignore' };
  type Row = [string, AuthorizationPolicySpec, TargetState[], Record<string, string>, string[]];
  const ROWS: Row[] = [
    [
      'L4 only',
      { rules: l4 },
      [],
      {},
      ['ZtunnelAccepted=True Accepted', 'tulle.dev/Enforced=True NodeProxies'],
    ],
    [
      'ALLOW with HTTP conditions',
      { rules: http },
      [],
      {},
      ['ZtunnelAccepted=True UnsupportedValue', 'tulle.dev/Enforced=True MoreRestrictive'],
    ],
    [
      'DENY with HTTP conditions',
      { action: 'DENY', rules: http },
      [],
      {},
      ['ZtunnelAccepted=True UnsupportedValue', 'tulle.dev/Enforced=True DeniesUnjudged'],
    ],
    [
      'DENY with HTTP conditions, ignored',
      { action: 'DENY', rules: http },
      [],
      ignore,
      ['ZtunnelAccepted=True UnsupportedValue', 'tulle.dev/Enforced=False Ignored'],
    ],
    [
      'CUSTOM',
      { action: 'CUSTOM', rules: l4 },
      [],
      {},
      ['ZtunnelAccepted=False UnsupportedValue', 'tulle.dev/Enforced=True DeniesUnjudged'],
    ],
    [
      'AUDIT',
      { action: 'AUDIT', rules: l4 },
      [],
      {},
      ['ZtunnelAccepted=False UnsupportedValue', 'tulle.dev/Enforced=False NotLogged'],
    ],
    [
      'a dry run',
      { rules: l4 },
      [],
      { 'istio.io/dry-run': 'true' },
      ['ZtunnelAccepted=True Accepted', 'tulle.dev/Enforced=False DryRun'],
    ],
    [
      'unreadable',
      { rules: [{ to: [{ operation: { ports: ['x'] } }] }] },
      [],
      {},
      ['ZtunnelAccepted=False Invalid', 'tulle.dev/Enforced=False Invalid'],
    ],
    [
      'bound to a service behind a waypoint',
      bound,
      [at('served')],
      {},
      ['WaypointAccepted=True Accepted', 'tulle.dev/Enforced=True Waypoints'],
    ],
    [
      'bound to a service behind a waypoint that cannot ask its provider',
      { ...bound, action: 'CUSTOM', rules: [{}] },
      [at('served')],
      {},
      ['WaypointAccepted=False UnsupportedValue', 'tulle.dev/Enforced=True RefusesUnjudged'],
    ],
    [
      'bound to a service without a waypoint',
      bound,
      [at('unserved')],
      {},
      ['WaypointAccepted=False AncestorNotBound', 'tulle.dev/Enforced=True RefusesUnjudged'],
    ],
    [
      'bound to nothing that exists',
      bound,
      [at('missing')],
      {},
      ['WaypointAccepted=False TargetNotFound', 'tulle.dev/Enforced=False TargetNotFound'],
    ],
    [
      'bound, and only auditing',
      { ...bound, action: 'AUDIT' },
      [at('served')],
      {},
      ['WaypointAccepted=True Accepted', 'tulle.dev/Enforced=False DecidesNothing'],
    ],
  ];
  test.each(ROWS)('%s', (_title, spec, targets, annotations, want) => {
    expect(brief(statusOf(spec, targets, annotations))).toEqual(want);
  });

  test('names the attributes that need HTTP, and the command to try', () => {
    const [, { message }] = statusOf({ action: 'DENY', rules: http });
    expect(message).toContain('(methods, paths)');
    expect(message).toContain('tulle waypoint apply -n shop');
  });
});

describe('peerAuthenticationConditions', () => {
  const peer = (namespace: string, spec: object) =>
    brief(
      peerAuthenticationConditions({ metadata: { name: 'p', namespace }, spec }, 'istio-system'),
    )[0];
  const selector = { matchLabels: { app: 'a' } };
  test.each([
    ['shop', { mtls: { mode: 'STRICT' } }, 'ZtunnelAccepted=True Accepted'],
    ['shop', { mtls: { mode: 'DISABLE' } }, 'ZtunnelAccepted=True UnsupportedValue'],
    [
      'shop',
      { selector, portLevelMtls: { 80: { mode: 'DISABLE' } } },
      'ZtunnelAccepted=True UnsupportedValue',
    ],
    [
      'shop',
      { portLevelMtls: { 80: { mode: 'STRICT' } } },
      'ZtunnelAccepted=True UnsupportedValue',
    ],
    [
      'istio-system',
      { selector, mtls: { mode: 'STRICT' } },
      'ZtunnelAccepted=False UnsupportedValue',
    ],
  ])('in %s %p: %s', (namespace, spec, want) => expect(peer(namespace, spec)).toBe(want));
});

test('requestAuthenticationConditions: with a selector nobody enforces it, with targetRefs the waypoint must', () => {
  const object = { metadata: { name: 'jwt', namespace: 'shop' }, spec: { jwtRules: [{}] } };
  const bound = bindRequestAuthentication(object, 'deny', () => undefined);
  expect(brief(requestAuthenticationConditions(bound, []))).toEqual([
    'ZtunnelAccepted=False UnsupportedValue',
    'tulle.dev/Enforced=False NeedsWaypoint',
  ]);
  expect(brief(requestAuthenticationConditions(bound, [at('served')]))[1]).toBe(
    'tulle.dev/Enforced=True Waypoints',
  );
  const conditions = requestAuthenticationConditions(bound, [at('served')]);
  const [, told] = withMissingKeys(conditions, bound?.keysMissing);
  expect(told).toMatchObject({ status: 'True', reason: 'KeysMissing' });
  expect(told.message).toContain('there is neither jwks nor jwksUri');
});
