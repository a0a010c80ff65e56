import { describe, expect, test } from 'bun:test';
import type { Route, RouteDestination } from '#model/route/route-table.ts';
import { route, to, WaypointRig } from '#test/support/waypoint-rig.ts';

const NONE = { set: {}, add: {}, remove: [] };

async function sent(
  part: Partial<Route>,
  destination: Partial<RouteDestination> = {},
  headers: Record<string, string> = {},
) {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [{ ...to('canary'), ...destination }], part)]);
  mesh.scripts.set('c1', () => ({ answer: 200, headers: { etag: 'v7', 'x-secret': '1' } }));
  const exchange = await mesh.get('/api/x?q=1', headers);
  const [seen] = mesh.seen;
  return { request: seen.request, response: exchange.head };
}

describe('header operations', () => {
  test('set, add and remove at route and destination level, the destination after the route', async () => {
    const { request } = await sent(
      { headers: { request: { set: { 'X-A': 'route' }, add: { 'x-b': '1' }, remove: ['x-c'] } } },
      { headers: { request: { set: { 'x-a': 'own' }, add: { 'x-b': '2' }, remove: [] } } },
      { 'x-a': 'client', 'x-c': 'gone' },
    );
    expect(request.getAll('x-a')).toBe('own');
    expect(request.getAll('x-b')).toBe('1, 2');
    expect(request.has('x-c')).toBe(false);
  });

  test('values are formatted with what the request is', async () => {
    const set = {
      'x-from': '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
      'x-who': '%DOWNSTREAM_PEER_URI_SAN%',
      'x-agent': '%REQ(USER-AGENT):3%',
      'x-route': '%ROUTE_NAME%/%PROTOCOL%',
      'x-percent': '100%%',
      'x-path': '%REQ(:PATH)%',
    };
    const { request } = await sent(
      { headers: { request: { ...NONE, set } } },
      {},
      { 'user-agent': 'curl/8' },
    );
    expect(Object.keys(set).map((name) => request.get(name))).toEqual([
      '198.18.1.5',
      'spiffe://cluster.local/ns/shop/sa/web',
      'cur',
      'r/HTTP/1.1',
      '100%',
      '/api/x?q=1',
    ]);
  });

  test('a value that comes out empty changes nothing, a literal empty one does', async () => {
    const set = { 'x-a': '%REQ(x-none)%', 'x-b': '' };
    const { request } = await sent(
      { headers: { request: { ...NONE, set } } },
      {},
      { 'x-a': 'kept', 'x-b': 'replaced' },
    );
    expect([request.get('x-a'), request.get('x-b')]).toEqual(['kept', '']);
  });

  test('answers: fields of the answer and of the upstream may be named, secrets removed', async () => {
    const { response } = await sent(
      { headers: { response: { ...NONE, set: { 'x-code': '%RESPONSE_CODE% %RESP(etag)%' } } } },
      {
        headers: {
          response: { ...NONE, add: { 'x-to': '%UPSTREAM_CLUSTER%' }, remove: ['X-Secret'] },
        },
      },
    );
    expect(response?.get('x-code')).toBe('200 v7');
    expect(response?.get('x-to')).toBe('outbound|80|canary|p.shop.svc.cluster.local');
    expect(response?.has('x-secret')).toBe(false);
  });

  test('framing and hop-by-hop fields are nobody’s to change', async () => {
    const set = { 'transfer-encoding': 'chunked', 'Content-Length': '5', connection: 'close' };
    const { request } = await sent({ headers: { request: { ...NONE, set, remove: ['host'] } } });
    for (const name in set) expect(request.has(name.toLowerCase())).toBe(false);
    expect(request.authority).toBe('product-service');
  });
});

describe('the authority', () => {
  const hostOf = (host: string) => ({ request: { ...NONE, set: { Host: host } } });
  test.each([
    ['a rewrite', { rewrite: { authority: 'a' } }, {}, 'a'],
    ['Host in set', { headers: hostOf('b') }, {}, 'b'],
    [
      ':authority in set',
      { headers: { request: { ...NONE, set: { ':authority': 'c' } } } },
      {},
      'c',
    ],
    ['the destination’s Host', {}, { headers: hostOf('d') }, 'd'],
    [
      'the route’s Host before the destination’s',
      { headers: hostOf('e') },
      { headers: hostOf('f') },
      'e',
    ],
    [
      'the destination’s rewrite',
      { rewrite: { authority: 'g' } },
      { rewrite: { authority: 'h' } },
      'h',
    ],
  ] as [string, Partial<Route>, Partial<RouteDestination>, string][])(
    '%s',
    async (_title, part, destination, want) => {
      const { request } = await sent(part, destination);
      expect(request.authority).toBe(want);
      expect(request.get('x-forwarded-host')).toBe('product-service');
    },
  );
});

test('a second try at another destination does not inherit the first one’s changes', async () => {
  const mesh = new WaypointRig();
  const own = { request: { ...NONE, set: { 'x-only': 'canary', host: 'canary' } } };
  mesh.configure([route('r', [{ ...to('canary', 1_000_000), headers: own }, to('stable', 1)])]);
  mesh.scripts.set('c1', () => 'refuse');
  const { status } = await mesh.get();
  expect(status).toBe(200);
  const [seen] = mesh.seen;
  expect([seen.request.has('x-only'), seen.request.authority]).toEqual([false, 'product-service']);
});

describe('answers of the rule', () => {
  test('bytes and content type of a direct response, with the route’s header operations', async () => {
    const mesh = new WaypointRig();
    mesh.configure([
      route('r', [], {
        action: {
          kind: 'respond',
          status: 200,
          bodyBytes: Buffer.from('<p>hi</p>').toString('base64'),
          contentType: 'text/html',
        },
        headers: { response: { ...NONE, add: { 'x-rule': '%ROUTE_NAME%' } } },
      }),
    ]);
    const { body, head } = await mesh.get();
    expect([body, head?.get('content-type'), head?.get('content-length')]).toEqual([
      '<p>hi</p>',
      'text/html',
      '9',
    ]);
    expect(head?.get('x-rule')).toBe('r');
  });

  test('a destination that redirects', async () => {
    const mesh = new WaypointRig();
    const redirect = { status: 303, authority: 'elsewhere' };
    mesh.configure([route('r', [{ ...to('canary'), redirect }])]);
    const { status, head } = await mesh.get('/a?b');
    expect([status, head?.get('location')]).toEqual([303, 'http://elsewhere/a?b']);
    expect(mesh.log).toContain('303 - direct_response');
  });
});
