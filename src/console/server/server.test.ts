/** The console's server on real sockets: what each address answers, to whom, and what it says of wrong requests. */
import { describe, expect, test } from 'bun:test';
import { node, smallMesh, startConsoleRig } from '#test/support/console-rig.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { sendRaw } from '#test/support/send-raw.ts';
import { CONTENT_SECURITY_POLICY } from './headers.ts';
import { CONFIG_BODY_BYTES_MAX, WHY_BODY_BYTES_MAX } from './limits.ts';

const TRACE = 'a'.repeat(32);

/** Address and where in its answer something stands that only a reader of `shop`, or of `bank`, may see. */
const READS = [
  '/api/v1/overview',
  '/api/v1/namespaces',
  '/api/v1/workloads',
  '/api/v1/services',
  '/api/v1/apps',
  '/api/v1/graph',
  '/api/v1/timeline',
  '/api/v1/series?node=workload/shop/cart',
  '/api/v1/history',
  '/api/v1/requests',
  '/api/v1/traces',
  `/api/v1/traces/${TRACE}`,
  '/api/v1/config',
  '/api/v1/schemas/VirtualService',
  '/api/v1/mesh',
  '/api/v1/mtls',
  '/api/v1/certificates',
  '/api/v1/status',
];

describe('reading', () => {
  test.each(READS)('%s answers JSON that is not kept', async (path) => {
    await using rig = startConsoleRig();
    const response = await rig.ask(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await response.json()).toBeObject();
  });

  test.each(READS)('%s asks everybody else for a token', async (path) => {
    await using rig = startConsoleRig({ openTo: [] });
    const refused = await rig.ask(path);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('Bearer');
    expect(await refused.json()).toMatchObject({
      code: 'CONSOLE_NOT_LOGGED_IN',
      hint: expect.stringContaining('kubectl create token'),
    });
    const wrong = await rig.ask(path, { token: 'made-up' });
    expect(wrong.status).toBe(401);
    expect(await wrong.json()).toMatchObject({ code: 'CONSOLE_TOKEN_REFUSED' });
    expect((await rig.ask(path, { token: 'shop-token' })).status).toBe(200);
  });

  test.each([
    '/api/v1/overview',
    '/api/v1/namespaces',
    '/api/v1/workloads',
    '/api/v1/services',
    '/api/v1/apps',
    '/api/v1/graph',
    '/api/v1/config',
    '/api/v1/certificates',
    '/api/v1/workloads?namespaces=bank',
  ])('%s tells a reader of one namespace nothing of another', async (path) => {
    await using rig = startConsoleRig({ openTo: [] });
    const all = await (await rig.ask(path, { token: 'admin-token' })).text();
    expect(all).toContain('bank');
    const own = await (await rig.ask(path, { token: 'shop-token' })).text();
    expect(own.replace('namespaces=bank', '')).not.toContain('bank');
    const none = await (await rig.ask(path, { token: 'nobody-token' })).text();
    expect(none).not.toMatch(/bank\/|shop\/|"bank"|"shop"/);
  });

  test.each([
    '/api/v1/workloads/bank/vault',
    '/api/v1/services/bank/vault',
    '/api/v1/apps/bank/vault',
    '/api/v1/config/AuthorizationPolicy/bank/nobody',
    '/api/v1/logs/bank/vault-1',
  ])('%s is there for those who may see it', async (path) => {
    await using rig = startConsoleRig({ openTo: [] });
    expect((await rig.ask(path, { token: 'admin-token' })).status).toBe(
      path.includes('/logs/') ? 404 : 200,
    );
    expect((await rig.ask(path, { token: 'shop-token' })).status).toBe(404);
  });

  test('why answers only those who may see all namespaces, for its answer may tell of any', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    const why = (token: string) => rig.ask('/api/v1/why', { method: 'POST', body: '{}', token });
    expect(await (await why('admin-token')).json()).toEqual({ asked: {} });
    const refused = await why('shop-token');
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ code: 'CONSOLE_FORBIDDEN' });
  });

  test('history shows the text of an object only to those who may read it', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    expect((await rig.ask('/api/v1/history/3', { token: 'admin-token' })).status).toBe(200);
    expect((await rig.ask('/api/v1/history/3', { token: 'shop-token' })).status).toBe(403);
    expect((await rig.ask('/api/v1/history/4', { token: 'admin-token' })).status).toBe(404);
  });

  test('the reader’s namespaces reach the store', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    await rig.ask(
      '/api/v1/graph?window=5m&namespaces=shop,bank&focus=workload/shop/cart&idle=true',
      { token: 'shop-token' },
    );
    expect(rig.data.asked.at(-1)).toEqual({
      what: 'graph',
      request: {
        windowSeconds: 300,
        namespaces: ['shop', 'bank'],
        type: 'workload',
        atMs: undefined,
        focus: 'workload/shop/cart',
        idle: true,
        waypoints: false,
        visible: ['shop'],
        form: 'objects',
      },
    });
  });

  test('a withdrawn token reads no more once its verdict is old', async () => {
    const clock = new FakeClock();
    await using rig = startConsoleRig({ openTo: [], clock });
    expect((await rig.ask('/api/v1/workloads', { token: 'shop-token' })).status).toBe(200);
    rig.kube.revoked.add('shop-token');
    const asked = rig.kube.reviews;
    expect((await rig.ask('/api/v1/workloads', { token: 'shop-token' })).status).toBe(200);
    expect(rig.kube.reviews).toBe(asked);
    clock.advance(31_000);
    expect((await rig.ask('/api/v1/workloads', { token: 'shop-token' })).status).toBe(401);
  });

  test('nobody is let in while the API server cannot be asked', async () => {
    await using rig = startConsoleRig({ openTo: [] });
    rig.kube.create = () => Promise.reject(new Error('connection refused'));
    const response = await rig.ask('/api/v1/workloads', { token: 'admin-token' });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'CONSOLE_UNAVAILABLE' });
  });
});

describe('wrong requests', () => {
  test.each([
    ['/api/v1/graph?windwo=30s', 400, 'windwo', 'window'],
    ['/api/v1/graph?window=0', 400, 'window', '30s, 5m, 1h'],
    ['/api/v1/graph?window=999d', 400, 'window', '5m'],
    ['/api/v1/graph?window=1s&window=2s', 400, 'window', 'once'],
    ['/api/v1/graph?type=pod', 400, 'type', 'versionedApp'],
    ['/api/v1/graph?at=yesterday', 400, 'at', 'RFC 3339'],
    ['/api/v1/graph?at=2026-13-45T00:00:00Z', 400, 'at', 'RFC 3339'],
    ['/api/v1/graph?idle=yes', 400, 'idle', 'true, false'],
    ['/api/v1/graph?namespaces=a%00b', 400, 'namespaces', 'leave them out'],
    ['/api/v1/graph?namespaces=..%2F..%2Fetc', 400, 'namespaces', 'names'],
    ['/api/v1/graph?form=rows', 400, 'form', 'objects'],
    ['/api/v1/graph/events?at=2026-01-01T00:00:00Z', 400, 'at', '/api/v1/graph'],
    ['/api/v1/timeline?from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z', 400, 'from', 'earlier'],
    ['/api/v1/timeline?from=2001-01-01T00:00:00Z', 400, 'from', '31 days'],
    ['/api/v1/series', 400, 'node', 'workload/shop/cart'],
    ['/api/v1/series?node=a&edge=b', 400, 'edge', 'one of them'],
    ['/api/v1/requests?status=9xx', 400, 'status', '5xx'],
    ['/api/v1/requests?status=500-400', 400, 'status', '5xx'],
    ['/api/v1/requests?limit=-1', 400, 'limit', '1 to'],
    ['/api/v1/requests?methods=%3Cscript%3E', 400, 'methods', 'names'],
    ['/api/v1/traces/xyz', 400, 'traceId', '/api/v1/traces'],
    ['/api/v1/traces?sort=best', 400, 'sort', 'newest, slowest'],
    ['/api/v1/history/one', 400, 'version', '/api/v1/history'],
    ['/api/v1/config?kinds=Pod', 400, 'kinds', 'VirtualService'],
    ['/api/v1/schemas/Pod', 400, 'kind', 'VirtualService'],
    ['/api/v1/logs/shop/cart-1?limit=0', 400, 'limit', '1 to'],
    ['/api/v1/workloads/%ff/x', 400, 'namespace', 'UTF-8'],
    ['/api/v1/workloads/shop/a%0d%0aset-cookie:x', 400, 'name', 'names'],
  ])('%s is %p, and says which member and what is right', async (path, status, field, hint) => {
    await using rig = startConsoleRig();
    const response = await rig.ask(path);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      code: 'CONSOLE_BAD_PARAMETER',
      field,
      hint: expect.stringContaining(hint),
      error: expect.stringContaining(field),
    });
  });

  test.each([
    ['GET', '/api/v1/nothing', undefined, 404, 'CONSOLE_NOT_FOUND'],
    ['GET', '/api/graph', undefined, 404, 'CONSOLE_NOT_FOUND'],
    ['GET', '/api/v1/why', undefined, 405, 'CONSOLE_METHOD'],
    ['DELETE', '/api/v1/graph', undefined, 405, 'CONSOLE_METHOD'],
    ['POST', '/', '{}', 405, 'CONSOLE_METHOD'],
    ['GET', '/api/v1/workloads/shop/none', undefined, 404, 'CONSOLE_NOT_FOUND'],
    ['POST', '/api/v1/why', '{', 400, 'CONSOLE_BAD_BODY'],
    ['POST', '/api/v1/login', '{}', 400, 'CONSOLE_BAD_BODY'],
    ['POST', '/api/v1/login', '[]', 400, 'CONSOLE_BAD_BODY'],
    ['POST', '/api/v1/login', 'null', 400, 'CONSOLE_BAD_BODY'],
    ['POST', '/api/v1/login', '{"token":7}', 400, 'CONSOLE_BAD_BODY'],
    ['POST', '/api/v1/config/validate', '{"yaml":""}', 400, 'CONSOLE_BAD_BODY'],
    ['POST', '/api/v1/why', `"${'x'.repeat(WHY_BODY_BYTES_MAX)}"`, 413, 'CONSOLE_TOO_LARGE'],
    ['GET', `/api/v1/graph?focus=${'x'.repeat(9000)}`, undefined, 414, 'CONSOLE_TOO_LARGE'],
  ])('%s %s with %p is %p', async (method, path, body, status, code) => {
    await using rig = startConsoleRig();
    const response = await rig.ask(path, { method, body });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ code, hint: expect.any(String) });
    expect(response.headers.has('allow')).toBe(status === 405);
  });

  test('a body that is not said to be JSON is not read: forms of other sites cannot say so', async () => {
    await using rig = startConsoleRig();
    const response = await rig.ask('/api/v1/why', {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'text/plain' },
    });
    expect(response.status).toBe(415);
  });

  test('a body without an end is not kept', async () => {
    await using rig = startConsoleRig();
    const status = await sendRaw(rig.port, [
      'PUT /api/v1/config/AuthorizationPolicy/shop/a HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\n',
      `content-length: ${CONFIG_BODY_BYTES_MAX * 100}\r\n\r\n`,
    ]);
    expect(status).toMatch(/^HTTP\/1.1 4(03|13)/);
  });

  test('who asks too often is told to wait', async () => {
    await using rig = startConsoleRig();
    const statuses = await Promise.all(
      Array.from({ length: 450 }, async () => (await rig.ask('/api/v1/session')).status),
    );
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(400);
    expect(statuses).toContain(429);
  });

  test('names and messages with markup come back as JSON text, never as a page', async () => {
    const name = '<img src=x onerror=alert(1)>';
    await using rig = startConsoleRig();
    rig.data.nodes = [
      { ...node('shop', name), labels: { evil: '</script><script>alert(1)</script>' } },
    ];
    const response = await rig.ask('/api/v1/graph');
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toMatchObject({ nodes: [{ name }] });
    const refused = await rig.ask(`/api/v1/graph?type=${encodeURIComponent(name)}`);
    expect(refused.headers.get('content-type')).toContain('application/json');
  });
});

test('logs show what the mesh saw, and say why the rest is missing', async () => {
  await using rig = startConsoleRig({ mesh: smallMesh() });
  const answer = await (await rig.ask('/api/v1/logs/shop/cart-1')).json();
  expect(answer).toMatchObject({
    lines: [{ from: 'mesh', text: expect.stringContaining('GET cart/items 200') }],
    isCut: false,
    notice: expect.stringContaining('log in'),
  });
});
