import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Authorization, AuthorizationMatch } from '#model/authorization/authorization.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import { parseAddress, rangeContains } from './address.ts';
import { evaluateL4, type L4Connection } from './evaluate-l4.ts';
import { PolicyIndex } from './policy-index.ts';

const match = (part: Partial<AuthorizationMatch>): AuthorizationMatch => ({ ...NO_MATCH, ...part });

function policy(
  name: string,
  action: 'allow' | 'deny',
  rules: Authorization['rules'],
  part: Partial<Authorization> = {},
): Authorization {
  return { name, namespace: 'shop', scope: 'namespace', action, rules, dryRun: false, ...part };
}
const one = (part: Partial<AuthorizationMatch>): Authorization['rules'] => [
  { clauses: [[match(part)]] },
];

const tls: L4Connection = {
  sourceIp: '198.18.1.5',
  sourcePrincipal: 'spiffe://td/ns/shop/sa/web',
  destinationIp: '198.18.2.7',
  destinationPort: 8080,
};
const plaintext: L4Connection = { ...tls, sourcePrincipal: undefined };

describe('evaluateL4 order', () => {
  const everything: Authorization['rules'] = [{ clauses: [] }];
  const rows: { title: string; policies: Authorization[]; want: object }[] = [
    { title: 'no policies: allow', policies: [], want: { allow: true, policy: undefined } },
    {
      title: 'a matching DENY wins over a matching ALLOW',
      policies: [policy('a', 'allow', everything), policy('d', 'deny', everything)],
      want: { allow: false, policy: 'shop/d', reason: 'explicitly denied by: shop/d' },
    },
    {
      title: 'only DENY policies, none matching: allow',
      policies: [policy('d', 'deny', one({ destinationPorts: [1] }))],
      want: { allow: true, reason: 'no ALLOW policy applies' },
    },
    {
      title: 'ALLOW policies exist but none matches: deny, and name them',
      policies: ['a', 'b'].map((name) => policy(name, 'allow', one({ destinationPorts: [1] }))),
      want: {
        allow: false,
        reason: 'allow policies exist, but none allowed: shop/a, shop/b',
        policy: 'shop/a',
      },
    },
    {
      title: 'of many ALLOW policies only some are named',
      policies: [...'abcdefgh'].map((name) => policy(name, 'allow', [])),
      want: {
        reason:
          'allow policies exist, but none allowed: shop/a, shop/b, shop/c, shop/d, shop/e and 3 more',
      },
    },
    {
      title: 'what only a waypoint can judge is denied under the name of the whole policy',
      policies: [policy('tulle_needs_waypoint_d', 'deny', everything)],
      want: {
        allow: false,
        policy: 'shop/d',
        reason: expect.stringContaining(
          'explicitly denied by: shop/d (only a waypoint can judge it',
        ) as string,
      },
    },
    {
      title: 'ALLOW without rules denies all',
      policies: [policy('a', 'allow', [])],
      want: { allow: false },
    },
    {
      title: 'DENY without rules is a no-op',
      policies: [policy('d', 'deny', [])],
      want: { allow: true },
    },
    {
      title: 'a rule without clauses matches everything',
      policies: [policy('a', 'allow', everything)],
      want: { allow: true, policy: 'shop/a' },
    },
    {
      title: 'a clause without matches holds',
      policies: [policy('a', 'allow', [{ clauses: [[]] }])],
      want: { allow: true, policy: 'shop/a' },
    },
    {
      title: 'a clause made only of empty matches fails its rule',
      policies: [policy('d', 'deny', [{ clauses: [[NO_MATCH, NO_MATCH]] }])],
      want: { allow: true },
    },
    {
      title: 'an empty match beside a real one is skipped',
      policies: [
        policy('d', 'deny', [{ clauses: [[NO_MATCH, match({ destinationPorts: [8080] })]] }]),
      ],
      want: { allow: false },
    },
    {
      title: 'clauses of one rule AND',
      policies: [
        policy('a', 'allow', [
          { clauses: [[match({ destinationPorts: [8080] })], [match({ destinationPorts: [1] })]] },
        ]),
      ],
      want: { allow: false },
    },
    {
      title: 'a dry-run DENY does not deny, and is reported',
      policies: [policy('d', 'deny', everything, { dryRun: true })],
      want: { allow: true, dryRun: ['dry-run: deny policy match: shop/d'] },
    },
    {
      title: 'an all-dry-run ALLOW set does not deny',
      policies: [policy('a', 'allow', [], { dryRun: true })],
      want: { allow: true, dryRun: [] },
    },
  ];
  test.each(rows)('$title', ({ policies, want }) => {
    expect(evaluateL4(policies, tls)).toMatchObject(want);
  });
});

describe('evaluateL4 fields', () => {
  const exact = (value: string) => ({ kind: 'exact', value }) as const;
  const prefix = (value: string) => ({ kind: 'prefix', value }) as const;
  const suffix = (value: string) => ({ kind: 'suffix', value }) as const;
  const presence = { kind: 'presence' } as const;
  const cidr = (address: string, length: number) => ({ address, length });
  /** [title, match, matches with TLS, matches on plaintext] */
  const rows: [string, Partial<AuthorizationMatch>, boolean, boolean][] = [
    ['principal exact', { principals: [exact('td/ns/shop/sa/web')] }, true, false],
    [
      'principal with its scheme',
      { principals: [exact('spiffe://td/ns/shop/sa/web')] },
      false,
      false,
    ],
    ['principal prefix', { principals: [prefix('td/ns/shop/')] }, true, false],
    ['principal suffix', { principals: [suffix('/sa/web')] }, true, false],
    ['principal is case-sensitive', { principals: [exact('td/ns/shop/sa/Web')] }, false, false],
    ['principal presence', { principals: [presence] }, true, false],
    ['notPrincipals presence = plaintext', { notPrincipals: [presence] }, false, true],
    ['values of a field OR', { principals: [exact('x'), suffix('/sa/web')] }, true, false],
    [
      'positive and negative AND',
      { principals: [presence], notPrincipals: [suffix('web')] },
      false,
      false,
    ],
    ['namespace', { namespaces: [exact('shop')] }, true, false],
    ['namespace of plaintext is empty: prefix ""', { namespaces: [prefix('')] }, true, true],
    ['namespace presence', { namespaces: [presence] }, true, false],
    ['notNamespaces', { notNamespaces: [exact('shop')] }, false, true],
    [
      'service account, any trust domain',
      { serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] },
      true,
      false,
    ],
    [
      'service account elsewhere',
      { serviceAccounts: [{ namespace: 'other', serviceAccount: 'web' }] },
      false,
      false,
    ],
    [
      'notServiceAccounts',
      { notServiceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] },
      false,
      true,
    ],
    ['source range', { sourceIps: [cidr('198.18.1.0', 24)] }, true, true],
    ['source outside', { sourceIps: [cidr('198.18.2.0', 24)] }, false, false],
    ['notSourceIps', { notSourceIps: [cidr('198.18.1.5', 32)] }, false, false],
    ['destination range', { destinationIps: [cidr('198.18.0.0', 15)] }, true, true],
    ['notDestinationIps', { notDestinationIps: [cidr('198.18.2.7', 32)] }, false, false],
    ['destination port', { destinationPorts: [80, 8080] }, true, true],
    ['notDestinationPorts', { notDestinationPorts: [8080] }, false, false],
    ['unreadable range matches nothing', { sourceIps: [cidr('not-an-ip', 0)] }, false, false],
  ];
  test.each(rows)('%s', (_title, part, withTls, withPlaintext) => {
    const policies = [policy('a', 'allow', one(part))];
    expect(evaluateL4(policies, tls).allow).toBe(withTls);
    expect(evaluateL4(policies, plaintext).allow).toBe(withPlaintext);
  });
});

describe('PolicyIndex', () => {
  test('takes global, same-namespace and named policies only', () => {
    const all = [
      policy('global', 'allow', [], { namespace: 'istio-system', scope: 'global' }),
      policy('mine', 'allow', []),
      policy('theirs', 'allow', [], { namespace: 'other' }),
      policy('named', 'allow', [], { scope: 'workload-selector' }),
      policy('unnamed', 'allow', [], { scope: 'workload-selector' }),
    ];
    const workload = { namespace: 'shop', authorizationPolicies: ['shop/named', 'shop/unknown'] };
    expect(new PolicyIndex(all).policiesOf(workload).map((entry) => entry.name)).toEqual([
      'global',
      'mine',
      'named',
    ]);
  });
});

const anyMatch = fc
  .record({
    destinationPorts: fc.array(fc.constantFrom(8080, 80), { maxLength: 2 }),
    notDestinationPorts: fc.array(fc.constantFrom(8080, 80), { maxLength: 1 }),
    principals: fc.array(
      fc.constantFrom<AuthorizationMatch['principals'][number]>(
        { kind: 'presence' },
        { kind: 'exact', value: 'td/ns/shop/sa/web' },
      ),
      { maxLength: 1 },
    ),
  })
  .map(match);
const anyPolicy = fc
  .tuple(
    fc.constantFrom<'allow' | 'deny'>('allow', 'deny'),
    fc.array(
      fc.record({ clauses: fc.array(fc.array(anyMatch, { maxLength: 2 }), { maxLength: 2 }) }),
      {
        maxLength: 2,
      },
    ),
    fc.boolean(),
  )
  .map(([action, rules, dryRun]) => policy('p', action, rules, { dryRun }));

describe('evaluateL4 properties', () => {
  test('a DENY that matches denies in whatever order and company it stands', () => {
    const deny = policy('deny-all', 'deny', [{ clauses: [] }]);
    fc.assert(
      fc.property(fc.array(anyPolicy), fc.nat(), (others, at) => {
        const policies = [...others];
        policies.splice(at % (others.length + 1), 0, deny);
        expect(evaluateL4(policies, tls).allow).toBe(false);
      }),
    );
  });

  test('the order of policies never changes the decision', () => {
    fc.assert(
      fc.property(fc.array(anyPolicy, { maxLength: 6 }), fc.array(fc.nat()), (policies, keys) => {
        const shuffled = policies
          .map((entry, index) => ({ entry, key: keys[index] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ entry }) => entry);
        expect(evaluateL4(shuffled, tls).allow).toBe(evaluateL4(policies, tls).allow);
      }),
    );
  });

  test('every denial names a policy of those given, and says so in its reason', () => {
    fc.assert(
      fc.property(fc.array(anyPolicy, { maxLength: 6 }), (policies) => {
        const verdict = evaluateL4(policies, tls);
        if (verdict.allow) return;
        expect(verdict.policy).toBe('shop/p');
        expect(verdict.reason).toContain('shop/p');
      }),
    );
  });

  test('dry-run policies never change the decision', () => {
    fc.assert(
      fc.property(fc.array(anyPolicy, { maxLength: 6 }), (policies) => {
        const enforced = policies.filter((entry) => !entry.dryRun);
        expect(evaluateL4(policies, tls).allow).toBe(evaluateL4(enforced, tls).allow);
      }),
    );
  });
});

describe('addresses', () => {
  test.each([
    ['1.2.3.4', '01020304'],
    ['::1', '00000000000000000000000000000001'],
    ['::', '00000000000000000000000000000000'],
    ['fd00:1::2', 'fd000001000000000000000000000002'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:1.2.3.4', '01020304'],
  ])('parseAddress %s', (text, hex) => {
    expect(Buffer.from(parseAddress(text) ?? []).toString('hex')).toBe(hex);
  });
  test.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    'a.b.c.d',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '1:2:3',
  ])('parseAddress refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
  test.each([
    ['10.1.2.0', 23, '10.1.3.255', true],
    ['10.1.2.0', 23, '10.1.4.0', false],
    ['0.0.0.0', 0, '255.255.255.255', true],
    ['::', 0, '10.0.0.1', false],
    ['fd00::', 8, 'fdff::1', true],
    ['::ffff:10.0.0.0', 104, '10.9.9.9', true],
    ['10.0.0.0', 33, '10.0.0.0', false],
  ])('rangeContains %s/%d holds %s: %p', (address, length, text, want) => {
    const bytes = parseAddress(text);
    expect(bytes !== undefined && rangeContains({ address, length }, bytes)).toBe(want);
  });
});
