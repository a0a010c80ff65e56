/** Rows of lists out of one window: traffic of every node, and who talks to whom under mutual TLS. Pure. */
import type { NodeTraffic } from '../api/lists.ts';
import type { MtlsCell } from '../api/mesh.ts';
import type { MtlsRequest } from '../console-data.ts';
import { judgeOutcomes, worst } from '../health/judge.ts';
import { BUCKETS, Counts } from '../store/counts.ts';
import { OUTCOMES_MAX } from '../store/limits.ts';
import { isTold, type OutcomeTable, type Series, type SeriesTable } from '../store/series-table.ts';
import { type Classes, type GraphSums, outcomesOf } from './graph-sums.ts';
import { nodeHealth, trafficOf } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { ELSEWHERE, peerNode } from './nodes.ts';
import { quantile } from './quantile.ts';
import type { NodeSlot } from './shape.ts';
import { idsOf } from './sparks.ts';

/** Of a graph of workloads. Apps and namespaces are the sums of their workloads. */
export function nodeTrafficOf(
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
  spark: (id: string) => (number | null)[],
): [string, NodeTraffic][] {
  const groups = new Map<string, NodeSlot[]>();
  for (const node of sums.shape.nodes)
    for (const id of idsOf(node.name)) {
      const group = groups.get(id);
      if (group === undefined) groups.set(id, [node]);
      else group.push(node);
    }
  return [...groups].map(([id, nodes]) => [
    id,
    summed(id, nodes, sums, mesh, windowSeconds, spark),
  ]);
}

/** Of each waypoint, out of a graph of what passed them. Nothing of it counts for apps or namespaces, where it is counted already. */
export function passedTrafficOf(
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
): [string, NodeTraffic][] {
  return sums.shape.nodes
    .filter(({ name }) => name.kind === 'waypoint')
    .map((node) => {
      const { id } = node.name;
      return [id, summed(id, [node], sums, mesh, windowSeconds, () => [])];
    });
}

function summed(
  id: string,
  nodes: readonly NodeSlot[],
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
  spark: (id: string) => (number | null)[],
): NodeTraffic {
  const inbound = new Counts();
  const outbound = new Counts();
  let mutual = 0;
  for (const node of nodes) {
    if (sums.nodesIn.has(node.index)) inbound.addRow(0, sums.nodesIn, node.index);
    if (sums.nodesOut.has(node.index)) outbound.addRow(0, sums.nodesOut, node.index);
    mutual += sums.mutualIn(node);
  }
  const inClasses = sumOf(nodes.map((node) => sums.nodeClasses(node, 'in')));
  const outClasses = sumOf(nodes.map((node) => sums.nodeClasses(node, 'out')));
  const all = inbound.requests[0] + inbound.opened[0];
  const parts = nodes.map((node) => nodeHealth(node, sums, mesh));
  const health =
    parts.length === 1
      ? parts[0]
      : worst([
          judgeOutcomes(outcomesOf(inClasses, inbound.opened[0], inbound.failed[0]), undefined, {
            isEarly: nodes.every((node) => sums.isEarlyIn(node)),
          }),
          ...named(nodes, parts),
        ]);
  return {
    health,
    inbound: trafficOf(inbound, 0, inClasses, windowSeconds),
    outbound: trafficOf(outbound, 0, outClasses, windowSeconds),
    p95Ms: quantile(inbound.latency.subarray(0, BUCKETS), 0, 0.95),
    mtls: all === 0 ? undefined : Math.round((mutual / all) * 10_000) / 10_000,
    spark: spark(id),
  };
}

/** Only what is amiss: of many that are judged too few, the sum may be enough. */
function named(nodes: readonly NodeSlot[], parts: readonly ReturnType<typeof nodeHealth>[]) {
  return parts.flatMap((part, at) =>
    part.status === 'failing' || part.status === 'degraded'
      ? [{ ...part, reason: `${nodes[at].name.name}: ${part.reason}` }]
      : [],
  );
}

function sumOf(all: readonly Classes[]): Classes {
  const sum: Classes = {
    http: 0,
    http3xx: 0,
    http4xx: 0,
    http5xx: 0,
    none: 0,
    grpc: 0,
    grpcClient: 0,
    grpcServer: 0,
  };
  for (const each of all)
    for (const name of Object.keys(sum) as (keyof Classes)[]) sum[name] += each[name];
  return sum;
}

/** Workload by workload or namespace by namespace. */
export function mtlsCellsOf(
  counts: Counts,
  second: number,
  { series, outcomes, mesh }: { series: SeriesTable; outcomes: OutcomeTable; mesh: MeshPicture },
  { by, visible }: MtlsRequest,
): MtlsCell[] {
  const cells = new Map<
    string,
    { source: string; target: string; mtls: number; plaintext: number; denied: number }
  >();
  const nameOf = (peer: Series['source']) => {
    const { id, namespace } = peerNode(peer, 'workload', mesh);
    const isHidden = visible !== undefined && namespace !== '' && !visible.includes(namespace);
    if (isHidden) return ELSEWHERE.id;
    return by === 'namespace' && namespace !== '' ? namespace : id;
  };
  const denials = deniedBy(counts, outcomes);
  for (let at = 0; at < counts.touchedCount; at++) {
    const row = counts.touched[at];
    const about = series.get(row);
    if (about === undefined || about.isHop || isTold(about, second) || counts.isIdle(row)) continue;
    const [source, target] = [nameOf(about.source), nameOf(about.destination)];
    if (visible !== undefined && !isAnyVisible(about, visible)) continue;
    const key = `${source} ${target}`;
    const cell = cells.get(key) ?? { source, target, mtls: 0, plaintext: 0, denied: 0 };
    cells.set(key, cell);
    const count = counts.requests[row] + counts.opened[row];
    if (about.isMutualTls) cell.mtls += count;
    else cell.plaintext += count;
    cell.denied += denials.get(row) ?? 0;
  }
  return [...cells.values()];
}

/** What policies forbade, by row: 403 and the flags of refused connections. */
const DENIED = new Set(['c403', 'g7', 'fUAEX', 'fRBAC']);

function deniedBy(counts: Counts, outcomes: OutcomeTable): Map<number, number> {
  const denied = new Map<number, number>();
  for (const [key, count] of counts.outcomes) {
    if (!DENIED.has(outcomes.texts[key % OUTCOMES_MAX])) continue;
    const row = Math.floor(key / OUTCOMES_MAX);
    denied.set(row, Math.max(denied.get(row) ?? 0, count));
  }
  return denied;
}

function isAnyVisible({ source, destination }: Series, visible: readonly string[]): boolean {
  return visible.includes(source.namespace) || visible.includes(destination.namespace);
}
