import { describe, expect, test } from 'bun:test';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import type { AuthorizationPolicySpec } from './authorization.ts';
import { deriveAuthorization, exceptFrom } from './authorization.ts';
import type { AuthorizationRuleSpec } from './convert-rule.ts';
import { stringMatch } from './convert-rule.ts';
import type { PeerAuthenticationSpec } from './peer-authentication.ts';
import { convertPeerAuthentication, peerAuthenticationKeys } from './peer-authentication.ts';

const ROOT = { rootNamespace: 'istio-system', unenforcedPolicy: 'deny' } as const;

function policy(spec: AuthorizationPolicySpec, metadata: object = {}) {
  const object = { metadata: { name: 'p', namespace: 'shop', ...metadata }, spec };
  return deriveAuthorization(object, ROOT);
}

function clausesOf(rule: AuthorizationRuleSpec, action = 'ALLOW') {
  const { authorization, unjudged } = policy({ action, rules: [rule] }).value ?? {};
  return (unjudged ?? authorization)?.rules.map(({ clauses }) => clauses);
}

describe('deriveAuthorization', () => {
  test.each([
    ['*', { kind: 'presence' }],
    ['*/sa/web', { kind: 'suffix', value: '/sa/web' }],
    ['cluster.local/ns/shop/*', { kind: 'prefix', value: 'cluster.local/ns/shop/' }],
    ['shop', { kind: 'exact', value: 'shop' }],
  ])('stringMatch of %p', (text, want) => {
    expect(stringMatch(text)).toEqual(want as ReturnType<typeof stringMatch>);
  });

  const web = { kind: 'exact', value: 'web' } as const;
  const onlyPrincipal = { ...NO_MATCH, principals: [web] };
  const port80 = { ...NO_MATCH, destinationPorts: [80] };
  const source = { principals: ['web'] };
  const ROWS: [string, string, AuthorizationRuleSpec, unknown][] = [
    ['an empty rule matches everything', 'ALLOW', {}, [[]]],
    [
      'sources and operations are clauses',
      'ALLOW',
      { from: [{ source }], to: [{ operation: { ports: ['80'] } }] },
      [[[port80], [onlyPrincipal]]],
    ],
    [
      'several sources are one clause',
      'ALLOW',
      { from: [{ source }, { source }] },
      [[[onlyPrincipal, onlyPrincipal]]],
    ],
    [
      'each condition is its own clause',
      'ALLOW',
      {
        when: [
          { key: 'destination.port', values: ['80'] },
          { key: 'source.principal', values: ['web'] },
        ],
      },
      [[[port80], [onlyPrincipal]]],
    ],
    [
      'service accounts default to the policy namespace',
      'ALLOW',
      { from: [{ source: { serviceAccounts: ['web', 'other/db'] } }] },
      [
        [
          [
            {
              ...NO_MATCH,
              serviceAccounts: [
                { namespace: 'shop', serviceAccount: 'web' },
                { namespace: 'other', serviceAccount: 'db' },
              ],
            },
          ],
        ],
      ],
    ],
    [
      'addresses and ranges',
      'ALLOW',
      { from: [{ source: { ipBlocks: ['198.18.0.0/16'], notIpBlocks: ['fd00::1'] } }] },
      [
        [
          [
            {
              ...NO_MATCH,
              sourceIps: [{ address: '198.18.0.0', length: 16 }],
              notSourceIps: [{ address: 'fd00::1', length: 128 }],
            },
          ],
        ],
      ],
    ],
    [
      'ALLOW with paths allows nothing',
      'ALLOW',
      { to: [{ operation: { paths: ['/x'], ports: ['80'] } }] },
      [],
    ],
    [
      'DENY with paths keeps the ports',
      'DENY',
      { to: [{ operation: { paths: ['/x'], ports: ['80'] } }] },
      [[[port80]]],
    ],
    [
      'DENY with paths alone denies everything',
      'DENY',
      { to: [{ operation: { paths: ['/x'] } }] },
      [[]],
    ],
    [
      'DENY of paths or a port denies everything: the path is unknown',
      'DENY',
      { to: [{ operation: { paths: ['/x'] } }, { operation: { ports: ['80'] } }] },
      [[]],
    ],
    [
      'DENY with an HTTP condition keeps the rest',
      'DENY',
      { from: [{ source }], when: [{ key: 'request.headers[a]', values: ['b'] }] },
      [[[onlyPrincipal]]],
    ],
    [
      'a trust domain is the beginning of a principal',
      'DENY',
      { from: [{ source: { notTrustDomains: ['td', '*'] } }] },
      [
        [
          [
            {
              ...NO_MATCH,
              notPrincipals: [{ kind: 'prefix', value: 'td/' }, { kind: 'presence' }],
            },
          ],
        ],
      ],
    ],
    [
      'a pattern of trust domains cannot be seen: ALLOW allows nothing',
      'ALLOW',
      { when: [{ key: 'source.trustDomain', values: ['a*b'] }] },
      [],
    ],
    [
      'service accounts as a condition',
      'ALLOW',
      { when: [{ key: 'source.serviceAccount', values: ['web'] }] },
      [[[{ ...NO_MATCH, serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }]]],
    ],
  ];
  test.each(ROWS)('%s', (_title, action, rule, want) => {
    expect(clausesOf(rule, action)).toEqual(want as ReturnType<typeof clausesOf>);
  });

  test.each([
    [{}, 'shop', 'namespace'],
    [{}, 'istio-system', 'global'],
    [{ selector: { matchLabels: { app: 'a' } } }, 'istio-system', 'workload-selector'],
    [{ selector: { matchLabels: {} } }, 'shop', 'namespace'],
  ])('%p in %p has the scope %p', (spec, namespace, want) => {
    expect(policy(spec, { namespace }).value?.authorization?.scope).toBe(want as 'global');
  });

  test('without rules ALLOW denies everything: no rule ever matches', () => {
    expect(policy({}).value?.authorization).toMatchObject({ action: 'allow', rules: [] });
  });

  const paths: AuthorizationRuleSpec = { to: [{ operation: { paths: ['/x'] } }] };
  const ports: AuthorizationRuleSpec = { to: [{ operation: { ports: ['80'] } }] };
  const split = (spec: AuthorizationPolicySpec, metadata: object = {}) => {
    const { authorization, unjudged } = policy(spec, metadata).value ?? {};
    return [authorization, unjudged].map(
      (part) => part && [part.name, part.action, part.rules.length, part.dryRun],
    );
  };
  const IGNORE = { annotations: { 'tulle.dev/unenforced-policy': 'ignore' } };
  const SPLIT: [string, AuthorizationPolicySpec, object, unknown[]][] = [
    [
      'DENY: rules that need HTTP stand apart from the others',
      { action: 'DENY', rules: [paths, ports] },
      {},
      [
        ['p', 'deny', 1, false],
        ['tulle_needs_waypoint_p', 'deny', 1, false],
      ],
    ],
    [
      'CUSTOM: only its provider may allow, and only a waypoint asks it',
      { action: 'CUSTOM', rules: [ports] },
      {},
      [undefined, ['tulle_needs_waypoint_p', 'deny', 1, false]],
    ],
    ['AUDIT decides nothing', { action: 'AUDIT', rules: [ports] }, {}, [undefined, undefined]],
    [
      'ALLOW keeps the rules that need no HTTP',
      { rules: [paths, ports] },
      {},
      [['p', 'allow', 1, false], undefined],
    ],
    [
      'targetRefs',
      { targetRefs: [{ kind: 'Gateway', name: 'w' }], rules: [ports] },
      {},
      [undefined, undefined],
    ],
    [
      'ignored as Istio ignores it: DENY by paths never matches',
      { action: 'DENY', rules: [paths, ports] },
      IGNORE,
      [['p', 'deny', 2, false], undefined],
    ],
    [
      'ignored as Istio ignores it: CUSTOM',
      { action: 'CUSTOM', rules: [ports] },
      IGNORE,
      [undefined, undefined],
    ],
    [
      'a dry run is sent as one',
      { action: 'DENY', rules: [ports] },
      { annotations: { 'istio.io/dry-run': 'true' } },
      [['p', 'deny', 1, true], undefined],
    ],
  ];
  test.each(SPLIT)('%s', (_title, spec, metadata, want) => {
    expect(split(spec, metadata) as unknown[]).toEqual(want);
  });

  test('an ignored DENY by paths becomes the empty match that never holds', () => {
    const { value } = policy({ action: 'DENY', rules: [paths] }, IGNORE);
    expect(value?.authorization?.rules).toEqual([{ clauses: [[NO_MATCH]] }]);
  });

  test('exceptFrom lets through what a waypoint has judged', () => {
    const { value } = policy({ action: 'DENY', rules: [paths] });
    const unjudged = value?.unjudged;
    if (unjudged === undefined) throw new Error('nothing is left to judge');
    const notPrincipals = [{ kind: 'exact', value: 'td/ns/shop/sa/waypoint' }];
    expect(exceptFrom(unjudged, ['td/ns/shop/sa/waypoint']).rules).toEqual([
      { clauses: [[{ ...NO_MATCH, notPrincipals: notPrincipals as never }]] },
    ]);
    expect(exceptFrom(unjudged, [])).toBe(unjudged);
  });

  const UNREADABLE: [string, AuthorizationRuleSpec][] = [
    ['a bad range', { from: [{ source: { ipBlocks: ['10.0.0.0/33', '10.0.0.1'] } }] }],
    ['a bad address', { from: [{ source: { notIpBlocks: ['host'] } }] }],
    ['a bad port', { to: [{ operation: { ports: ['http'] } }] }],
  ];
  test.each(UNREADABLE)('%s is refused; with nothing older in force it denies more', (_t, rule) => {
    for (const action of ['ALLOW', 'DENY']) {
      const { value, fallback, findings } = policy({ action, rules: [rule] });
      expect(value).toBeUndefined();
      expect(findings[0].level).toBe('error');
      const rules = action === 'DENY' ? [{ clauses: [] }] : [];
      expect(fallback?.authorization).toMatchObject({ action: action.toLowerCase(), rules });
    }
  });
});

type Peer = { name: string; namespace: string; spec: PeerAuthenticationSpec };
function peer({ name, namespace, spec }: Peer) {
  return {
    metadata: { name, namespace, creationTimestamp: `2026-01-01T00:00:0${name.length}Z` },
    spec,
  };
}
const STATIC = 'istio-system/istio_converted_static_strict';
const mtls = (mode: string) => ({ mtls: { mode } });
const own = (mode: string | undefined, ports?: Record<string, string>): Peer => ({
  name: 'own',
  namespace: 'shop',
  spec: {
    selector: { matchLabels: { app: 'a' } },
    ...(mode === undefined ? {} : mtls(mode)),
    portLevelMtls:
      ports &&
      Object.fromEntries(Object.entries(ports).map(([port, each]) => [port, { mode: each }])),
  },
});
const mesh = (mode: string): Peer => ({ name: 'm', namespace: 'istio-system', spec: mtls(mode) });
const whole = (mode: string): Peer => ({ name: 'ns', namespace: 'shop', spec: mtls(mode) });
const CONVERTED = 'shop/converted_peer_authentication_own';

describe('peerAuthenticationKeys', () => {
  const ROWS: [string, Peer[], string[]][] = [
    ['nothing', [], []],
    ['mesh strict', [mesh('STRICT')], [STATIC]],
    ['namespace permissive beats mesh strict', [mesh('STRICT'), whole('PERMISSIVE')], []],
    ['DISABLE is permissive', [mesh('STRICT'), whole('DISABLE')], []],
    ['UNSET inherits', [mesh('STRICT'), whole('UNSET')], [STATIC]],
    ['own beats namespace', [whole('STRICT'), own('PERMISSIVE')], []],
    ['own strict', [own('STRICT')], [STATIC]],
    ['strict but for a port', [own('STRICT', { 80: 'PERMISSIVE' })], [CONVERTED]],
    ['strict, ports too', [own('STRICT', { 80: 'STRICT' })], [STATIC]],
    ['permissive but for a port', [own('PERMISSIVE', { 80: 'STRICT' })], [CONVERTED]],
    [
      'unset under strict opens a port',
      [whole('STRICT'), own(undefined, { 80: 'PERMISSIVE' })],
      [CONVERTED],
    ],
    [
      'unset under strict: DISABLE opens nothing',
      [whole('STRICT'), own(undefined, { 80: 'DISABLE' })],
      [STATIC],
    ],
    ['unset under permissive closes a port', [own(undefined, { 80: 'STRICT' })], [CONVERTED]],
    [
      'a selector in the root namespace is ignored',
      [{ ...own('STRICT'), namespace: 'istio-system' }],
      [],
    ],
    ['the oldest of two', [{ ...whole('PERMISSIVE'), name: 'newer' }, whole('STRICT')], [STATIC]],
  ];
  test.each(ROWS)('%s', (_title, peers, want) => {
    const workload = { namespace: 'shop', labels: { app: 'a' } };
    expect(peerAuthenticationKeys(workload, peers.map(peer), 'istio-system')).toEqual(want);
  });
});

describe('convertPeerAuthentication', () => {
  const convert = (object: Peer, others: Peer[] = []) =>
    convertPeerAuthentication(peer(object), [object, ...others].map(peer), 'istio-system');
  const absent = { ...NO_MATCH, notPrincipals: [{ kind: 'presence' as const }] };

  test('strict but for ports: no principal AND none of the ports', () => {
    expect(convert(own('STRICT', { 90: 'DISABLE', 80: 'PERMISSIVE' }))).toMatchObject({
      name: 'converted_peer_authentication_own',
      namespace: 'shop',
      scope: 'workload-selector',
      action: 'deny',
      rules: [
        {
          clauses: [
            [absent],
            [{ ...NO_MATCH, notDestinationPorts: [80] }],
            [{ ...NO_MATCH, notDestinationPorts: [90] }],
          ],
        },
      ],
    });
  });

  test('permissive but for ports: one rule a port', () => {
    expect(convert(own('PERMISSIVE', { 80: 'STRICT', 90: 'STRICT' }))?.rules).toEqual([
      { clauses: [[{ ...absent, destinationPorts: [80] }]] },
      { clauses: [[{ ...absent, destinationPorts: [90] }]] },
    ]);
  });

  test('what is no port is no port that differs', () => {
    const odd = { http: 'PERMISSIVE', 80: 'PERMISSIVE', 65536: 'PERMISSIVE' } as const;
    const policy = convert(own('STRICT', odd));
    expect(policy?.rules[0].clauses.slice(1)).toEqual([
      [{ ...NO_MATCH, notDestinationPorts: [80] }],
    ]);
    expect(convert(own('STRICT', { http: 'PERMISSIVE' }))).toBeUndefined();
  });

  test('nothing when no port differs, without a selector, or in the root namespace', () => {
    expect(convert(own('STRICT', { 80: 'STRICT' }))).toBeUndefined();
    expect(convert(whole('STRICT'))).toBeUndefined();
    expect(
      convert({ ...own('STRICT', { 80: 'PERMISSIVE' }), namespace: 'istio-system' }),
    ).toBeUndefined();
  });
});
