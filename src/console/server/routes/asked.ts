/** What of the query several addresses read in the same way. */
import type { NodeTraffic } from '../../api/lists.ts';
import type { ConsoleData, RequestsRequest, Visible } from '../../console-data.ts';
import type { TrafficOf } from '../../pages/rows.ts';
import { type Reader, visible } from '../access/reader.ts';
import { PARAMETER_CHARACTERS_MAX, ROWS_DEFAULT, ROWS_MAX } from '../limits.ts';
import { type Parameters, shown } from '../parameters.ts';
import { badParameter } from '../problem.ts';

export function visibleTo(reader: Reader, asked: readonly string[] = []): Visible {
  const namespaces = visible(reader, asked);
  return namespaces === undefined ? undefined : [...namespaces];
}

const VIEWS = [
  { type: 'workload', waypoints: false },
  { type: 'app', waypoints: false },
  { type: 'service', waypoints: false },
  { type: 'workload', waypoints: 'passed' },
] as const;

/** Of now, or of a window in the past: then it is read off the graphs of that time. */
export async function trafficOf(data: ConsoleData, query: Parameters): Promise<TrafficOf> {
  const windowSeconds = query.windowSeconds();
  const atMs = query.timeMs('at');
  if (atMs === undefined) return data.traffic(windowSeconds);
  const graphs = await Promise.all(
    VIEWS.map((view) =>
      data.graph({
        windowSeconds,
        atMs,
        ...view,
        namespaces: [],
        focus: undefined,
        idle: false,
        visible: undefined,
      }),
    ),
  );
  const nodes = graphs.flatMap((graph, at) =>
    // Of what passed waypoints the others tell as well.
    VIEWS[at].waypoints === 'passed'
      ? graph.nodes.filter(({ kind }) => kind === 'waypoint')
      : graph.nodes,
  );
  return new Map(
    nodes.map(({ id, health, inbound, outbound }): [string, NodeTraffic] => [
      id,
      { health, inbound, outbound, spark: [] },
    ]),
  );
}

/** Members of TapFilter as they stand in the query. */
export const FILTER_QUERY = [
  'namespaces',
  'workloads',
  'services',
  'methods',
  'pathPrefix',
  'status',
  'failed',
  'edge',
  'node',
];

const METHOD = /^[A-Za-z-]{1,20}$/;

export function requestsFilter(
  query: Parameters,
  reader: Reader,
  more: { readonly fromMs?: number; readonly toMs?: number } = {},
): RequestsRequest {
  const methods = query.names('methods');
  const wrong = methods.find((each) => !METHOD.test(each));
  if (wrong !== undefined)
    throw badParameter('methods', `${shown(wrong)} is no method`, 'for example GET,POST');
  return {
    visible: visibleTo(reader),
    namespaces: query.names('namespaces'),
    workloads: query.names('workloads'),
    services: query.names('services'),
    methods: methods.map((each) => each.toUpperCase()),
    pathPrefix: (query.text('pathPrefix') ?? '').slice(0, PARAMETER_CHARACTERS_MAX),
    status: statusRange(query.text('status')),
    onlyFailed: query.flag('failed'),
    node: query.text('node'),
    edge: query.text('edge'),
    fromMs: more.fromMs,
    toMs: more.toMs,
    limit: query.integer('limit', { from: 1, to: ROWS_MAX }) ?? ROWS_DEFAULT,
  };
}

/** `500`, `400-499`, `5xx`. */
export function statusRange(
  text: string | undefined,
): { readonly from: number; readonly to: number } | undefined {
  if (text === undefined) return undefined;
  const family = /^([1-5])xx$/i.exec(text);
  if (family !== null) return { from: Number(family[1]) * 100, to: Number(family[1]) * 100 + 99 };
  const [, first, last = first] = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text) ?? [];
  const range = { from: Number(first), to: Number(last) };
  if (first !== undefined && range.from <= range.to && range.to <= 599) return range;
  throw badParameter(
    'status',
    `${shown(text)} is no status or range of them`,
    'for example 503, 400-499, 5xx; 0 is "nothing was answered"',
  );
}
