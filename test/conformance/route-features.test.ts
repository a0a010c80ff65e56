/**
 * What routes do to requests, beside Envoy given the configuration that Istio makes of the same fields: each row's requests go
 * through both, and clients, application and log lines must see the same.
 */
import { describe, expect, test } from 'bun:test';
import { request } from 'node:http';
import type { Route } from '#model/route/route-table.ts';
import { missingEnvoy, startEnvoy } from '#test/support/envoy-proxy.ts';
import { httpEngine } from '#test/support/http-engine.ts';

const NONE = { set: {}, add: {}, remove: [] };
const TYPE = 'type.googleapis.com/envoy';
const FORWARD = { cluster: 'upstream', timeout: '0s' };

interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

interface Row {
  readonly title: string;
  readonly rule: Partial<Route>;
  /** The route as Istio would write it for Envoy. */
  readonly envoy: object;
  readonly filters?: readonly object[];
  readonly asks: readonly Ask[];
}

const filter = (name: string, type: string) => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `${TYPE}.extensions.filters.http.${name}.v3.${type}` },
});
const perRoute = (name: string, type: string, config: object) => ({
  typed_per_filter_config: {
    [`envoy.filters.http.${name}`]: {
      '@type': `${TYPE}.extensions.filters.http.${name}.v3.${type}`,
      ...config,
    },
  },
});
const all = { numerator: 100, denominator: 'HUNDRED' };
const header = (key: string, value: string, append_action: string) => ({
  header: { key, value },
  append_action,
});
const SET = 'OVERWRITE_IF_EXISTS_OR_ADD';
const ADD = 'APPEND_IF_EXISTS_OR_ADD';
const RETRIES = { attempts: 2, on: ['5xx'], statusCodes: [], backoffBaseMs: 1 };
const retryPolicy = (part: object) => ({
  num_retries: 2,
  retry_back_off: { base_interval: '0.001s' },
  ...part,
});
const CORS: Route['cors'] = {
  allowOrigins: [
    { kind: 'exact', value: 'https://a.example' },
    { kind: 'prefix', value: 'https://b' },
  ],
  allowMethods: ['GET', 'PUT'],
  allowHeaders: ['x-one', 'x-two'],
  exposeHeaders: ['x-shown'],
  maxAgeSeconds: 60,
  allowCredentials: true,
  unmatchedPreflights: 'forward',
};
const envoyCors = (forward: boolean) =>
  perRoute('cors', 'CorsPolicy', {
    allow_origin_string_match: [{ exact: 'https://a.example' }, { prefix: 'https://b' }],
    allow_methods: 'GET,PUT',
    allow_headers: 'x-one,x-two',
    expose_headers: 'x-shown',
    max_age: '60',
    allow_credentials: true,
    forward_not_matching_preflights: forward,
    filter_enabled: { default_value: all },
  });
const preflight = (origin: string): Ask => ({
  method: 'OPTIONS',
  headers: { origin, 'access-control-request-method': 'PUT' },
});
const crossOrigin: Ask[] = [
  { headers: { origin: 'https://a.example' } },
  { headers: { origin: 'https://b.example' } },
  { headers: { origin: 'https://evil.example' } },
  {},
  preflight('https://a.example'),
  preflight('https://evil.example'),
  { method: 'OPTIONS', headers: { origin: 'https://a.example' } },
];
const GRPC = { 'content-type': 'application/grpc' };

const rows: Row[] = [
  {
    title: 'cross-origin requests',
    rule: { cors: CORS },
    envoy: { route: FORWARD, ...envoyCors(true) },
    filters: [filter('cors', 'Cors')],
    asks: crossOrigin,
  },
  {
    title: 'an abort',
    rule: { fault: { abort: { percent: 100, httpStatus: 503 } } },
    envoy: {
      route: FORWARD,
      ...perRoute('fault', 'HTTPFault', { abort: { http_status: 503, percentage: all } }),
    },
    filters: [filter('fault', 'HTTPFault')],
    asks: [{}, { headers: GRPC }],
  },
  {
    title: 'an abort with a gRPC status',
    rule: { fault: { abort: { percent: 100, grpcStatus: 8 } } },
    envoy: {
      route: FORWARD,
      ...perRoute('fault', 'HTTPFault', { abort: { grpc_status: 8, percentage: all } }),
    },
    filters: [filter('fault', 'HTTPFault')],
    asks: [{ headers: GRPC }, {}],
  },
  {
    title: 'a delay and an abort',
    rule: { fault: { delay: { ms: 5, percent: 100 }, abort: { percent: 100, httpStatus: 418 } } },
    envoy: {
      route: FORWARD,
      ...perRoute('fault', 'HTTPFault', {
        delay: { fixed_delay: '0.005s', percentage: all },
        abort: { http_status: 418, percentage: all },
      }),
    },
    filters: [filter('fault', 'HTTPFault')],
    asks: [{}],
  },
  {
    title: 'a delay alone',
    rule: { fault: { delay: { ms: 5, percent: 100 } } },
    envoy: {
      route: FORWARD,
      ...perRoute('fault', 'HTTPFault', { delay: { fixed_delay: '0.005s', percentage: all } }),
    },
    filters: [filter('fault', 'HTTPFault')],
    asks: [{}],
  },
  {
    title: 'header operations with operators',
    rule: {
      headers: {
        request: {
          set: {
            'x-address': '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
            'x-agent': '%REQ(USER-AGENT):4%',
            'x-either': '%REQ(X-NONE?X-HAVE)%',
            'x-kept': '%REQ(X-NONE)%',
            'x-percent': '100%%',
            'x-path': '%REQ(:PATH)% %REQ(:METHOD)% %PROTOCOL%',
          },
          add: { 'x-have': 'more', 'x-new': 'new' },
          remove: ['x-gone'],
        },
        response: {
          set: { 'x-code': '%RESPONSE_CODE%', 'x-of-app': '%RESP(X-APP)% %RESP(X-NONE)%|' },
          add: { 'x-app': 'two' },
          remove: ['x-secret'],
        },
      },
    },
    envoy: {
      route: FORWARD,
      request_headers_to_add: [
        header('x-address', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', SET),
        header('x-agent', '%REQ(USER-AGENT):4%', SET),
        header('x-either', '%REQ(X-NONE?X-HAVE)%', SET),
        header('x-kept', '%REQ(X-NONE)%', SET),
        header('x-percent', '100%%', SET),
        header('x-path', '%REQ(:PATH)% %REQ(:METHOD)% %PROTOCOL%', SET),
        header('x-have', 'more', ADD),
        header('x-new', 'new', ADD),
      ],
      request_headers_to_remove: ['x-gone'],
      response_headers_to_add: [
        header('x-code', '%RESPONSE_CODE%', SET),
        header('x-of-app', '%RESP(X-APP)% %RESP(X-NONE)%|', SET),
        header('x-app', 'two', ADD),
      ],
      response_headers_to_remove: ['x-secret'],
    },
    asks: [{ headers: { 'user-agent': 'curl/8', 'x-have': 'a', 'x-kept': 'k', 'x-gone': 'g' } }],
  },
  {
    title: 'a host rewrite',
    rule: { rewrite: { authority: 'other.example' } },
    envoy: {
      route: { ...FORWARD, host_rewrite_literal: 'other.example', append_x_forwarded_host: true },
    },
    asks: [{}],
  },
  {
    title: 'a direct response with header operations',
    rule: {
      action: { kind: 'respond', status: 503, body: 'closed' },
      headers: { response: { ...NONE, set: { 'x-by': '%REQ(:METHOD)%' } } },
    },
    envoy: {
      direct_response: { status: 503, body: { inline_string: 'closed' } },
      response_headers_to_add: [header('x-by', '%REQ(:METHOD)%', SET)],
    },
    asks: [{}, { method: 'HEAD' }],
  },
  {
    title: 'a redirect',
    rule: { action: { kind: 'redirect', status: 308, path: '/new', scheme: 'https' } },
    envoy: {
      redirect: {
        path_redirect: '/new',
        scheme_redirect: 'https',
        response_code: 'PERMANENT_REDIRECT',
      },
    },
    asks: [{ path: '/old?q=1' }],
  },
  {
    title: 'retries on 5xx',
    rule: { retries: RETRIES },
    envoy: { route: { ...FORWARD, retry_policy: retryPolicy({ retry_on: '5xx' }) } },
    asks: [
      { path: '/?status=503' },
      { path: '/?status=503&times=1' },
      { path: '/?status=503&times=2', method: 'POST' },
      { path: '/?status=404' },
      { path: '/?break=1' },
      { path: '/?status=503&header=x-envoy-ratelimited' },
    ],
  },
  {
    title: 'retries on listed statuses',
    rule: { retries: { ...RETRIES, on: ['retriable-status-codes'], statusCodes: [429] } },
    envoy: {
      route: {
        ...FORWARD,
        retry_policy: retryPolicy({
          retry_on: 'retriable-status-codes',
          retriable_status_codes: [429],
        }),
      },
    },
    asks: [
      { path: '/?status=429&times=1' },
      { path: '/?status=503&times=1' },
      { path: '/?break=1' },
    ],
  },
  {
    title: 'retries on a gRPC status',
    rule: { retries: { ...RETRIES, on: ['unavailable'] } },
    envoy: { route: { ...FORWARD, retry_policy: retryPolicy({ retry_on: 'unavailable' }) } },
    asks: [
      { path: '/?grpc=14&times=1', headers: GRPC },
      { path: '/?grpc=13&times=1', headers: GRPC },
      { path: '/?status=503&times=1', headers: GRPC },
    ],
  },
  {
    title: 'a route timeout',
    rule: { timeoutMs: 400 },
    envoy: { route: { ...FORWARD, timeout: '0.4s', max_grpc_timeout: '0.4s' } },
    asks: [{ path: '/?delay=4000' }, { path: '/?delay=4000', headers: GRPC }, {}],
  },
  {
    title: 'a per-try timeout',
    rule: { retries: { ...RETRIES, attempts: 1, perTryTimeoutMs: 400 } },
    envoy: {
      route: {
        ...FORWARD,
        retry_policy: retryPolicy({ num_retries: 1, retry_on: '5xx', per_try_timeout: '0.4s' }),
      },
    },
    asks: [{ path: '/?delay=4000' }, { path: '/?delay=4000&times=1' }],
  },
];

/** Of answers: fields that say when or by whom, and those that Envoy adds to what it makes itself. */
const OWN = new Set([
  ...['date', 'server', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'],
  ...['x-envoy-upstream-service-time', 'x-envoy-attempt-count', 'vary', 'content-type'],
]);
/** Of requests: fields of a kind that this comparison's Envoy is not asked for. */
const OWN_SENT = new Set([
  ...['x-request-id', 'traceparent', 'x-forwarded-proto', 'x-forwarded-for', 'content-length'],
  ...['connection', 'host', 'accept-encoding', 'accept'],
]);

function application() {
  const seen: string[] = [];
  const counts = new Map<string, number>();
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(asked) {
      const url = new URL(asked.url);
      const count = (counts.get(url.search) ?? 0) + 1;
      counts.set(url.search, count);
      const fields = [...asked.headers]
        .filter(([name]) => !OWN_SENT.has(name))
        .map(([name, value]) => `${name}: ${value}`)
        .sort();
      seen.push(
        `${asked.method} ${asked.headers.get('host')} ${url.pathname}${url.search} ${fields.join('; ')}`,
      );
      const ask = (name: string) => Number(url.searchParams.get(name) ?? 0);
      const acts = ask('times') === 0 || count <= ask('times');
      if (acts && ask('delay') > 0) await Bun.sleep(ask('delay'));
      if (acts && ask('break') > 0) throw new BreakOff();
      const headers: Record<string, string> = { 'x-app': 'one', 'x-secret': 's' };
      const named = url.searchParams.get('header');
      if (named !== null) headers[named] = 'true';
      if (asked.headers.get('content-type')?.startsWith('application/grpc')) {
        headers['content-type'] = 'application/grpc';
        headers['grpc-status'] = acts ? String(ask('grpc')) : '0';
      }
      return new Response('', { status: (acts && ask('status')) || 200, headers });
    },
    error: () => new Response('', { status: 500 }),
  });
  return { seen, port: server.port ?? 0, stop: () => server.stop(true) };
}
class BreakOff extends Error {}

/** What the client sees, a line a request. */
async function answers(port: number, asks: readonly Ask[]): Promise<string[]> {
  const lines: string[] = [];
  for (const { path = '/', method = 'GET', headers = {} } of asks) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const sent = request(
      {
        port,
        host: '127.0.0.1',
        path,
        method,
        headers: { host: 'a.example', ...headers },
        agent: false,
      },
      (response) => {
        const fields = Object.entries(response.headers)
          .filter(([name]) => !OWN.has(name))
          .map(([name, value]) => `${name}: ${value}`)
          // Our reason follows Envoy's words.
          .map((line) => (line.startsWith('grpc-message') ? 'grpc-message' : line))
          .sort();
        response.resume().on('close', () => resolve(`${response.statusCode} ${fields.join('; ')}`));
      },
    );
    sent.on('error', (error) => resolve(error.message));
    sent.end();
    lines.push(await promise);
  }
  return lines;
}

/** What a request has used of its 400 ms before it is sent on is taken off, and a busy machine uses some. */
const wholeTimeout = (line: string) => line.replaceAll(/\b[1-3]\d\d(?=m?(?:;|$))/g, '400');

/** Code, flags and details. */
const ours = (log: string) =>
  [...log.matchAll(/^\[[^\]]*\] "[^"]*" (\d+) (\S+) (\S+) /gm)].map((found) =>
    found.slice(1).join(' '),
  );
const theirs = (log: string) =>
  log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ').slice(0, 3).join(' '));

describe.skipIf(missingEnvoy() !== undefined)('a route with', () => {
  for (const { title, rule, envoy, filters, asks } of rows) {
    test(title, async () => {
      const [own, foreign] = [application(), application()];
      try {
        using mesh = httpEngine({ upstreamPort: own.port, rule });
        const place = { upstreamPort: foreign.port, route: envoy };
        await using other = await startEnvoy({ ...place, filters });
        const want = await answers(other.port, asks);
        expect(await answers(mesh.port, asks)).toEqual(want);
        expect(own.seen.map(wholeTimeout)).toEqual(foreign.seen.map(wholeTimeout));
        for (let turn = 0; turn < 1_000 && theirs(other.log()).length < asks.length; turn += 1) {
          await Bun.sleep(10);
        }
        expect(ours(mesh.log())).toEqual(theirs(other.log()));
      } finally {
        await Promise.all([own.stop(), foreign.stop()]);
      }
    });
  }
});
