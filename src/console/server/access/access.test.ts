/** Who may read and change what through the console: origins, log-in, sessions, rights, forged requests. */
import { describe, expect, test } from 'bun:test';
import type { SessionAnswer } from '#console/api/mesh.ts';
import { startConsoleRig } from '#test/support/console-rig.ts';
import { FakeClock } from '#test/support/fake-clock.ts';

describe('who asks', () => {
  test.each([
    ['a name that was pointed at us', { host: 'evil.example' }, 403],
    ['another origin', { origin: 'http://evil.example' }, 403],
    ['a sandboxed page', { origin: 'null' }, 403],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a page of ours', { 'sec-fetch-site': 'same-origin' }, 200],
    ['an address bar', { 'sec-fetch-site': 'none' }, 200],
    ['localhost', { host: 'localhost:20001' }, 200],
    ['IPv6 loopback', { host: '[::1]:20001' }, 200],
    ['a name that it was told', { host: 'mesh.example.com' }, 200],
  ])('%s', async (_title, headers, status) => {
    await using rig = startConsoleRig({ hosts: ['mesh.example.com'] });
    const response = await rig.ask('/api/v1/session', {
      headers: headers as Record<string, string>,
    });
    expect(response.status).toBe(status);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('a link from another site brings up the page', async () => {
    await using rig = startConsoleRig();
    const response = await rig.ask('/graph?window=5m', {
      headers: { 'sec-fetch-site': 'cross-site' },
    });
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('npm run web');
  });

  async function login(rig: ReturnType<typeof startConsoleRig>, token: string) {
    const response = await rig.ask('/api/v1/login', {
      method: 'POST',
      body: JSON.stringify({ token }),
    });
    const cookie = response.headers.get('set-cookie') ?? '';
    return {
      response,
      cookie,
      pair: cookie.split(';')[0],
      session: (await response.json()) as SessionAnswer,
    };
  }

  test('a token becomes a session in a cookie that scripts cannot read', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    expect(await (await rig.ask('/api/v1/session')).json()).toMatchObject({
      isAuthenticated: false,
      needsToken: true,
      namespaces: [],
    });
    const { response, cookie, pair, session } = await login(rig, 'shop-token');
    expect(response.status).toBe(200);
    expect(cookie).toMatch(
      /^tulle_session=[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=28800$/,
    );
    expect(cookie).not.toContain('shop-token');
    expect(session).toMatchObject({
      isAuthenticated: true,
      user: 'system:serviceaccount:shop:reader',
      namespaces: ['shop'],
    });
    const again = await rig.ask('/api/v1/workloads', { headers: { cookie: pair } });
    expect(again.status).toBe(200);
    expect(await again.text()).not.toContain('bank');
    const out = await rig.ask('/api/v1/logout', {
      method: 'POST',
      body: '{}',
      headers: { cookie: pair, 'x-tulle-csrf': session.csrfToken },
    });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
  });

  test('behind TLS the cookie is for TLS alone', async () => {
    await using rig = startConsoleRig({ openTo: [], hosts: ['mesh.example.com'] });
    const headers = { host: 'mesh.example.com', origin: 'https://mesh.example.com' };
    const response = await rig.ask('/api/v1/login', {
      method: 'POST',
      body: '{"token":"shop-token"}',
      headers,
    });
    expect(response.headers.get('set-cookie')).toContain('; Secure');
  });

  test.each([
    ['cut', (pair: string) => pair.slice(0, -4)],
    ['changed', (pair: string) => `${pair.slice(0, -1)}${pair.endsWith('A') ? 'B' : 'A'}`],
    ['made up', () => `tulle_session=${'A'.repeat(200)}`],
    ['empty', () => 'tulle_session='],
    ['huge', () => `tulle_session=${'A'.repeat(8000)}`],
  ])('a cookie that is %s is none', async (_title, change) => {
    await using rig = startConsoleRig({ openTo: [] });
    const { pair } = await login(rig, 'shop-token');
    expect((await rig.ask('/api/v1/workloads', { headers: { cookie: change(pair) } })).status).toBe(
      401,
    );
  });

  test('sessions end, and tokens that are refused begin none', async () => {
    const clock = new FakeClock();
    await using rig = startConsoleRig({ openTo: [], clock });
    const { pair } = await login(rig, 'shop-token');
    expect((await rig.ask('/api/v1/workloads', { headers: { cookie: pair } })).status).toBe(200);
    clock.advance(8 * 3600_000 + 1000);
    expect((await rig.ask('/api/v1/workloads', { headers: { cookie: pair } })).status).toBe(401);
    const refused = await login(rig, 'made-up');
    expect(refused.response.status).toBe(401);
    expect(refused.cookie).toBe('');
  });

  test('a second replica knows the session of the first', async () => {
    await using one = startConsoleRig({ openTo: [] });
    await using other = startConsoleRig({ openTo: [] });
    const { pair } = await login(one, 'shop-token');
    for (const [id, object] of one.kube.objects) other.kube.objects.set(id, object);
    expect((await other.ask('/api/v1/workloads', { headers: { cookie: pair } })).status).toBe(200);
  });

  test('log-ins of one client are counted', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    const statuses: number[] = [];
    for (let at = 0; at < 25; at++) statuses.push((await login(rig, 'made-up')).response.status);
    expect(statuses.slice(0, 20)).toEqual(Array(20).fill(401));
    expect(statuses).toContain(429);
  });
});

const YAML =
  'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  namespace: shop\n  name: only-web\nspec:\n  action: DENY\n';
const ADDRESS = '/api/v1/config/AuthorizationPolicy/shop/only-web';

describe('changing', () => {
  const put = async (
    rig: ReturnType<typeof startConsoleRig>,
    more: {
      token?: string;
      headers?: Record<string, string>;
      yaml?: string;
      dryRun?: boolean;
    } = {},
  ) => {
    const { token, headers, yaml = YAML, dryRun } = more;
    return rig.ask(ADDRESS, {
      method: 'PUT',
      body: JSON.stringify({ yaml, dryRun }),
      token,
      headers,
    });
  };
  const csrfOf = async (
    rig: ReturnType<typeof startConsoleRig>,
    headers: Record<string, string> = {},
  ) => ((await (await rig.ask('/api/v1/session', { headers })).json()) as SessionAnswer).csrfToken;

  test.each([
    ['nobody', { openTo: [] }, {}, 401],
    ['a guest who may only read', {}, {}, 401],
    ['a reader without the right', { openTo: [] }, { token: 'shop-token' }, 403],
    ['a writer', { openTo: [] }, { token: 'writer-token' }, 200],
    [
      'a writer where nothing is changed',
      { openTo: [], isReadOnly: true },
      { token: 'writer-token' },
      403,
    ],
    ['the owner of a lab', { guests: 'write' as const }, {}, 200],
  ])('%s', async (_title, options, how: { token?: string }, status) => {
    await using rig = startConsoleRig(options);
    const headers = { 'x-tulle-csrf': await csrfOf(rig) };
    const response = await put(rig, { ...how, headers });
    expect(response.status).toBe(status);
    if (status === 200) expect(rig.actedWith).toEqual(how.token === undefined ? [] : [how.token]);
    expect([...rig.kube.objects.keys()].some((key) => key.includes('only-web'))).toBe(
      status === 200,
    );
  });

  test('what a browser sends on its own is not enough', async () => {
    await using rig = startConsoleRig({ guests: 'write' });
    expect(await (await put(rig)).json()).toMatchObject({ code: 'CONSOLE_NO_CSRF' });
    expect((await put(rig, { headers: { 'x-tulle-csrf': 'guess' } })).status).toBe(403);
    expect((await put(rig, { headers: { 'x-tulle-csrf': await csrfOf(rig) } })).status).toBe(200);
  });

  test('the proof of one session is none of another’s', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    const login = async () => {
      const response = await rig.ask('/api/v1/login', {
        method: 'POST',
        body: '{"token":"writer-token"}',
      });
      return {
        cookie: (response.headers.get('set-cookie') ?? '').split(';')[0],
        csrf: ((await response.json()) as SessionAnswer).csrfToken,
      };
    };
    const [one, other] = [await login(), await login()];
    expect(
      (await put(rig, { headers: { cookie: one.cookie, 'x-tulle-csrf': other.csrf } })).status,
    ).toBe(403);
    expect(
      (await put(rig, { headers: { cookie: one.cookie, 'x-tulle-csrf': one.csrf } })).status,
    ).toBe(200);
  });

  test.each([
    ['another name', YAML.replace('only-web', 'else'), 'metadata.name'],
    ['another namespace', YAML.replace('shop', 'bank'), 'metadata.namespace'],
    [
      'another kind',
      YAML.replace('AuthorizationPolicy', 'PeerAuthentication').replace(
        'action: DENY',
        'mtls: {mode: STRICT}',
      ),
      'kind',
    ],
  ])('a text about %s than the address is refused', async (_title, yaml, field) => {
    await using rig = startConsoleRig({ openTo: [] });
    const response = await put(rig, { token: 'writer-token', yaml });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ field });
  });

  test('errors of the text come back with their lines, and nothing is written', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    const response = await put(rig, {
      token: 'writer-token',
      yaml: YAML.replace('DENY', 'SOMETIMES'),
    });
    expect(await response.json()).toMatchObject({
      isValid: false,
      isApplied: false,
      findings: [{ level: 'error', path: 'spec.action', line: 7 }],
    });
    expect(rig.actedWith.length).toBe(1);
    expect(
      [...rig.kube.objects.keys()].filter((key) => key.startsWith('authorizationpolicies')),
    ).toEqual([]);
  });

  test('a controller that writes in between refuses no text without a version of its own', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    await put(rig, { token: 'writer-token' });
    const { kube } = rig;
    const update = kube.update.bind(kube) as typeof kube.update;
    let tries = 0;
    kube.update = (async (ref, object, options) => {
      tries += 1;
      if (tries <= 2) await update(ref, await kube.get(ref, object.metadata));
      return update(ref, object, options);
    }) as typeof kube.update;
    const yaml = YAML.replace('DENY', 'ALLOW');
    expect(await (await put(rig, { token: 'writer-token', yaml })).json()).toMatchObject({
      isApplied: true,
    });
    expect(tries).toBe(3);
  });

  test('a text of an old version is not written over a younger one', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    await put(rig, { token: 'writer-token' });
    const stale = YAML.replace('metadata:\n', 'metadata:\n  resourceVersion: "1"\n');
    expect(await (await put(rig, { token: 'writer-token', yaml: stale })).json()).toMatchObject({
      isValid: true,
      isApplied: false,
      error: expect.any(String),
    });
  });

  test.each([
    ['no YAML', 'a: [', undefined],
    ['two objects', `${YAML}---\n${YAML}`, undefined],
    [
      'a kind that configures nothing',
      'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n',
      undefined,
    ],
    ['a list', '- a\n', undefined],
    [
      'aliases without end',
      `a: &a [x,x]\nb: &b [${'*a,'.repeat(50)}]\nc: &c [${'*b,'.repeat(50)}]\nd: [${'*c,'.repeat(50)}]\n`,
      undefined,
    ],
    ['a good one', YAML, []],
  ])('validate says what is wrong with %s', async (_title, yaml, findings) => {
    await using rig = startConsoleRig();
    const answer = (await (
      await rig.ask('/api/v1/config/validate', { method: 'POST', body: JSON.stringify({ yaml }) })
    ).json()) as { isValid: boolean; findings: object[] };
    if (findings === undefined)
      expect(answer).toMatchObject({
        isValid: false,
        findings: [{ level: 'error', hint: expect.any(String) }],
      });
    else expect(answer).toEqual({ isValid: true, findings });
  });
});
