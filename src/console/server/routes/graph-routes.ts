/** The graph, its live stream, and everything over time: timeline, series, history. */
import type { GraphForm, GraphType } from '../../api/graph.ts';
import { CONFIG_KINDS } from '../../config-kinds.ts';
import type { GraphRequest, Packing } from '../../console-data.ts';
import { acceptedEncodings } from '../accepted-encodings.ts';
import type { Access } from '../access/access.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import type { EventStreams } from '../events.ts';
import { ROWS_MAX } from '../limits.ts';
import { badParameter, notFound, Problem } from '../problem.ts';
import type { Call, Route } from '../router.ts';
import { visibleTo } from './asked.ts';

const TYPES: readonly GraphType[] = ['workload', 'app', 'versionedApp', 'service'];
const FORMS: readonly GraphForm[] = ['objects', 'table'];
const GRAPH_QUERY = ['window', 'namespaces', 'type', 'at', 'focus', 'idle', 'waypoints', 'form'];
const CHANGES_DEFAULT = 200;
const HISTORY_SECONDS = 86_400;

export function graphRoutes(
  deps: ConsoleDeps,
  { access, streams }: { access: Access; streams: EventStreams },
): Route[] {
  const { data, clock } = deps;
  return [
    {
      method: 'GET',
      path: '/api/v1/graph',
      access: 'reader',
      query: GRAPH_QUERY,
      async handle(call) {
        const packing = packingFor(call.request);
        return jsonText(await data.graphJson(graphRequest(call), packing), packing);
      },
    },
    {
      method: 'GET',
      path: '/api/v1/graph/events',
      access: 'reader',
      query: GRAPH_QUERY,
      handle(call) {
        const request = graphRequest(call);
        if (request.atMs !== undefined)
          throw badParameter(
            'at',
            'a live stream has no other end than now',
            'leave it out, or ask GET /api/v1/graph',
          );
        return streams.open(call, (stream) =>
          data.subscribeGraph(request, {
            graph: (json) => void stream.sendJson('graph', json),
            delta: (json) => void stream.sendJson('delta', json),
          }),
        );
      },
    },
    {
      method: 'GET',
      path: '/api/v1/timeline',
      access: 'reader',
      query: ['from', 'to', 'namespaces'],
      handle: ({ query, reader }) =>
        data.timeline({
          ...query.range(clock.wallTime()),
          visible: visibleTo(reader, query.names('namespaces')),
        }),
    },
    {
      method: 'GET',
      path: '/api/v1/series',
      access: 'reader',
      query: ['node', 'direction', 'edge', 'from', 'to', 'type'],
      handle: ({ query, reader }) =>
        data.series({
          ...query.range(clock.wallTime()),
          type: query.oneOf('type', TYPES) ?? 'workload',
          of: seriesOf(query),
          visible: visibleTo(reader),
        }),
    },
    {
      method: 'GET',
      path: '/api/v1/history',
      access: 'reader',
      query: ['from', 'to', 'resource', 'namespaces', 'limit'],
      handle: ({ query, reader }) =>
        data
          .changes({
            ...query.range(clock.wallTime(), HISTORY_SECONDS),
            resource: query.text('resource'),
            limit: query.integer('limit', { from: 1, to: ROWS_MAX }) ?? CHANGES_DEFAULT,
            visible: visibleTo(reader, query.names('namespaces')),
          })
          .then((changes) => ({ changes })),
    },
    {
      method: 'GET',
      path: '/api/v1/history/{version}',
      access: 'reader',
      async handle({ path, reader }) {
        if (!/^\d{1,15}$/.test(path.version))
          throw badParameter('version', 'is no whole number', 'as in GET /api/v1/history');
        const change = await data.change(Number(path.version), visibleTo(reader));
        if (change === undefined)
          throw notFound(`change ${path.version} is not kept, or never was`);
        await mayReadObject(access, reader, change.resource);
        return change;
      },
    },
  ];
}

/** The object's text is for those to whom the API server would show it. */
async function mayReadObject(
  access: Access,
  reader: Call['reader'],
  resource: string,
): Promise<void> {
  const [kind, key = ''] = resource.split(' ');
  const at = key.indexOf('/');
  const namespace = at > 0 ? key.slice(0, at) : undefined;
  const refs = CONFIG_KINDS.filter((each) => each.kind === kind);
  for (const ref of refs)
    if (!(await access.may(reader, { verb: 'get', ref, namespace, name: key.slice(at + 1) })))
      throw new Problem('CONSOLE_FORBIDDEN', `${reader.user} may not read ${resource}`);
}

function graphRequest({ query, reader }: Call): GraphRequest {
  const namespaces = query.names('namespaces');
  return {
    windowSeconds: query.windowSeconds(),
    namespaces,
    type: query.oneOf('type', TYPES) ?? 'workload',
    atMs: query.timeMs('at'),
    focus: query.text('focus'),
    idle: query.flag('idle'),
    waypoints: query.flag('waypoints'),
    visible: visibleTo(reader),
    form: query.oneOf('form', FORMS) ?? 'objects',
  };
}

function seriesOf(query: Call['query']) {
  const edge = query.text('edge');
  const node = query.text('node');
  if (edge !== undefined && node !== undefined)
    throw badParameter('edge', 'is given beside node', 'give one of them');
  if (edge !== undefined) return { edge };
  const direction = query.oneOf('direction', ['inbound', 'outbound']) ?? 'inbound';
  return { node: node ?? query.required('node', 'workload/shop/cart'), direction } as const;
}

/** The best of what its reader takes. */
function packingFor({ headers }: Request): Packing {
  const accepted = acceptedEncodings(headers.get('accept-encoding') ?? '');
  if (accepted.has('zstd')) return 'zstd';
  return accepted.has('gzip') ? 'gzip' : 'identity';
}

function jsonText(text: Uint8Array, packing: Packing): Response {
  return new Response(text as Uint8Array<ArrayBuffer>, {
    headers: {
      'content-type': 'application/json;charset=utf-8',
      'cache-control': 'no-store',
      vary: 'accept-encoding',
      ...(packing !== 'identity' && { 'content-encoding': packing }),
    },
  });
}
