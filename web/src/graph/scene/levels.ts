/** The same graph seen from farther away: apps, or namespaces, with the edges between them summed. Pure. */
import type { GraphEdge, GraphNode, Traffic } from '#console/api/graph.ts';
import type { Health, HealthStatus } from '#console/api/health.ts';
import type { Level } from './marks.ts';

export interface Group {
  readonly id: string;
  readonly namespace: string;
  readonly title: string;
  readonly members: readonly GraphNode[];
  readonly health: Health;
  readonly inbound: Traffic;
}

export interface GroupedGraph {
  readonly groups: readonly Group[];
  readonly edges: readonly GraphEdge[];
}

const WORSE: readonly HealthStatus[] = ['idle', 'unknown', 'healthy', 'degraded', 'failing'];
export const isWorse = (a: HealthStatus, b: HealthStatus): boolean =>
  WORSE.indexOf(a) > WORSE.indexOf(b);

export function groupKey(node: GraphNode, level: Level): string {
  if (level === 'workloads' || node.namespace === '' || node.kind === 'gateway') return node.id;
  return level === 'apps' ? `${node.namespace}/${node.app}` : node.namespace;
}

export function grouped(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  level: Level,
): GroupedGraph {
  const byKey = Map.groupBy(nodes, (node) => groupKey(node, level));
  const groups = [...byKey].map(([id, members]) => groupOf(id, members, level));
  if (level === 'workloads') return { groups, edges };
  const groupAt = new Map<string, number>();
  groups.forEach((group, at) => {
    for (const node of group.members) groupAt.set(node.id, at);
  });
  // By number: a text for each of many edges would take longer than adding them up.
  const sums = new Map<number, GraphEdge[]>();
  for (const edge of edges) {
    const source = groupAt.get(edge.source);
    const target = groupAt.get(edge.target);
    if (source === undefined || target === undefined || source === target) continue;
    const key = 2 * (source * groups.length + target) + (edge.protocol === 'tcp' ? 1 : 0);
    const list = sums.get(key);
    if (list === undefined) sums.set(key, [edge]);
    else list.push(edge);
  }
  const idOf = (id: string) => groups[groupAt.get(id)!].id;
  return {
    groups,
    edges: [...sums.values()].map((parts) =>
      summed(
        {
          source: idOf(parts[0].source),
          target: idOf(parts[0].target),
          protocol: parts[0].protocol === 'tcp' ? 'tcp' : 'http',
        },
        parts,
      ),
    ),
  };
}

function groupOf(id: string, members: readonly GraphNode[], level: Level): Group {
  const [first] = members;
  const health = members.reduce(
    (worst, node) => (isWorse(node.health.status, worst.status) ? node.health : worst),
    first.health,
  );
  const title =
    level === 'workloads' || members.length === 0
      ? first.name
      : level === 'apps' || first.namespace === ''
        ? first.app
        : first.namespace;
  return { id, namespace: first.namespace, title, members, health, inbound: first.inbound };
}

/** One edge for many: rates add up, times are the slowest, health is the worst. */
function summed(
  { source, target, protocol }: Pick<GraphEdge, 'source' | 'target' | 'protocol'>,
  parts: readonly GraphEdge[],
): GraphEdge {
  let [requests, failed, bytes, connections, samples, sealed] = [0, 0, 0, 0, 0, 0];
  let [p50, p95, p99] = [0, 0, 0];
  let health = parts[0].health;
  for (const part of parts) {
    requests += part.requestsPerSecond;
    failed += part.requestsPerSecond * part.errorRate;
    bytes += part.bytesPerSecond;
    connections += part.connectionsPerSecond;
    samples += part.health.samples;
    sealed += part.health.samples * (part.mtls ?? 0);
    p50 = Math.max(p50, part.p50Ms ?? 0);
    p95 = Math.max(p95, part.p95Ms ?? 0);
    p99 = Math.max(p99, part.p99Ms ?? 0);
    if (isWorse(part.health.status, health.status)) health = part.health;
  }
  return {
    id: `${source} ${target} ${protocol}`,
    source,
    target,
    protocol,
    requestsPerSecond: requests,
    errorRate: requests === 0 ? 0 : failed / requests,
    ...(p95 > 0 ? { p50Ms: p50, p95Ms: p95, p99Ms: p99 } : {}),
    bytesPerSecond: bytes,
    connectionsPerSecond: connections,
    ...(samples > 0 ? { mtls: Math.min(1, sealed / samples) } : {}),
    responseCodes: {},
    flags: {},
    health,
  };
}
