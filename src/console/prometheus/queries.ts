/**
 * What an external Prometheus is asked, as PromQL. Pure. Sums over proxies by what tells edges apart; of `increase`, so that a proxy that was started anew does
 * not spoil a window. Several selections are joined by `or`: a series that fits two of them counts once, since what they select by is among the labels of the sum.
 */
import { NAMES_MAX } from './limits.ts';

/** Label matchers as they stand between braces; empty: all. */
export type Selection = string;

export type Measure =
  | 'requests'
  | 'latency'
  | 'requestBytes'
  | 'responseBytes'
  | 'opened'
  | 'failed'
  | 'sent'
  | 'received'
  /** Whether anything of the mesh was scraped: a step without traffic is no gap. */
  | 'scraped';

export interface Query {
  readonly measure: Measure;
  readonly promql: string;
}

const EDGE = [
  'reporter',
  'request_protocol',
  'connection_security_policy',
  ...['source', 'destination'].flatMap((side) =>
    ['workload', 'workload_namespace', 'app', 'version', 'principal', 'cluster'].map(
      (label) => `${side}_${label}`,
    ),
  ),
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
];
/** The waypoint that tells it; whoever scrapes says so (`/federate`, PodMonitors), or it stays untold. */
const TELLER = ['namespace', 'pod'];

const METRICS: readonly (readonly [Measure, metric: string, by: readonly string[]])[] = [
  [
    'requests',
    'istio_requests_total',
    [...TELLER, 'response_code', 'grpc_response_status', 'response_flags'],
  ],
  ['latency', 'istio_request_duration_milliseconds_bucket', [...TELLER, 'le']],
  ['requestBytes', 'istio_request_bytes_sum', TELLER],
  ['responseBytes', 'istio_response_bytes_sum', TELLER],
  ['opened', 'istio_tcp_connections_opened_total', []],
  ['failed', 'istio_tcp_connections_failed_total', ['response_flags']],
  // The proxy received from the client what the source sent.
  ['sent', 'istio_tcp_received_bytes_total', []],
  ['received', 'istio_tcp_sent_bytes_total', []],
];

/** `match`: which series of that Prometheus are this mesh's. */
export function edgeQueries(
  selections: readonly Selection[],
  { rangeSeconds, match }: { readonly rangeSeconds: number; readonly match: Selection },
): Query[] {
  return METRICS.map(([measure, metric, by]) => ({
    measure,
    promql: selections
      .map((selection) => {
        const matchers = [selection, match].filter((each) => each !== '').join(',');
        const series = `${metric}{${matchers}}[${rangeSeconds}s]`;
        return `sum by (${[...EDGE, ...by].join(',')}) (increase(${series})) > 0`;
      })
      .join(' or '),
  }));
}

export function scrapedQuery(match: Selection): Query {
  return { measure: 'scraped', promql: `count(istio_build{${match}})` };
}

/** Everything that has an end in one of these namespaces, or asked for a service there; undefined: in any. */
export function selectionsOfNamespaces(namespaces: readonly string[] | undefined): Selection[] {
  if (namespaces === undefined) return [''];
  if (namespaces.length === 0) return [];
  return [
    oneOf('destination_workload_namespace', namespaces),
    oneOf('source_workload_namespace', namespaces),
    oneOf('destination_service_namespace', namespaces),
  ];
}

/** What of the mesh a node's id does not say by itself. */
export interface Members {
  /** Names of the workloads behind a service or app, of its own namespace. */
  readonly workloads: readonly string[];
}

/**
 * Series of the edges into a node (or out of it), and perhaps others: what they really belong to the graph's own rules say. Undefined: there is no telling by labels.
 * Ids: api/graph.ts.
 */
export function selectionsOfNode(
  id: string,
  direction: 'inbound' | 'outbound',
  { workloads }: Members,
): Selection[] | undefined {
  const side = direction === 'inbound' ? 'destination' : 'source';
  const [kind, ...rest] = id.split('/');
  if (kind === 'external') {
    const host = rest.join('/');
    // It is told of by the service that was asked for, or by its address.
    return direction === 'inbound'
      ? [oneOf('destination_service', [host]), oneOf('destination_workload', [host])]
      : [oneOf('source_workload', [host])];
  }
  const [namespace = '', name = ''] = rest;
  if (namespace === '' || name === '') return undefined;
  const inNamespace = oneOf(`${side}_workload_namespace`, [namespace]);
  const members =
    workloads.length === 0
      ? []
      : [`${inNamespace},${oneOf(`${side}_workload`, workloads.slice(0, NAMES_MAX))}`];
  switch (kind) {
    case 'workload':
    case 'waypoint':
    case 'gateway':
      return [`${inNamespace},${oneOf(`${side}_workload`, [name])}`];
    case 'app':
      return [`${inNamespace},${oneOf(`${side}_app`, [name])}`, ...members];
    case 'service':
      // Edges out of a service are those to its workloads: both are told of as requests for it.
      return [
        oneOf('destination_service_name', [name]),
        `destination_service=~${quoted(`${escaped(name)}\\.${escaped(namespace)}\\..+`)}`,
        ...members,
      ];
    default:
      return undefined;
  }
}

/** An edge's are those of its target; of its source where its target has no name. */
export function selectionsOfEdge(
  id: string,
  membersOf: (node: string) => Members,
): Selection[] | undefined {
  const [source = '', target = ''] = id.split(' ');
  // Between a service and its workload the service is what tells most.
  const node = source.startsWith('service/') ? source : target;
  const direction = node === source ? 'outbound' : 'inbound';
  return (
    selectionsOfNode(node, direction, membersOf(node)) ??
    selectionsOfNode(source, 'outbound', membersOf(source))
  );
}

function oneOf(label: string, values: readonly string[]): Selection {
  return values.length === 1
    ? `${label}=${quoted(values[0])}`
    : `${label}=~${quoted(values.map(escaped).join('|'))}`;
}

/** For RE2, which Prometheus anchors at both ends. */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** PromQL's strings are Go's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
