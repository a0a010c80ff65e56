/** Policies at a running engine: who passes, what the refused one sees, and what the log line says. */
import { describe, expect, test } from 'bun:test';
import { generateKeyPairSync, sign } from 'node:crypto';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { HttpPolicies, HttpPolicy, JwtRule } from '#model/authorization/http-policies.ts';
import type { Route, RouteTable } from '#model/route/route-table.ts';
import { route, to, upstream, WaypointRig } from '#test/support/waypoint-rig.ts';

const policy = (part: Partial<HttpPolicy>): HttpPolicy => ({
  namespace: 'shop',
  name: 'only-get',
  action: 'ALLOW',
  dryRun: false,
  rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
  ...part,
});
const judging = (policies: HttpPolicy[], rules: JwtRule[] = []): Partial<RouteTable> => ({
  policies: {
    trustDomains: ['cluster.local'],
    policies,
    tokens: rules.length === 0 ? [] : [{ namespace: 'shop', name: 'jwt', rules }],
  } satisfies HttpPolicies,
});

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...keys.publicKey.export({ format: 'jwk' }), kid: 'k' };
const jwtRule: JwtRule = {
  issuer: 'me',
  jwks: JSON.stringify({ keys: [jwk] }),
  audiences: ['shop'],
  outputPayloadToHeader: 'X-Payload',
  outputClaimToHeaders: [{ header: 'x-group', claim: 'org.group' }],
};
const GOOD = { iss: 'me', sub: 'you', aud: 'shop', exp: 4_000_000_000, org: { group: 'dev' } };
const tokenOf = (claims: object) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', kid: 'k' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), keys.privateKey).toString('base64url');
  return `${signed}.${signature}`;
};
const bearer = (claims: object) => ({ authorization: `Bearer ${tokenOf(claims)}` });

const toPath = (path: string) => ({ to: [{ operation: { paths: [path] } }] });
const toHost = (host: string) => ({ to: [{ operation: { hosts: [host] } }] });

function rigWith(part: Partial<RouteTable>, routes: Route[] = [route('main', [to('stable')])]) {
  const rig = new WaypointRig();
  rig.configure(routes, [upstream()], part);
  const send = async (method: string, path = '/', headers: Record<string, string> = {}) => {
    const exchange = rig.begin(method, path, headers, true);
    await rig.settle();
    return exchange;
  };
  return { rig, send };
}

describe('AuthorizationPolicies at a waypoint', () => {
  test('let through what they allow and answer 403 to the rest, with their name in the log', async () => {
    const { rig, send } = rigWith(judging([policy({})]));
    expect((await send('GET')).status).toBe(200);
    const refused = await send('POST');
    expect([refused.status, refused.body]).toEqual([
      403,
      'RBAC: access denied: allow policies exist, but none allowed: shop/only-get\n',
    ]);
    expect(rig.seen.map(({ request }) => request.method)).toEqual(['GET']);
    const line = rig.log.trim().split('\n').at(-1);
    expect(line).toContain('rbac_access_denied_matched_policy[none]');
    expect(line).toContain('shop/only-get');
  });

  test('deny before they allow, also where no route is, and name the rule', async () => {
    const deny = policy({
      name: 'no-admin',
      action: 'DENY',
      rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }],
    });
    const { rig, send } = rigWith(judging([policy({ rules: [{}] }), deny]), []);
    expect((await send('GET', '/admin/x?y')).status).toBe(403);
    expect((await send('GET', '/')).status).toBe(404);
    expect(rig.log).toContain(
      'rbac_access_denied_matched_policy[ns[shop]-policy[no-admin]-rule[0]]',
    );
  });

  test('know who calls by what TLS proved', async () => {
    const from = (principal: string) => [{ from: [{ source: { principals: [principal] } }] }];
    const own = rigWith(judging([policy({ rules: from('cluster.local/ns/shop/sa/web') })]));
    expect((await own.send('GET')).status).toBe(200);
    const others = rigWith(judging([policy({ rules: from('cluster.local/ns/shop/sa/job') })]));
    expect((await others.send('GET')).status).toBe(403);
  });

  test('are only told of when they are dry runs or audit', async () => {
    const dry = policy({ name: 'dry', action: 'DENY', dryRun: true, rules: [{}] });
    const audit = policy({ name: 'audit', action: 'AUDIT', rules: [{}] });
    const { rig, send } = rigWith(judging([dry, audit]));
    expect((await send('GET')).status).toBe(200);
    expect(rig.log).toContain('dry run: would be denied by shop/dry, rule 0');
  });

  test('answer gRPC with PERMISSION_DENIED', async () => {
    const { send } = rigWith(judging([policy({})]));
    const { status, head } = await send('POST', '/s/M', { 'content-type': 'application/grpc' });
    expect([status, head?.get('grpc-status')]).toEqual([200, '7']);
  });
});

describe('a change of policies', () => {
  const noAdmin = policy({
    name: 'no-admin',
    action: 'DENY',
    rules: [{ to: [{ operation: { paths: ['/admin*'], hosts: ['product-service'] } }] }],
  });
  const rewrite = { path: '/x', authority: 'other' };
  /** Rules that make the request another one, so that only what it came with can be judged right. */
  const routes = [route('main', [to('stable')], { rewrite })];
  const running = async (before: Partial<RouteTable>, path: string, headers = {}) => {
    const { rig } = rigWith(before, routes);
    for (const name of ['s1', 's2']) rig.scripts.set(name, () => 'hang');
    const waiting = rig.begin('GET', path, headers, true);
    await rig.settle();
    expect(rig.seen.length).toBe(1);
    const change = (after: Partial<RouteTable>) => rig.configure(routes, [upstream()], after);
    return { rig, waiting, change };
  };

  test.each([
    ['where none was', {}],
    ['where others were', judging([policy({})])],
  ])('ends a request that it forbids, %s', async (_title, before) => {
    const { rig, waiting, change } = await running(before, '/admin/x');
    change(judging([noAdmin]));
    const reason = 'policy change: explicitly denied by: shop/no-admin, rule 0';
    expect([waiting.status, waiting.body]).toEqual([403, `RBAC: access denied: ${reason}\n`]);
    expect([rig.seen[0].aborted, rig.engine.active]).toEqual([true, 0]);
    expect(rig.log).toContain(reason);
  });

  test('breaks a stream off that has its answer', async () => {
    const { rig, waiting, change } = await running({}, '/admin/x');
    rig.seen[0].handler.onHead(MessageHead.response(200), false);
    change(judging([noAdmin]));
    expect([waiting.status, waiting.aborted, rig.engine.active]).toEqual([200, true, 0]);
    expect(rig.log).toContain('200 LR rbac_access_denied_matched_policy');
    expect(rig.log).toContain('shop/no-admin');
  });

  test('leaves the others alone: they are judged by what they came with, not by what routes made of it', async () => {
    const { waiting, change } = await running({}, '/shop');
    change(judging([noAdmin, policy({ name: 'this-host', rules: [toHost('product-service')] })]));
    change(judging([policy({ name: 'this-path', rules: [toPath('/shop')] })]));
    expect([waiting.status, waiting.aborted]).toEqual([0, false]);
    change(judging([policy({ name: 'rewritten', rules: [toHost('other')] })]));
    expect(waiting.status).toBe(403);
  });

  test('keeps the claims of a token that was taken away, also when it has expired since', async () => {
    const mine = policy({ rules: [{ from: [{ source: { requestPrincipals: ['me/you'] } }] }] });
    const exp = rigWith({}).rig.clock.wallTime() / 1000 + 5;
    const headers = bearer({ ...GOOD, exp });
    const { rig, waiting, change } = await running(judging([], [jwtRule]), '/', headers);
    rig.clock.advance(100_000);
    change(judging([mine], [jwtRule]));
    expect(waiting.status).toBe(0);
    const keysMissing = 'they have not come';
    change(judging([mine], [{ issuer: 'me', keysMissing }]));
    expect(waiting.status).toBe(0);
    change(judging([{ ...mine, name: 'not-mine', action: 'DENY' }], [jwtRule]));
    expect(waiting.status).toBe(403);
  });
});

describe('RequestAuthentications at a waypoint', () => {
  const rule = jwtRule;
  const ROWS: [string, Record<string, string>, number, string][] = [
    ['without token', {}, 200, ''],
    ['with a good one', bearer(GOOD), 200, ''],
    ['with an old one', bearer({ ...GOOD, exp: 1 }), 401, 'Jwt is expired'],
    ['of another issuer', bearer({ ...GOOD, iss: 'x' }), 401, 'Jwt issuer is not configured'],
    ['for somebody else', bearer({ ...GOOD, aud: 'x' }), 403, 'Audiences in Jwt are not allowed'],
    [
      'that is none',
      { authorization: 'Bearer x' },
      401,
      'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
    ],
  ];
  test.each(ROWS)('answer a request %s', async (_title, headers, status, text) => {
    const { rig, send } = rigWith(judging([], [rule]));
    const answer = await send('GET', '/a?b=c', headers);
    expect(answer.status).toBe(status);
    if (status === 200) return;
    expect(answer.body).toStartWith(`${text}: refused by RequestAuthentication shop/jwt: `);
    expect(rig.log).toContain(`jwt_authn_access_denied{${text.replaceAll(' ', '_')}}`);
    const challenge = 'Bearer realm="http://product-service/a", error="invalid_token"';
    expect(answer.head?.get('www-authenticate')).toBe(challenge);
  });

  test('hand claims on, take the token away, and believe no client about them', async () => {
    const { rig, send } = rigWith(judging([], [rule]));
    await send('GET', '/', { ...bearer(GOOD), 'x-group': 'admin' });
    await send('GET', '/', { 'x-group': 'admin', 'x-payload': 'p' });
    const [proven, plain] = rig.seen.map(({ request }) => request);
    expect(proven.get('x-group')).toBe('dev');
    const payload = Buffer.from(proven.get('x-payload') ?? '', 'base64url').toString();
    expect(JSON.parse(payload)).toEqual(GOOD);
    expect(proven.has('authorization')).toBe(false);
    expect([plain.has('x-group'), plain.has('x-payload')]).toEqual([false, false]);
  });

  test('take a token away from the query, or leave it where they are told to', async () => {
    const { rig, send } = rigWith(judging([], [rule]));
    await send('GET', `/?a=1&access_token=${tokenOf(GOOD)}&b=2`);
    const kept = rigWith(judging([], [{ ...rule, forwardOriginalToken: true }]));
    await kept.send('GET', '/', bearer(GOOD));
    expect(rig.seen[0].request.path).toBe('/?a=1&b=2');
    expect(kept.rig.seen[0].request.get('authorization')).toBe(bearer(GOOD).authorization);
  });

  test('give routes and policies the claims', async () => {
    const claims = [
      { path: ['org', 'group'], match: { kind: 'exact' as const, value: 'dev' }, negated: false },
    ];
    const matches = [{ headers: [], withoutHeaders: [], queryParams: [], claims }];
    const routes = [route('dev', [to('canary')], { matches }), route('main', [to('stable')])];
    const needed = policy({ rules: [{ from: [{ source: { requestPrincipals: ['me/*'] } }] }] });
    const { rig, send } = rigWith(judging([needed], [rule]), routes);
    await send('GET', '/', bearer(GOOD));
    await send('GET', '/', bearer({ ...GOOD, org: { group: 'ops' } }));
    expect((await send('GET')).status).toBe(403);
    expect(rig.seen.map(({ endpoint }) => endpoint[0])).toEqual(['c', 's']);
  });
});
