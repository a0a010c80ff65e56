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
  const groups = groupsOf(nodes, level);
  if (level === 'workloads') return { groups, edges };
  const sums = new GroupSums(groups);
  for (const edge of edges) sums.add(edge);
  return { groups, edges: sums.edges() };
}

export function groupsOf(nodes: readonly GraphNode[], level: Level): Group[] {
  const byKey = Map.groupBy(nodes, (node) => groupKey(node, level));
  return [...byKey].map(([id, members]) => groupOf(id, members, level));
}

/** What is summed of an edge. */
export type EdgeFigures = Omit<
  GraphEdge,
  'id' | 'responseCodes' | 'flags' | 'via' | 'split' | 'principals'
>;

/** Edges between groups. */
export class GroupSums {
  readonly #groups: readonly Group[];
  readonly #groupAt = new Map<string, number>();
  /** By number: a text for each of many edges would take longer than adding them up. */
  readonly #sums = new Map<number, Sum>();

  constructor(groups: readonly Group[]) {
    this.#groups = groups;
    groups.forEach((group, at) => {
      for (const node of group.members) this.#groupAt.set(node.id, at);
    });
  }

  /** Keeps nothing of `edge`: it may be another one the next time. */
  add(edge: EdgeFigures): void {
    const source = this.#groupAt.get(edge.source);
    const target = this.#groupAt.get(edge.target);
    if (source === undefined || target === undefined || source === target) return;
    const groups = this.#groups;
    const isTcp = edge.protocol === 'tcp';
    const key = 2 * (source * groups.length + target) + (isTcp ? 1 : 0);
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      sum = new Sum(groups[source].id, groups[target].id, isTcp ? 'tcp' : 'http');
      this.#sums.set(key, sum);
    }
    sum.add(edge);
  }

  edges(): GraphEdge[] {
    return Array.from(this.#sums.values(), (sum) => sum.edge());
  }
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
class Sum {
  readonly source: string;
  readonly target: string;
  readonly protocol: 'http' | 'tcp';
  #health: Health | undefined;
  #requests = 0;
  #failed = 0;
  #bytes = 0;
  #connections = 0;
  #samples = 0;
  #sealed = 0;
  #p50 = 0;
  #p95 = 0;
  #p99 = 0;

  constructor(source: string, target: string, protocol: 'http' | 'tcp') {
    this.source = source;
    this.target = target;
    this.protocol = protocol;
  }

  add(part: EdgeFigures): void {
    this.#requests += part.requestsPerSecond;
    this.#failed += part.requestsPerSecond * part.errorRate;
    this.#bytes += part.bytesPerSecond;
    this.#connections += part.connectionsPerSecond;
    this.#samples += part.health.samples;
    this.#sealed += part.health.samples * (part.mtls ?? 0);
    this.#p50 = Math.max(this.#p50, part.p50Ms ?? 0);
    this.#p95 = Math.max(this.#p95, part.p95Ms ?? 0);
    this.#p99 = Math.max(this.#p99, part.p99Ms ?? 0);
    if (this.#health === undefined || isWorse(part.health.status, this.#health.status))
      this.#health = { ...part.health };
  }

  edge(): GraphEdge {
    const { source, target, protocol } = this;
    return {
      id: `${source} ${target} ${protocol}`,
      source,
      target,
      protocol,
      requestsPerSecond: this.#requests,
      errorRate: this.#requests === 0 ? 0 : this.#failed / this.#requests,
      ...(this.#p95 > 0 ? { p50Ms: this.#p50, p95Ms: this.#p95, p99Ms: this.#p99 } : {}),
      bytesPerSecond: this.#bytes,
      connectionsPerSecond: this.#connections,
      ...(this.#samples > 0 ? { mtls: Math.min(1, this.#sealed / this.#samples) } : {}),
      responseCodes: {},
      flags: {},
      health: this.#health!,
    };
  }
}
