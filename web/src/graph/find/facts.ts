/** What an expression can ask of a node or an edge: each field once, with its meaning for both. Pure. */
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';

export interface Subject {
  readonly node?: GraphNode;
  readonly edge?: GraphEdge;
  /** Of an edge. */
  readonly source?: GraphNode;
  readonly target?: GraphNode;
}

/** Undefined: the subject has no such thing, so nothing that is asked of it is true. Several texts: one of them is enough. */
export type Value = number | readonly string[] | undefined;

interface Field {
  readonly about: string;
  readonly of: (subject: Subject) => Value;
}

const rateOf = (subject: Subject, protocols: readonly string[]): Value => {
  const { node, edge } = subject;
  if (edge !== undefined)
    return protocols.includes(edge.protocol) ? edge.requestsPerSecond : undefined;
  return node?.inbound.requestsPerSecond;
};
const errorsOf = ({ node, edge }: Subject, protocols: readonly string[]): Value => {
  if (edge !== undefined)
    return protocols.includes(edge.protocol) ? edge.errorRate * 100 : undefined;
  return node === undefined ? undefined : node.inbound.errorRate * 100;
};
const HTTP = ['http', 'grpc'];
const ALL = [...HTTP, 'tcp'];
const ends = ({ node, source, target }: Subject, of: (node: GraphNode) => string): Value =>
  node !== undefined
    ? [of(node)]
    : [source, target].flatMap((end) => (end === undefined ? [] : [of(end)]));
const time = (of: (edge: GraphEdge) => number | undefined) => (subject: Subject) =>
  subject.edge === undefined ? undefined : of(subject.edge);

export const FIELDS: Readonly<Record<string, Field>> = {
  'http.rate': { about: 'requests a second', of: (subject) => rateOf(subject, HTTP) },
  'http.errors': {
    about: 'percent of requests that failed',
    of: (subject) => errorsOf(subject, HTTP),
  },
  'grpc.rate': { about: 'calls a second', of: (subject) => rateOf(subject, ['grpc']) },
  'grpc.errors': {
    about: 'percent of calls that failed',
    of: (subject) => errorsOf(subject, ['grpc']),
  },
  'tcp.rate': {
    about: 'connections a second',
    of: ({ node, edge }) =>
      edge !== undefined
        ? edge.protocol === 'tcp'
          ? edge.connectionsPerSecond
          : undefined
        : node?.inbound.connectionsPerSecond,
  },
  rate: { about: 'requests a second', of: (subject) => rateOf(subject, ALL) },
  errors: { about: 'percent that failed', of: (subject) => errorsOf(subject, ALL) },
  p50: { about: 'median time, ms', of: time((edge) => edge.p50Ms) },
  p95: { about: '95th percentile, ms', of: time((edge) => edge.p95Ms) },
  p99: { about: '99th percentile, ms', of: time((edge) => edge.p99Ms) },
  bytes: {
    about: 'bytes a second',
    of: ({ node, edge }) => edge?.bytesPerSecond ?? node?.inbound.bytesPerSecond,
  },
  mtls: {
    about: 'percent under mutual TLS',
    of: ({ edge }) => (edge?.mtls === undefined ? undefined : edge.mtls * 100),
  },
  namespace: {
    about: 'of the node, or of either end',
    of: (subject) => ends(subject, (node) => node.namespace),
  },
  name: {
    about: 'of the node, or of either end',
    of: (subject) => ends(subject, (node) => node.name),
  },
  app: {
    about: 'of the node, or of either end',
    of: (subject) => ends(subject, (node) => node.app),
  },
  version: {
    about: 'of the node, or of either end',
    of: (subject) => ends(subject, (node) => node.version),
  },
  kind: {
    about: 'workload, service, gateway, …',
    of: ({ node }) => (node === undefined ? undefined : [node.kind]),
  },
  badge: { about: 'canary, policy, retries, …', of: ({ node }) => node?.badges },
  source: {
    about: 'name of the caller',
    of: ({ source }) => (source === undefined ? undefined : [source.name]),
  },
  target: {
    about: 'name of the called',
    of: ({ target }) => (target === undefined ? undefined : [target.name]),
  },
  protocol: {
    about: 'http, grpc, tcp',
    of: ({ edge }) => (edge === undefined ? undefined : [edge.protocol]),
  },
  code: {
    about: 'a status that was seen',
    of: ({ edge }) => (edge === undefined ? undefined : Object.keys(edge.responseCodes)),
  },
  flag: {
    about: 'a response flag that was seen',
    of: ({ edge }) => (edge === undefined ? undefined : Object.keys(edge.flags)),
  },
  health: {
    about: 'healthy, degraded, failing, …',
    of: ({ node, edge }) => [(edge ?? node)?.health.status ?? ''],
  },
};

/** Words that are true or not by themselves. */
export const WORDS: Readonly<Record<string, (subject: Subject) => boolean>> = {
  healthy: ({ node, edge }) => (edge ?? node)?.health.status === 'healthy',
  degraded: ({ node, edge }) => (edge ?? node)?.health.status === 'degraded',
  failing: ({ node, edge }) => (edge ?? node)?.health.status === 'failing',
  unhealthy: ({ node, edge }) =>
    ['failing', 'degraded'].includes((edge ?? node)?.health.status ?? ''),
  idle: ({ node, edge }) => (edge ?? node)?.health.status === 'idle',
  traffic: ({ node, edge }) => ((edge ?? node)?.health.samples ?? 0) > 0,
  outside: ({ node }) => node?.isOutside === true,
  plaintext: ({ edge }) => edge?.mtls !== undefined && edge.mtls < 1,
  ejected: ({ node }) => (node?.ejected?.length ?? 0) > 0,
};

/** `label:team`: of the node, or of either end. */
export function labelOf(subject: Subject, name: string): Value {
  return ends(subject, (node) => node.labels[name] ?? '');
}
