import { describe, expect, test } from 'bun:test';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { Cors } from '#model/route/route-table.ts';
import { route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { corsDecision } from './cors.ts';

const CORS: Cors = {
  allowOrigins: [
    { kind: 'exact', value: 'https://shop.example' },
    { kind: 'prefix', value: 'https://dev-' },
    { kind: 'regex', value: 'https://[a-z]+\\.example\\.org' },
  ],
  allowMethods: ['GET', 'POST'],
  allowHeaders: ['x-one', 'x-two'],
  exposeHeaders: ['x-shown'],
  maxAgeSeconds: 600,
  allowCredentials: false,
  unmatchedPreflights: 'forward',
};

function request(method: string, headers: Record<string, string>): MessageHead {
  const head = MessageHead.request(method, 'shop', '/');
  for (const name in headers) head.add(name, headers[name]);
  return head;
}
const preflight = (origin: string, part: Record<string, string> = {}) =>
  request('OPTIONS', { origin, 'access-control-request-method': 'PUT', ...part });

describe('corsDecision', () => {
  /** [title, policy, request, kind] */
  const rows: [string, Partial<Cors>, MessageHead, string][] = [
    ['no origin', {}, request('GET', {}), 'pass'],
    ['empty origin', {}, request('GET', { origin: '' }), 'pass'],
    ['exact origin', {}, request('GET', { origin: 'https://shop.example' }), 'actual'],
    ['origin by prefix', {}, request('GET', { origin: 'https://dev-1.x' }), 'actual'],
    ['origin by regex', {}, request('GET', { origin: 'https://a.example.org' }), 'actual'],
    ['regex is whole', {}, request('GET', { origin: 'https://a.example.org.evil' }), 'pass'],
    ['other origin', {}, request('GET', { origin: 'https://evil.example' }), 'pass'],
    [
      'any origin',
      { allowOrigins: [{ kind: 'exact', value: '*' }] },
      request('GET', { origin: 'null' }),
      'actual',
    ],
    ['preflight', {}, preflight('https://shop.example'), 'preflight'],
    [
      'OPTIONS without asking for a method',
      {},
      request('OPTIONS', { origin: 'https://shop.example' }),
      'actual',
    ],
    [
      'a preflight method is a preflight only with OPTIONS',
      {},
      request('GET', { origin: 'https://shop.example', 'access-control-request-method': 'PUT' }),
      'actual',
    ],
    ['unmatched preflight goes on', {}, preflight('https://evil.example'), 'pass'],
    [
      'unmatched preflight is answered',
      { unmatchedPreflights: 'ignore' },
      preflight('https://evil.example'),
      'preflight',
    ],
  ];
  test.each(rows)('%s', (_title, part, head, kind) => {
    expect(corsDecision({ ...CORS, ...part }, head).kind).toBe(kind as 'pass');
  });

  const fieldsOf = (part: Partial<Cors>, head: MessageHead) => {
    const decision = corsDecision({ ...CORS, ...part }, head);
    if (decision.kind !== 'preflight') throw new Error(decision.kind);
    const fields: Record<string, string> = {};
    decision.head.forEach((name, value) => {
      fields[name] = value;
    });
    return fields;
  };

  test('a preflight says what the policy allows, and that the answer depends on the origin', () => {
    expect(fieldsOf({}, preflight('https://shop.example'))).toEqual({
      'content-length': '0',
      'access-control-allow-origin': 'https://shop.example',
      'access-control-expose-headers': 'x-shown',
      vary: 'Origin',
      'access-control-allow-methods': 'GET,POST',
      'access-control-allow-headers': 'x-one,x-two',
      'access-control-max-age': '600',
    });
  });

  test('with credentials wildcards name what was asked for: a browser takes no * then', () => {
    const part = { allowCredentials: true, allowMethods: ['*'], allowHeaders: ['*'] };
    const asked = preflight('https://shop.example', {
      'access-control-request-headers': 'x-a, x-b',
    });
    expect(fieldsOf(part, asked)).toMatchObject({
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'PUT',
      'access-control-allow-headers': 'x-a, x-b',
    });
  });

  test('an unmatched preflight that is answered here allows nothing', () => {
    const fields = fieldsOf({ unmatchedPreflights: 'ignore' }, preflight('https://evil.example'));
    expect(fields).toEqual({ 'content-length': '0' });
  });
});

describe('a request under a CORS policy', () => {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [to('canary')], { cors: CORS })]);

  test('the preflight is answered 200 and never reaches the application', async () => {
    const exchange = mesh.begin(
      'OPTIONS',
      '/',
      {
        origin: 'https://shop.example',
        'access-control-request-method': 'GET',
      },
      true,
    );
    expect([exchange.status, mesh.seen.length]).toEqual([200, 0]);
    expect(mesh.log).toContain('200 - cors_response');
  });

  test('the answer of the application is decorated, its own CORS fields are replaced', async () => {
    mesh.scripts.set('c1', () => ({
      answer: 200,
      headers: { 'access-control-allow-origin': '*', vary: 'accept' },
    }));
    const { head } = await mesh.get('/', { origin: 'https://shop.example' });
    expect(head?.getAll('access-control-allow-origin')).toBe('https://shop.example');
    expect(head?.getAll('access-control-expose-headers')).toBe('x-shown');
    expect(head?.getAll('vary')).toBe('accept, Origin');
  });

  test('a failure is decorated, too: scripts may read why', async () => {
    mesh.scripts.set('c1', () => 'break');
    const { status, head } = await mesh.get('/', { origin: 'https://shop.example' });
    expect(status).toBe(503);
    expect(head?.get('access-control-allow-origin')).toBe('https://shop.example');
  });
});
