/** The service graph of a window, out of the edge store. Pure. */
import type { Ejection, GraphAnswer, GraphEdge, GraphNode } from './api.ts';
import type { EdgeStore } from './edge-store.ts';
import { quantile } from './edge-store.ts';

export interface GraphQuery {
  readonly second: number;
  readonly windowSeconds: number;
  /** Only edges that touch it. */
  readonly namespace: string | undefined;
  readonly generatedAt: string;
  readonly ejections: readonly Ejection[];
  /** Revisions by `namespace/workload`, where it runs in a single one. */
  readonly versions: ReadonlyMap<string, string>;
}

export function buildGraph(store: EdgeStore, query: GraphQuery): GraphAnswer {
  const { windowSeconds, namespace } = query;
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  for (const { key, total } of store.totals(query.second - windowSeconds)) {
    const source = nodeOf(key.source, query.versions);
    const destination = nodeOf(key.destination, query.versions);
    if (
      namespace !== undefined &&
      source.namespace !== namespace &&
      destination.namespace !== namespace
    )
      continue;
    nodes.set(source.id, source);
    nodes.set(destination.id, destination);
    const http = key.protocol === 'http';
    const count = http ? total.requests : total.opened;
    const secured = http ? total.mtlsRequests : total.mtlsOpened;
    edges.push({
      ...key,
      requestsPerSecond: total.requests / windowSeconds,
      errorRate: total.requests === 0 ? 0 : total.errors / total.requests,
      p50Ms: quantile(total.latency, 0.5),
      p99Ms: quantile(total.latency, 0.99),
      bytesSentPerSecond: total.sent / windowSeconds,
      bytesReceivedPerSecond: total.received / windowSeconds,
      connectionsPerSecond: total.opened / windowSeconds,
      mtls: count === 0 ? undefined : secured / count,
      codes: total.codes,
    });
  }
  const ejections = query.ejections.filter(
    ({ upstream }) => namespace === undefined || upstream.startsWith(`${namespace}/`),
  );
  const { generatedAt } = query;
  return {
    generatedAt,
    windowSeconds,
    nodes: [...nodes.values()].sort(byId),
    edges: edges.sort(byEnds),
    ejections,
  };
}

function nodeOf(id: string, versions: ReadonlyMap<string, string>): GraphNode {
  const [kind, namespace = '', ...rest] = id.split('/');
  const name = rest.join('/');
  if (kind !== 'workload' && kind !== 'service' && kind !== 'waypoint')
    return { id, kind: 'unknown', namespace: '', name: 'outside the mesh' };
  const version = kind === 'workload' ? versions.get(`${namespace}/${name}`) : undefined;
  return { id, kind, namespace, name, version };
}

function byId(left: GraphNode, right: GraphNode): number {
  return left.id < right.id ? -1 : 1;
}

function byEnds(left: GraphEdge, right: GraphEdge): number {
  const text = (edge: GraphEdge) => `${edge.source} ${edge.destination} ${edge.protocol}`;
  return text(left) < text(right) ? -1 : 1;
}
