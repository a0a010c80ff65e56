/**
 * Writes docs/openapi.json: the addresses as the console's server has them, their answers as src/console/api has them. `bun tools/openapi/openapi.ts`;
 * a test fails when page and source differ, or when an answer of the running server is not as it says.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Access } from '#console/server/access/access.ts';
import type { ConsoleDeps } from '#console/server/console-deps.ts';
import type { EventStreams } from '#console/server/events.ts';
import type { Route } from '#console/server/router.ts';
import { consoleRoutes } from '#console/server/routes/routes.ts';
import { type Schema, schemasOf } from './types.ts';

const ROOT = join(import.meta.dir, '../..');
export const OPENAPI_FILE = join(ROOT, 'docs/openapi.json');
const API = join(ROOT, 'src/console/api');
const MORE = ['src/telemetry/requests/request-record.ts', 'src/telemetry/flow/flow-frame.ts'];

/** What each address answers, and what it is for. */
const ANSWERS: Readonly<Record<string, readonly [type: string, summary: string]>> = {
  'GET /api/v1/session': [
    'SessionAnswer',
    'Who reads, what they see, and the token against forged requests',
  ],
  'POST /api/v1/login': [
    'SessionAnswer',
    'Begin a session with a token of the API server; sets the cookie',
  ],
  'POST /api/v1/logout': ['SessionAnswer', 'End the session'],
  'GET /api/v1/graph': ['GraphAnswer', 'Who talks to whom'],
  'GET /api/v1/graph/events': [
    'text/event-stream',
    'The live graph: event graph, then delta (GraphDelta)',
  ],
  'GET /api/v1/timeline': ['TimelineAnswer', 'Requests, errors and changes over time'],
  'GET /api/v1/series': ['SeriesAnswer', 'Charts of one node or edge'],
  'GET /api/v1/history': ['HistoryAnswer', 'What changed'],
  'GET /api/v1/history/{version}': ['ChangeAnswer', 'One change, with the object before and after'],
  'GET /api/v1/overview': ['OverviewAnswer', 'What needs somebody now, and all namespaces'],
  'GET /api/v1/namespaces': ['NamespacesAnswer', 'Namespaces'],
  'GET /api/v1/workloads': ['WorkloadsAnswer', 'Workloads'],
  'GET /api/v1/services': ['ServicesAnswer', 'Services'],
  'GET /api/v1/apps': ['AppsAnswer', 'Apps: workloads of one app label'],
  'GET /api/v1/workloads/{namespace}/{name}': ['WorkloadAnswer', 'One workload'],
  'GET /api/v1/services/{namespace}/{name}': ['ServiceAnswer', 'One service, by its name or host'],
  'GET /api/v1/apps/{namespace}/{name}': ['AppAnswer', 'One app'],
  'GET /api/v1/tap': [
    'text/event-stream',
    'Live requests: events request (RequestRow) and dropped ({ count })',
  ],
  'GET /api/v1/requests': [
    'RequestsAnswer',
    'Recent requests: the failed ones, and some of the others',
  ],
  'GET /api/v1/traces': ['TracesAnswer', 'Traces that are kept'],
  'GET /api/v1/traces/{traceId}': ['TraceAnswer', 'One trace with its spans'],
  'GET /api/v1/logs/{namespace}/{pod}': [
    'LogsAnswer',
    'Lines of a pod and what the mesh saw of it',
  ],
  'GET /api/v1/config': ['ConfigsAnswer', 'Objects that configure the mesh'],
  'GET /api/v1/config/{kind}/{namespace}/{name}': [
    'ConfigAnswer',
    'One of them; namespace `-` for kinds that have none',
  ],
  'PUT /api/v1/config/{kind}/{namespace}/{name}': [
    'ApplyAnswer',
    'Write it with the reader’s own token; dryRun judges only',
  ],
  'POST /api/v1/config/validate': ['ValidateAnswer', 'Judge a text'],
  'GET /api/v1/schemas/{kind}': ['', 'JSON schema of a kind'],
  'GET /api/v1/mesh': ['MeshAnswer', 'Control plane, proxies, store'],
  'GET /api/v1/mtls': ['MtlsAnswer', 'Who talks how: mutual TLS, plaintext, denied'],
  'GET /api/v1/certificates': ['CertificatesAnswer', 'Certificates and roots'],
  'GET /api/v1/status': ['', 'As tulle status -o json'],
  'POST /api/v1/why': ['', 'As tulle why -o json: one request, or an array of them'],
};

const TEXT = { type: 'string' };
const NAMES = { type: 'string', pattern: '^[A-Za-z0-9._:*,/-]*$' };
const SPAN = { type: 'string', pattern: '^(\\d{1,7}[smhd]?)?$' };
const TIME = { type: 'string', format: 'date-time' };
const FLAG = { type: 'string', enum: ['true', 'false'] };
const COUNT = { type: 'integer', minimum: 1, maximum: 1000 };
const QUERY: Readonly<Record<string, readonly [schema: Schema, description: string]>> = {
  window: [SPAN, 'A span that ends now, or at `at`: 30s, 5m, 1h. Usually 60s.'],
  namespaces: [NAMES, 'Names with commas between them; none is all that the reader sees.'],
  type: [
    { type: 'string', enum: ['workload', 'app', 'versionedApp', 'service'] },
    'What a node is.',
  ],
  at: [TIME, 'The window ends there.'],
  focus: [TEXT, 'Id of a node: only it and its neighbours.'],
  idle: [FLAG, 'Also what had no traffic.'],
  waypoints: [FLAG, 'Waypoints as nodes of their own.'],
  form: [
    { type: 'string', enum: ['objects', 'table'] },
    'How edges are written: each as an object, or all as one table of numbers (GraphTable, DeltaTable), a sixth of their text.',
  ],
  from: [TIME, 'Begin.'],
  to: [TIME, 'End; usually now.'],
  node: [TEXT, 'Id of a node.'],
  edge: [TEXT, 'Id of an edge.'],
  direction: [{ type: 'string', enum: ['inbound', 'outbound'] }, 'Of the node.'],
  resource: [TEXT, 'Kind namespace/name.'],
  limit: [COUNT, 'Rows at most.'],
  sort: [{ type: 'string', enum: ['newest', 'slowest'] }, 'Order.'],
  workloads: [NAMES, 'namespace/name at either end, commas between them.'],
  services: [NAMES, 'Host names, commas between them.'],
  methods: [{ type: 'string', pattern: '^[A-Za-z,-]*$' }, 'GET,POST'],
  pathPrefix: [TEXT, 'Paths that begin so.'],
  status: [
    { type: 'string', pattern: '^([1-5]xx|\\d{1,3}(-\\d{1,3})?)?$' },
    '503, 400-499 or 5xx; 0 is "nothing was answered".',
  ],
  failed: [FLAG, 'Only those that failed.'],
  perSecond: [COUNT, 'Shown a second, at most.'],
  container: [TEXT, 'One of the pod’s.'],
  sinceSeconds: [{ type: 'integer', minimum: 1, maximum: 604_800 }, 'How far back.'],
  kinds: [TEXT, 'Kinds with commas between them: HTTPRoute,Gateway.networking.istio.io'],
  by: [{ type: 'string', enum: ['workload', 'namespace'] }, 'What a cell is about.'],
};

const BODIES: Readonly<Record<string, Schema>> = {
  'POST /api/v1/login': objectOf({ token: TEXT }, ['token']),
  'POST /api/v1/logout': {},
  'PUT /api/v1/config/{kind}/{namespace}/{name}': objectOf(
    { yaml: TEXT, dryRun: { type: 'boolean' } },
    ['yaml'],
  ),
  'POST /api/v1/config/validate': objectOf({ yaml: TEXT }, ['yaml']),
  'POST /api/v1/why': {},
};

function objectOf(properties: Record<string, Schema>, required: readonly string[]): Schema {
  return { type: 'object', properties, required };
}

export function routesOfConsole(): Route[] {
  // Nothing is asked of them here: what they are is wanted, not what they answer.
  const access = { options: { namespace: '' } } as unknown as Access;
  return consoleRoutes({} as ConsoleDeps, { access, streams: {} as EventStreams });
}

export function openApi() {
  const files = readdirSync(API).map((name) => join(API, name));
  const texts = [...files, ...MORE.map((path) => join(ROOT, path))].map((path) =>
    readFileSync(path, 'utf8'),
  );
  const schemas = schemasOf(texts);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routesOfConsole()) {
    paths[route.path] ??= {};
    paths[route.path][route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.0.3',
    info: {
      title: 'Tulle console',
      version: '1',
      description:
        'What the console and the commands graph, top, tap, traces and why ask of the control plane (port 20001). docs/observe.md says who may ask.',
      license: { name: 'Apache-2.0' },
    },
    security: [{ token: [] }, { session: [] }, {}],
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: 'tulle_session' },
      },
    },
  };
}

function operation(route: Route): Schema {
  const key = `${route.method} ${route.path}`;
  const answer = ANSWERS[key];
  if (answer === undefined) throw new Error(`${key} is not described`);
  const [type, summary] = answer;
  const body = BODIES[key];
  const variables = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: TEXT,
  }));
  const query = (route.query ?? []).map((name) => {
    const known = QUERY[name];
    if (known === undefined) throw new Error(`member ${name} of ${key} is not described`);
    return { name, in: 'query', schema: known[0], description: known[1] };
  });
  const csrf =
    route.access === 'change'
      ? [
          {
            name: 'x-tulle-csrf',
            in: 'header',
            schema: TEXT,
            description: 'csrfToken of the session; not with a bearer token',
          },
        ]
      : [];
  const isStream = type === 'text/event-stream';
  const content = isStream
    ? { [type]: { schema: TEXT } }
    : {
        'application/json': { schema: type === '' ? {} : { $ref: `#/components/schemas/${type}` } },
      };
  return {
    summary,
    operationId: key
      .replace(/\/api\/v1/, '')
      .replace(/[^A-Za-z]+(\w?)/g, (_, letter: string) => letter.toUpperCase()),
    parameters: [...variables, ...query, ...csrf],
    ...(body !== undefined && {
      requestBody: { required: true, content: { 'application/json': { schema: body } } },
    }),
    responses: {
      200: { description: summary, content },
      default: {
        description: 'What is wrong, and what to do',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/ErrorAnswer' } } },
      },
    },
  };
}

export function renderOpenApi(): string {
  return `${JSON.stringify(openApi(), null, 1)}\n`;
}

if (import.meta.main) writeFileSync(OPENAPI_FILE, renderOpenApi());
