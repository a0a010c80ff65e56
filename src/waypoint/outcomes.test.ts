/** Every way in which a request ends: what the client gets, and what log line and metrics say. Flags and details are Envoy's. */
import { expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { Route, RouteTable, TrafficPolicy } from '#model/route/route-table.ts';
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import {
  type Behaviour,
  POLICY,
  RETRIES,
  route,
  type ScriptedExchange,
  to,
  upstream,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';

interface Row {
  readonly title: string;
  /** What the application does; answers 200 when absent. */
  readonly app?: Behaviour;
  readonly rule?: Partial<Route>;
  readonly destination?: string;
  readonly table?: Partial<RouteTable>;
  readonly policy?: TrafficPolicy;
  readonly endpoints?: 'none';
  readonly streamLifeMs?: number;
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly path?: string;
  /** Runs after the request came. */
  readonly afterwards?: (mesh: WaypointRig, exchange: ScriptedExchange) => void;
  /** Milliseconds that pass. */
  readonly wait?: number;
  readonly status: number;
  /** As the log line has it, when the client never got a status. */
  readonly logged?: number;
  readonly flags: string;
  readonly details: string;
}

const NO_OUTLIER: TrafficPolicy = { ...POLICY, outlier: undefined };
const pool = (part: object): TrafficPolicy => ({
  ...NO_OUTLIER,
  connectionPool: { ...POLICY.connectionPool, ...part },
});
const NOBODY = {
  namespace: 'shop',
  name: 'nobody',
  action: 'ALLOW' as const,
  dryRun: false,
  rules: [],
};
const TOKENS = { namespace: 'shop', name: 'jwt', rules: [{ issuer: 'me' }] };
const OFF = { ...RETRIES, attempts: 0 };
const FIVE = { ...RETRIES, attempts: 1, on: ['5xx'] };
const PROVENANCE = { kind: 'LocalRateLimit', namespace: 'shop', name: 'l' };
const LIMIT: RateLimit = {
  id: 'l',
  provenance: PROVENANCE,
  key: { kind: 'overall' },
  requests: 1,
  unitMs: 1000,
  burst: 1,
};
const SHEDDING: LoadShedding = {
  id: 's',
  provenance: { ...PROVENANCE, kind: 'LoadShedding' },
  maxRequests: 1,
  retryAfterSeconds: 1,
};
const again = (mesh: WaypointRig) => void mesh.begin('GET', '/', {}, true);
const gone =
  (code: string, answered = 0) =>
  (_mesh: WaypointRig, exchange: ScriptedExchange) =>
    exchange.handler.onAbort(new MeshError(code, 'x', { side: 'downstream', hint: 'h' }), answered);
const answerHalf = (mesh: WaypointRig) =>
  mesh.seen[0].handler.onHead(MessageHead.response(200), false);
const before = 'upstream_reset_before_response_started';
const cors = {
  allowOrigins: [{ kind: 'exact', value: '*' }],
  allowMethods: ['GET'],
  allowHeaders: [],
  exposeHeaders: [],
  allowCredentials: false,
  unmatchedPreflights: 'forward',
} as const;
const never = {
  path: { kind: 'exact', value: '/never' },
  headers: [],
  withoutHeaders: [],
  queryParams: [],
} as const;

const rows: Row[] = [
  {
    title: 'the end of the process',
    app: 'hang',
    afterwards: (mesh) => mesh.engine.endAll('the proxy is shutting down'),
    status: 503,
    flags: 'LR',
    details: 'drain_deadline',
  },
  {
    title: 'the end of the process in an answer',
    app: 'hang',
    afterwards: (mesh) => {
      answerHalf(mesh);
      mesh.engine.endAll('bye');
    },
    status: 200,
    flags: 'LR',
    details: 'drain_deadline',
  },
  {
    title: 'a stream that lasts too long',
    app: 'hang',
    streamLifeMs: 1000,
    wait: 1200,
    status: 504,
    flags: 'DT',
    details: 'max_duration_timeout',
  },
  { title: 'an answer', status: 200, flags: '-', details: 'via_upstream' },
  {
    title: 'an error of the application',
    app: { answer: 500 },
    rule: { retries: OFF },
    status: 500,
    flags: '-',
    details: 'via_upstream',
  },
  {
    title: 'a redirect',
    rule: { action: { kind: 'redirect', status: 301, path: '/x' } },
    status: 301,
    flags: '-',
    details: 'direct_response',
  },
  {
    title: 'a direct response',
    rule: { action: { kind: 'respond', status: 418 } },
    status: 418,
    flags: '-',
    details: 'direct_response',
  },
  {
    title: 'a preflight',
    rule: { cors },
    method: 'OPTIONS',
    headers: { origin: 'o', 'access-control-request-method': 'GET' },
    status: 200,
    flags: '-',
    details: 'cors_response',
  },
  {
    title: 'a path with an escaped NUL',
    path: '/%00',
    status: 400,
    flags: '-',
    details: 'path_normalization_failed',
  },
  {
    title: 'no route',
    rule: { matches: [never] },
    status: 404,
    flags: 'NR',
    details: 'route_not_found',
  },
  {
    title: 'a policy that forbids',
    table: { denied: { policy: 'p', reason: 'no' } },
    status: 403,
    flags: '-',
    details: 'rbac_access_denied_matched_policy',
  },
  {
    title: 'a policy that allows others',
    table: { policies: { trustDomains: [], policies: [NOBODY], tokens: [] } },
    status: 403,
    flags: '-',
    details: 'rbac_access_denied_matched_policy[none]',
  },
  {
    title: 'a token that is none',
    table: { policies: { trustDomains: [], policies: [], tokens: [TOKENS] } },
    headers: { authorization: 'Bearer x' },
    status: 401,
    flags: '-',
    details:
      'jwt_authn_access_denied{Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections}',
  },
  {
    title: 'a subset that is not defined',
    destination: 'nope',
    status: 503,
    flags: 'NC',
    details: 'cluster_not_found',
  },
  {
    title: 'no endpoints',
    endpoints: 'none',
    status: 503,
    flags: 'UH',
    details: 'no_healthy_upstream',
  },
  {
    title: 'too many requests',
    policy: pool({ maxRequests: 0 }),
    status: 503,
    flags: 'UO',
    details: `${before}{overflow}`,
  },
  {
    title: 'too many waiting requests',
    app: 'hang',
    policy: pool({ maxPendingRequests: 0 }),
    status: 503,
    flags: 'UO',
    details: `${before}{overflow}`,
  },
  {
    title: 'no connection',
    app: 'refuse',
    rule: { retries: OFF },
    status: 503,
    flags: 'UF',
    details: `${before}{connection_failure}`,
  },
  {
    title: 'no connection, tried again',
    app: 'refuse',
    rule: { retries: { ...FIVE, on: ['connect-failure'] } },
    wait: 100,
    status: 503,
    flags: 'URX,UF',
    details: `${before}{connection_failure}`,
  },
  {
    title: 'a broken connection',
    app: 'break',
    status: 503,
    flags: 'UC',
    details: `${before}{connection_termination}`,
  },
  {
    title: 'a refused stream',
    app: { error: 'H2_STREAM_REFUSED' },
    rule: { retries: OFF },
    status: 503,
    flags: 'UR',
    details: `${before}{remote_refused_stream_reset}`,
  },
  {
    title: 'a reset stream',
    app: { error: 'H2_STREAM_RESET' },
    status: 503,
    flags: 'UR',
    details: `${before}{remote_reset}`,
  },
  {
    title: 'a broken protocol',
    app: { error: 'H2_PROTOCOL' },
    status: 502,
    flags: 'UPE',
    details: `${before}{protocol_error}`,
  },
  {
    title: 'an answer that breaks off',
    app: 'half',
    status: 200,
    flags: 'UC',
    details: 'upstream_reset_after_response_started{connection_termination}',
  },
  {
    title: 'retries used up on a status',
    app: { answer: 503 },
    rule: { retries: FIVE },
    wait: 100,
    status: 503,
    flags: 'URX',
    details: 'via_upstream',
  },
  {
    title: 'the retry budget used up',
    app: { answer: 503 },
    rule: { retries: FIVE },
    policy: { ...NO_OUTLIER, retryBudget: { percent: 0, minRetryConcurrency: 0, intervalMs: 0 } },
    wait: 100,
    status: 503,
    flags: 'UO',
    details: 'via_upstream',
  },
  {
    title: 'the route timeout',
    app: 'hang',
    rule: { timeoutMs: 100 },
    wait: 200,
    status: 504,
    flags: 'UT',
    details: 'response_timeout',
  },
  {
    title: 'the route timeout in an answer',
    app: 'hang',
    rule: { timeoutMs: 100 },
    afterwards: answerHalf,
    wait: 200,
    status: 200,
    flags: 'UT',
    details: 'response_timeout',
  },
  {
    title: 'the per-try timeout',
    app: 'hang',
    rule: { retries: { ...RETRIES, perTryTimeoutMs: 50 } },
    wait: 100,
    status: 504,
    flags: 'UT',
    details: 'upstream_per_try_timeout',
  },
  {
    title: 'an idle stream',
    app: 'hang',
    wait: 340_000,
    status: 504,
    flags: 'SI',
    details: 'stream_idle_timeout',
  },
  {
    title: 'an idle stream in an answer',
    app: 'hang',
    afterwards: answerHalf,
    wait: 340_000,
    status: 200,
    flags: 'SI',
    details: 'stream_idle_timeout',
  },
  {
    title: 'a client that leaves',
    app: 'hang',
    afterwards: gone('X'),
    status: 0,
    flags: 'DC',
    details: 'downstream_remote_disconnect',
  },
  {
    title: 'a client that breaks the protocol',
    app: 'hang',
    afterwards: gone('H1_BAD_MESSAGE', 400),
    status: 0,
    logged: 400,
    flags: 'DPE',
    details: 'http1.codec_error',
  },
  {
    title: 'a delay',
    rule: { fault: { delay: { ms: 10, percent: 100 } } },
    wait: 20,
    status: 200,
    flags: 'DI',
    details: 'via_upstream',
  },
  {
    title: 'an abort',
    rule: { fault: { abort: { percent: 100, httpStatus: 500 } } },
    status: 500,
    flags: 'FI',
    details: 'fault_filter_abort',
  },
  {
    title: 'a delay, then an abort',
    rule: { fault: { delay: { ms: 10, percent: 100 }, abort: { percent: 100, httpStatus: 500 } } },
    wait: 20,
    status: 500,
    flags: 'DI,FI',
    details: 'fault_filter_abort',
  },
  {
    title: 'a rate limit',
    table: { rateLimits: [LIMIT] },
    afterwards: again,
    status: 200,
    logged: 429,
    flags: 'RL',
    details: 'local_rate_limited',
  },
  {
    title: 'load shedding',
    app: 'hang',
    table: { shedding: [SHEDDING] },
    afterwards: again,
    status: 0,
    logged: 503,
    flags: 'OM',
    details: 'overload',
  },
  {
    title: 'a policy that comes later',
    app: 'hang',
    afterwards: (mesh) =>
      mesh.configure(
        [route('r', [to('canary')])],
        [upstream({ denied: { policy: 'p', reason: 'no' } })],
      ),
    status: 403,
    flags: '-',
    details: 'rbac_access_denied_matched_policy',
  },
  {
    title: 'a policy that comes in an answer',
    app: 'hang',
    afterwards: (mesh) => {
      answerHalf(mesh);
      mesh.configure(
        [route('r', [to('canary')])],
        [upstream({ denied: { policy: 'p', reason: 'no' } })],
      );
    },
    status: 200,
    flags: 'LR',
    details: 'rbac_access_denied_matched_policy',
  },
];

test.each(rows.map((row): [string, Row] => [row.title, row]))('%s', async (_title, row) => {
  const mesh = new WaypointRig(1, { streamLifeMs: row.streamLifeMs });
  const policy = row.policy ?? NO_OUTLIER;
  const subsets = [{ name: 'canary', labels: { version: 'v2' }, policy }];
  const endpoints = row.endpoints === 'none' ? { endpoints: [] } : {};
  const rule = route('r', [to(row.destination ?? 'canary')], row.rule);
  mesh.configure([rule], [upstream({ subsets, ...endpoints })], row.table);
  const { app } = row;
  if (app !== undefined) mesh.scripts.set('c1', () => app);
  const exchange = mesh.begin(row.method ?? 'GET', row.path ?? '/', row.headers ?? {}, true);
  await mesh.settle();
  row.afterwards?.(mesh, exchange);
  await mesh.settle();
  for (let passed = 0; passed < (row.wait ?? 0); passed += 50 + passed / 10) {
    mesh.clock.advance(50 + passed / 10);
    await mesh.settle();
  }
  expect(exchange.status).toBe(row.status);
  const status = row.logged ?? row.status;
  const lines = mesh.log.split('\n').filter((line) => line !== '');
  // One line a request: the last is the one in question.
  expect(lines.length).toBe(row.logged !== undefined && row.status === 200 ? 2 : 1);
  expect(lines.at(-1)).toContain(`HTTP/1.1" ${status} ${row.flags} ${row.details} - "`);
  const series = mesh.registry
    .expose()
    .split('\n')
    .filter((line) => line.startsWith('istio_requests_total{'));
  expect(
    series.some(
      (line) =>
        line.includes(`response_code="${status}"`) &&
        line.includes(`response_flags="${row.flags}"`),
    ),
  ).toBe(true);
  expect(mesh.engine.mirrors.active).toBe(0);
});

test('every reply of the table has a row, or cannot come here', async () => {
  const { REPLIES } = await import('./respond.ts');
  const known = rows.map(({ details }) => details);
  // What is wrong with a token is told in braces.
  const isKnown = (details: string) =>
    known.some((each) => each === details || each.startsWith(`${details}{`));
  const elsewhere = new Set([
    'filter_chain_not_found',
    'request_payload_too_large',
    'misdirected_request',
  ]);
  for (const { details } of Object.values(REPLIES)) {
    expect(isKnown(details) || elsewhere.has(details)).toBe(true);
  }
});
