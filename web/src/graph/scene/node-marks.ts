/** Nodes and namespaces as marks. Pure. */
import type { GraphNode, Traffic } from '#console/api/graph.ts';
import { connectionRate, counted, percent, rate } from '../../ui/format.ts';
import type { Group } from './levels.ts';
import type { Box, Difference, FieldMark, NodeMark, Shape } from './marks.ts';

const SHAPES: Readonly<Record<GraphNode['kind'], Shape>> = {
  workload: 'box',
  app: 'box',
  service: 'pill',
  waypoint: 'waypoint',
  gateway: 'gateway',
  external: 'external',
  unknown: 'origin',
};

export function shapeOf(node: GraphNode): Shape {
  if (node.isOutside && node.kind === 'workload') return 'outside';
  return SHAPES[node.kind];
}

/** Of what came in, else of what went out, which is said. */
export function trafficLine(node: Pick<GraphNode, 'inbound' | 'outbound'>): string {
  const one = (traffic: Traffic) => {
    if (traffic.requestsPerSecond > 0) return rate(traffic.requestsPerSecond);
    return traffic.connectionsPerSecond > 0 ? connectionRate(traffic.connectionsPerSecond) : '';
  };
  const into = one(node.inbound);
  if (into !== '') return into;
  const out = one(node.outbound);
  return out === '' ? 'no traffic' : `${out} out`;
}

export function sharesOf({ classes }: Traffic): readonly number[] {
  const counts = [classes['2xx'], classes['3xx'], classes['4xx'], classes['5xx'], classes.none];
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === 0 ? [] : counts.map((count) => count / total);
}

export function nodeMark(group: Group, box: Box, change?: Difference): NodeMark {
  const [first] = group.members;
  const isOne = group.members.length === 1;
  const ready = group.members.reduce((sum, node) => sum + (node.replicas?.ready ?? 0), 0);
  const desired = group.members.reduce((sum, node) => sum + (node.replicas?.desired ?? 0), 0);
  const name = isOne ? titleOf(first) : group.title;
  const detail = isOne
    ? [desired > 0 ? `${ready}/${desired}` : '', trafficLine(first)]
        .filter((part) => part !== '')
        .join(' · ')
    : counted(group.members.length, 'version');
  return {
    id: group.id,
    box,
    shape: isOne ? shapeOf(first) : 'box',
    look: group.health.status,
    title: name,
    detail,
    chip: isOne ? first.version : '',
    badges: [...new Set(group.members.flatMap((node) => node.badges))],
    shares: isOne ? sharesOf(first.inbound) : [],
    ejected: group.members.flatMap((node) => node.ejected ?? []),
    change,
  };
}

/** The version is a chip of its own, so it is not said twice. */
function titleOf(node: GraphNode): string {
  if (node.kind === 'unknown') return 'outside callers';
  if (node.kind !== 'workload' || node.version === '') return node.name;
  return node.name.endsWith(`-${node.version}`)
    ? node.name.slice(0, -node.version.length - 1)
    : node.name;
}

export function fieldMark(group: Group, box: Box): FieldMark {
  const requests = group.members.reduce((sum, node) => sum + node.inbound.requestsPerSecond, 0);
  const failed = group.members.reduce(
    (sum, node) => sum + node.inbound.requestsPerSecond * node.inbound.errorRate,
    0,
  );
  const parts = [counted(group.members.length, 'workload'), rate(requests)];
  if (failed > 0) parts.push(`${percent(failed / requests)} errors`);
  return {
    id: group.id,
    box,
    title: group.namespace,
    look: group.health.status,
    detail: parts.join(' · '),
  };
}
