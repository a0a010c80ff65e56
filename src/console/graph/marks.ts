/** The graph's objects for one node or edge, out of sums and the mesh: numbers, health with its reason, badges, splits. Pure. */
import type { Badge, GraphEdge, GraphNode, Traffic } from '../api/graph.ts';
import type { Health } from '../api/health.ts';
import {
  judgeCertificate,
  judgeEjections,
  judgeOutcomes,
  judgePassage,
  judgeReplicas,
  worst,
} from '../health/judge.ts';
import { tolerancesOf } from '../health/tolerance.ts';
import { BUCKETS, type Counts } from '../store/counts.ts';
import { type Classes, errorsOf, type GraphSums, outcomesOf } from './graph-sums.ts';
import type { MeshPicture, WorkloadPicture } from './mesh-picture.ts';
import { quantile } from './quantile.ts';
import type { EdgeSlot, NodeSlot } from './shape.ts';

const NO_LABELS: Readonly<Record<string, string>> = {};

export function edgeMark(
  slot: EdgeSlot,
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
): GraphEdge {
  const { edges } = sums;
  const { index, protocol } = slot;
  const classes = sums.classesOf(slot);
  const { requests, opened, failed, carried } = sums.countsOf(slot);
  const base = index * BUCKETS;
  const total = requests + opened;
  const codes = codesOf(slot, sums, requests);
  const isHttp = requests > 0;
  return {
    id: slot.id,
    source: slot.source.name.id,
    target: slot.target.name.id,
    protocol,
    requestsPerSecond: rate(requests, windowSeconds),
    errorRate:
      requests > 0 ? share(errorsOf(classes), requests) : share(failed, Math.max(opened, failed)),
    p50Ms: isHttp ? rounded(quantile(edges.latency, base, 0.5)) : undefined,
    p95Ms: isHttp ? rounded(quantile(edges.latency, base, 0.95)) : undefined,
    p99Ms: isHttp ? rounded(quantile(edges.latency, base, 0.99)) : undefined,
    bytesPerSecond: rate(carried, windowSeconds),
    connectionsPerSecond: rate(opened, windowSeconds),
    mtls: total === 0 ? undefined : share(sums.mutualOf(slot), total),
    responseCodes: codes.responseCodes,
    flags: codes.flags,
    health: judgeOutcomes(outcomesOf(classes, opened, failed), undefined, {
      isEarly: sums.isEarly(slot),
    }),
    via: slot.via === '' ? undefined : slot.via,
    split: splitOf(slot, sums, mesh),
    principals: principalsOf(slot),
  };
}

export function nodeMark(
  node: NodeSlot,
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
): GraphNode {
  const { id, kind, namespace, name, app, version, key } = node.name;
  const isService = kind === 'service' || (kind === 'external' && key !== '');
  const workload = isService || key === '' ? undefined : mesh.workloads.get(key);
  const ejected = key === '' ? undefined : ejectedOf(isService, key, mesh);
  return {
    id,
    kind,
    namespace,
    name,
    app,
    version,
    labels: workload?.labels ?? NO_LABELS,
    health: nodeHealth(node, sums, mesh),
    badges: badgesOf(node, workload, isService, mesh),
    isOutside: isOutside(kind, workload),
    replicas: workload?.replicas,
    inbound: trafficOf(sums.nodesIn, node.index, sums.nodeClasses(node, 'in'), windowSeconds),
    outbound: trafficOf(sums.nodesOut, node.index, sums.nodeClasses(node, 'out'), windowSeconds),
    ejected: ejected?.length ? ejected : undefined,
  };
}

/** What came in is judged; what goes out is somebody else's doing. */
export function nodeHealth(node: NodeSlot, sums: GraphSums, mesh: MeshPicture): Health {
  const { key, kind } = node.name;
  const isService = kind === 'service';
  const about = isService ? mesh.services.get(key) : mesh.workloads.get(key);
  const workload = isService ? undefined : mesh.workloads.get(key);
  const { index } = node;
  const inbound = sums.nodesIn;
  const isKnown = inbound.has(index);
  const outcomes = outcomesOf(
    sums.nodeClasses(node, 'in'),
    isKnown ? inbound.opened[index] : 0,
    isKnown ? inbound.failed[index] : 0,
  );
  const tolerances = tolerancesOf(about?.healthRate ?? '', 'inbound');
  const isPassage = kind === 'waypoint' && sums.shape.view.waypoints === 'passed';
  const parts = [
    isPassage
      ? judgePassage(outcomes)
      : judgeOutcomes(outcomes, tolerances, { isEarly: sums.isEarlyIn(node) }),
  ];
  const [{ samples }] = parts;
  if (workload !== undefined) {
    const replicas = judgeReplicas(workload.replicas);
    // Ready replicas without traffic are idle, not well.
    if (replicas.status !== 'healthy') parts.push(replicas);
    const certificate = mesh.marks.certificates.get(workload.identity);
    const expiry = certificate && judgeCertificate(certificate.state, certificate.notAfter);
    if (expiry !== undefined) parts.push(expiry);
  }
  const ejected = key === '' ? undefined : ejectedOf(isService, key, mesh);
  if (ejected?.length) {
    const addresses = new Set(ejected.map(({ address }) => address));
    const ejection = judgeEjections(addresses.size, workload?.replicas.desired ?? 0);
    if (ejection !== undefined) parts.push(ejection);
  }
  const health = worst(parts);
  if (health.status === 'idle' && sums.nodesOut.has(index) && !sums.nodesOut.isIdle(index))
    return { ...health, reason: 'Nothing called it in the window; what it calls is judged there.' };
  return { ...health, samples };
}

export function trafficOf(
  counts: Counts,
  index: number,
  classes: Classes,
  windowSeconds: number,
): Traffic {
  if (!counts.has(index)) return NO_TRAFFIC;
  const requests = counts.requests[index];
  const opened = counts.opened[index];
  const failed = counts.failed[index];
  const { http3xx, http4xx, http5xx, none, grpcClient, grpcServer } = classes;
  const fourHundreds = http4xx + grpcClient;
  const fiveHundreds = http5xx + grpcServer;
  return {
    requestsPerSecond: rate(requests, windowSeconds),
    errorRate:
      requests > 0 ? share(errorsOf(classes), requests) : share(failed, Math.max(opened, failed)),
    connectionsPerSecond: rate(opened, windowSeconds),
    bytesPerSecond: rate(counts.sent[index] + counts.received[index], windowSeconds),
    classes: {
      '2xx': Math.max(0, requests - http3xx - fourHundreds - fiveHundreds - none),
      '3xx': http3xx,
      '4xx': fourHundreds,
      '5xx': fiveHundreds,
      none,
    },
  };
}

const NO_TRAFFIC: Traffic = {
  requestsPerSecond: 0,
  errorRate: 0,
  connectionsPerSecond: 0,
  bytesPerSecond: 0,
  classes: { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
};

/** gRPC calls by their status, as `grpc 14`; HTTP by code. */
export function codesOf(slot: EdgeSlot, sums: GraphSums, requests: number) {
  const responseCodes: Record<string, number> = {};
  const flags: Record<string, number> = {};
  const isGrpc = slot.protocol === 'grpc';
  let others = 0;
  for (const { text, count } of sums.outcomesOf(slot.index)) {
    const value = text.slice(1);
    if (text[0] === 'f') flags[value] = count;
    else if (text[0] === 'c') {
      responseCodes[value] = count;
      if (!isGrpc) others += count;
    } else {
      responseCodes[`grpc ${value}`] = count;
      if (isGrpc) others += count;
    }
  }
  if (requests > others) responseCodes[isGrpc ? 'grpc 0' : '200'] = requests - others;
  return { responseCodes, flags };
}

export function splitOf(slot: EdgeSlot, sums: GraphSums, mesh: MeshPicture): GraphEdge['split'] {
  const { source, target } = slot;
  if (source.name.kind !== 'service') return undefined;
  const split = mesh.marks.splits.get(source.name.key);
  if (split === undefined) return undefined;
  const workloads = workloadsOf(target, mesh);
  const intended = split.parts
    .filter((part) => part.workloads.some((key) => workloads.has(key)))
    .reduce((sum, { percent }) => sum + percent, 0);
  const isRouted = split.parts.some((part) => part.workloads.some((key) => workloads.has(key)));
  if (!isRouted) return undefined;
  const countOf = (edge: EdgeSlot) =>
    sums.isIdle(edge) ? 0 : sums.edges.requests[edge.index] + sums.edges.opened[edge.index];
  const all = source.outgoing.reduce((sum, edge) => sum + countOf(edge), 0);
  const mine = source.outgoing
    .filter((edge) => edge.target === target)
    .reduce((sum, edge) => sum + countOf(edge), 0);
  return {
    intended,
    seen: all === 0 ? 0 : Math.round((mine / all) * 1000) / 10,
    route: split.route,
  };
}

/** Keys of the workloads that a node stands for. */
function workloadsOf(node: NodeSlot, mesh: MeshPicture): Set<string> {
  const { key, kind, namespace, app, version } = node.name;
  if (kind !== 'app') return new Set([key]);
  const found = new Set<string>();
  for (const workload of mesh.workloads.values())
    if (
      workload.namespace === namespace &&
      workload.app === app &&
      (version === '' || workload.versions.includes(version))
    )
      found.add(workload.key);
  return found;
}

function ejectedOf(isService: boolean, key: string, mesh: MeshPicture) {
  return (isService ? mesh.marks.ejectedByService : mesh.marks.ejectedByWorkload).get(key);
}

function badgesOf(
  node: NodeSlot,
  workload: WorkloadPicture | undefined,
  isService: boolean,
  mesh: MeshPicture,
): Badge[] {
  const { key, kind } = node.name;
  const badges = new Set<Badge>(
    mesh.marks.badges.get(`${isService ? 'service' : 'workload'}/${key}`),
  );
  if (kind === 'external') badges.add('external');
  const waypoint = isService ? mesh.services.get(key)?.waypoint : workload?.waypoint;
  if (waypoint) badges.add('waypoint');
  if (workload?.kind === 'WorkloadEntry') badges.add('workload-entry');
  if (workload !== undefined && !workload.isCaptured && workload.role === 'workload')
    badges.add('not-captured');
  if (workload !== undefined && node.incoming.length === 0 && node.outgoing.length > 0)
    badges.add('traffic-source');
  return [...badges].sort();
}

/** No proxy of ours speaks for it. */
function isOutside(kind: GraphNode['kind'], workload: WorkloadPicture | undefined): boolean {
  if (kind === 'external' || kind === 'unknown') return true;
  return workload !== undefined && workload.role === 'workload' && !workload.isCaptured;
}

export function principalsOf(slot: EdgeSlot): GraphEdge['principals'] {
  const { source, target } = slot.principals;
  return source.length + target.length === 0
    ? undefined
    : { source: [...source], target: [...target] };
}

/** Numbers as they are read: three or four digits, so that a graph of a large mesh is not half digits. */
export function rate(count: number, seconds: number): number {
  return rounded(count / seconds) ?? 0;
}

export function rounded(value: number | undefined): number | undefined {
  if (value === undefined || value === 0) return value;
  const unit = value >= 100 ? 1 : value >= 1 ? 100 : 10_000;
  return Math.round(value * unit) / unit;
}

export function share(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 10_000;
}
