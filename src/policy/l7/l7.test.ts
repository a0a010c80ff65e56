import { describe, expect, test } from 'bun:test';
import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import type { HttpPolicy, JwtRule, PolicyRule } from '#model/authorization/http-policies.ts';
import { compileHttpPolicy } from './compile.ts';
import { evaluateHttp } from './evaluate.ts';
import type { PolicyFacts } from './policy.ts';
import { authenticate as authenticateBy, compileTokenRules } from './token.ts';

const authenticate = (rules: JwtRule[], ...rest: [PolicyFacts['http'] & object, number]) =>
  authenticateBy(compileTokenRules({ namespace: 'shop', name: 'jwt', rules }), ...rest);

const CONTEXT = { trustDomains: ['cluster.local', 'old.example'] };
const HTTP = (path = '/a/b', headers: Record<string, string> = {}) => ({
  method: 'GET',
  authority: 'Shop.example:80',
  path,
  header: (name: string) => headers[name],
});
const FACTS: PolicyFacts = {
  principal: 'spiffe://cluster.local/ns/shop/sa/web',
  sourceIp: '10.0.0.1',
  remoteIp: '192.0.2.7',
  destinationIp: '10.0.0.9',
  destinationPort: 8080,
  sni: 'shop.example',
  http: HTTP('/a/b?q=/c#d', { 'x-a': '1' }),
  claims: { iss: 'me', sub: 'you', aud: ['x', 'y'], azp: 'p', nested: { list: ['u', 'v'] } },
};
const policy = (action: HttpPolicy['action'], ...rules: PolicyRule[]): HttpPolicy => ({
  namespace: 'shop',
  name: action.toLowerCase(),
  action,
  dryRun: false,
  rules,
});
const verdict = (policies: HttpPolicy[], facts: PolicyFacts = FACTS) =>
  evaluateHttp(
    policies.map((each) => compileHttpPolicy(each, CONTEXT)),
    facts,
  );
const source = (fields: Record<string, string[]>): PolicyRule => ({ from: [{ source: fields }] });
const operation = (fields: Record<string, string[]>): PolicyRule => ({
  to: [{ operation: fields }],
});
const when = (key: string, values: string[], notValues: string[] = []): PolicyRule => ({
  when: [{ key, values, notValues }],
});

describe('rules', () => {
  /** [title, rule, matches FACTS] */
  const rows: [string, PolicyRule, boolean][] = [
    ['nothing asked', {}, true],
    ['principal', source({ principals: ['cluster.local/ns/shop/sa/web'] }), true],
    ['principal under an alias', source({ principals: ['old.example/ns/shop/sa/web'] }), true],
    ['principal of another domain', source({ principals: ['x/ns/shop/sa/web'] }), false],
    ['principal by suffix', source({ principals: ['*/sa/web'] }), true],
    ['any principal', source({ principals: ['*'] }), true],
    ['not a principal', source({ notPrincipals: ['*'] }), false],
    ['namespace with a star', source({ namespaces: ['sh*'] }), true],
    ['namespace is whole', source({ namespaces: ['sho'] }), false],
    ['account of the policy', source({ serviceAccounts: ['web'] }), true],
    ['account elsewhere', source({ serviceAccounts: ['other/web'] }), false],
    ['trust domain', source({ trustDomains: ['cluster.*'] }), true],
    ['not a trust domain', source({ notTrustDomains: ['cluster.local'] }), false],
    ['address range', source({ ipBlocks: ['10.0.0.0/8'] }), true],
    ['remote address', source({ remoteIpBlocks: ['192.0.2.7'] }), true],
    ['not a range', source({ notIpBlocks: ['10.0.0.1'] }), false],
    ['an unreadable range', source({ ipBlocks: ['x'] }), false],
    ['request principal', source({ requestPrincipals: ['me/you'] }), true],
    ['request principal by issuer', source({ requestPrincipals: ['me/*'] }), true],
    ['an unknown field grants nothing', source({ colours: ['red'] }), false],
    ['host in any case', operation({ hosts: ['shop.EXAMPLE:80'] }), true],
    ['host without its port', operation({ hosts: ['shop.example'] }), false],
    ['host by suffix', operation({ hosts: ['*.example:80'] }), true],
    ['method', operation({ methods: ['GET'] }), true],
    ['method in another case', operation({ methods: ['get'] }), false],
    ['not a method', operation({ notMethods: ['PUT'] }), true],
    ['path without query and fragment', operation({ paths: ['/a/b'] }), true],
    ['path by prefix', operation({ paths: ['/a*'] }), true],
    ['path with an exception', operation({ paths: ['/a*'], notPaths: ['/a/b'] }), false],
    ['template of segments', operation({ paths: ['/{*}/b'] }), true],
    ['a segment is one', operation({ paths: ['/{*}'] }), false],
    ['template of the rest', operation({ paths: ['/a/{**}'] }), true],
    ['port', operation({ ports: ['8080'] }), true],
    ['other port', operation({ ports: ['80'] }), false],
    ['header', when('request.headers[X-A]', ['1']), true],
    ['missing header', when('request.headers[x-b]', ['*']), false],
    ['not a value of a missing header', when('request.headers[x-b]', [], ['1']), true],
    ['sni', when('connection.sni', ['shop.*']), true],
    ['audience', when('request.auth.audiences', ['y']), true],
    ['presenter', when('request.auth.presenter', ['p']), true],
    ['claim in a list', when('request.auth.claims[nested][list]', ['v']), true],
    ['missing claim', when('request.auth.claims[none]', ['v']), false],
    ['destination', when('destination.ip', ['10.0.0.0/24']), true],
    ['an unknown key grants nothing', when('moon.phase', ['full']), false],
    [
      'from, to and when AND',
      { ...source({ namespaces: ['shop'] }), ...operation({ methods: ['PUT'] }) },
      false,
    ],
    [
      'entries OR',
      { from: [{ source: { namespaces: ['x'] } }, { source: { namespaces: ['shop'] } }] },
      true,
    ],
  ];
  test.each(rows)('%s', (_title, rule, want) => {
    expect(verdict([policy('ALLOW', rule)]).allow).toBe(want);
  });

  test('for bytes an ALLOW that needs HTTP never matches, a DENY keeps to its other fields', () => {
    const bytes = { ...FACTS, http: undefined, claims: undefined };
    const rule = operation({ methods: ['PUT'], ports: ['8080'] });
    expect(verdict([policy('ALLOW', rule)], bytes).allow).toBe(false);
    expect(verdict([policy('DENY', rule)], bytes).allow).toBe(false);
    expect(verdict([policy('DENY', rule)]).allow).toBe(true);
  });
});

describe('evaluateHttp', () => {
  test('deny beats allow in any order, an empty ALLOW denies all, dry runs decide nothing', () => {
    expect(verdict([policy('ALLOW', {}), policy('DENY', {})]).reason).toBe(
      'explicitly denied by: shop/deny, rule 0',
    );
    expect(verdict([policy('ALLOW')])).toMatchObject({ allow: false, policy: 'shop/allow' });
    expect(verdict([policy('DENY')]).allow).toBe(true);
    const dry = { ...policy('DENY', {}), dryRun: true };
    expect(verdict([dry])).toMatchObject({ allow: true, judged: [{ rule: 0 }] });
    expect(verdict([policy('AUDIT', {})]).allow).toBe(true);
    expect(verdict([{ ...policy('CUSTOM', {}), provider: 'p' }, policy('ALLOW', {})]).allow).toBe(
      false,
    );
  });

  test('the order of policies and rules changes no verdict', () => {
    const rules = fc.subarray([
      operation({ methods: ['GET'] }),
      operation({ paths: ['/x'] }),
      source({ namespaces: ['shop'] }),
      source({ notNamespaces: ['shop'] }),
    ]);
    const one = fc.record({ action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT' as const), rules });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 5 }), (list) => {
        const policies = list.map(({ action, rules: own }) => policy(action, ...own));
        const turned = policies
          .map((each) => ({ ...each, rules: [...each.rules].reverse() }))
          .reverse();
        expect(verdict(turned).allow).toBe(verdict(policies).allow);
      }),
    );
  });
});

describe('authenticate', () => {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...keys.publicKey.export({ format: 'jwk' }), kid: 'k' };
  const rule: JwtRule = { issuer: 'me', jwks: JSON.stringify({ keys: [jwk] }) };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const tokenOf = (claims: object, header: object = { alg: 'RS256', kid: 'k' }) => {
    const signed = `${part(header)}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), keys.privateKey).toString('base64url');
    return `${signed}.${signature}`;
  };
  const good = { iss: 'me', sub: 'you', exp: 2000 };
  const ask = (token: string, own: JwtRule = rule, headers: Record<string, string> = {}) =>
    authenticate([own], HTTP('/', { authorization: `Bearer ${token}`, ...headers }), 1000);

  test('proves the claims of a token that its issuer signed', () => {
    expect(ask(tokenOf(good))).toMatchObject({ kind: 'valid', claims: good });
    expect(authenticate([rule], HTTP('/'), 1000)).toEqual({ kind: 'none' });
    const param = HTTP(`/?access_token=${tokenOf(good)}`);
    expect(authenticate([rule], param, 1000).kind).toBe('valid');
    const named = { ...rule, fromHeaders: [{ name: 'X-T', prefix: 'p ' }] };
    expect(authenticate([named], HTTP('/', { 'x-t': `p ${tokenOf(good)}` }), 1000).kind).toBe(
      'valid',
    );
    const cookie = { ...rule, fromCookies: ['t'] };
    expect(authenticate([cookie], HTTP('/', { cookie: `a=b; t=${tokenOf(good)}` }), 1).kind).toBe(
      'valid',
    );
  });

  test('allows for clocks that differ by a minute', () => {
    expect(ask(tokenOf({ ...good, exp: 940, nbf: 1060 })).kind).toBe('valid');
  });

  test('takes some texts for lists: scope and permission, and what the rule names', () => {
    const spaced = { ...good, scope: 'read write', permission: 'all', teams: 'a b', name: 'x y' };
    const lists = { scope: ['read', 'write'], permission: ['all'], teams: ['a', 'b'] };
    const verified = ask(tokenOf(spaced), { ...rule, spaceDelimitedClaims: ['teams'] });
    expect(verified).toMatchObject({ claims: { ...lists, name: 'x y' }, payload: spaced });
  });

  const other = { ...rule, issuer: 'other' };
  test('any rule that accepts it is enough', () => {
    const http = HTTP('/', { authorization: `Bearer ${tokenOf(good)}` });
    expect(authenticate([other, rule], http, 1000).kind).toBe('valid');
  });

  /** [title, token, rule, part of the reason] */
  const rows: [string, string, JwtRule, string][] = [
    ['of another issuer', tokenOf(good), other, 'of issuer me'],
    ['expired', tokenOf({ ...good, exp: 939 }), rule, 'expired'],
    ['early', tokenOf({ ...good, nbf: 1061 }), rule, 'not valid yet'],
    ['for others', tokenOf(good), { ...rule, audiences: ['x'] }, 'not for x'],
    [
      'changed',
      tokenOf(good).replace(/\.[^.]+\./, `.${part({ ...good, sub: 'x' })}.`),
      rule,
      'signature',
    ],
    ['unsigned', `${part({ alg: 'none' })}.${part(good)}.`, rule, 'signature'],
    ['signed by a shared secret', tokenOf(good, { alg: 'HS256', kid: 'k' }), rule, 'signature'],
    ['of an unknown key', tokenOf(good, { alg: 'RS256', kid: 'z' }), rule, 'no key'],
    ['with keys elsewhere', tokenOf(good), { issuer: 'me', jwksUri: 'https://x' }, 'no key'],
    [
      'with keys that did not come',
      tokenOf(good),
      { issuer: 'me', keysMissing: 'https://x answers 500' },
      'answers 500',
    ],
    ['with keys that are none', tokenOf(good), { issuer: 'me', jwks: '{"keys":[1,{}]}' }, 'no key'],
    [
      'of a key for another algorithm',
      tokenOf(good),
      { ...rule, jwks: JSON.stringify({ keys: [{ ...jwk, alg: 'RS512' }] }) },
      'no key',
    ],
    ['no token', 'nonsense', rule, 'no JWT'],
    ['broken', 'a.b.c', rule, 'no JWT'],
  ];
  test.each(rows)('refuses one that is %s', (_title, token, own, reason) => {
    expect(ask(token, own)).toMatchObject({
      kind: 'invalid',
      reason: expect.stringContaining(reason),
    });
  });
});
