/**
 * A graph as JSON text, written into one buffer without objects between for its edges: of 20,000 edges that takes a third of the time (docs/decisions/024). What
 * marks.ts makes of the same edge says the same, as the tests hold.
 */
import type { GraphNode, Traffic } from '../api/graph.ts';
import type { HealthStatus } from '../api/health.ts';
import type { GraphRequest, Packing } from '../console-data.ts';
import { judgeOutcomes } from '../health/judge.ts';
import { NO_OUTCOMES } from '../health/tolerance.ts';
import { BUCKETS } from '../store/counts.ts';
import { choose, type GraphMoment, graphFrame } from './build.ts';
import { errorsOf, type GraphSums, outcomesOf } from './graph-sums.ts';
import { JsonBytes } from './json-bytes.ts';
import type { ChangedGraph } from './live-graph.ts';
import { codesOf, nodeMark, principalsOf, splitOf } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { pack } from './pack.ts';
import { quantiles } from './quantile.ts';
import type { EdgeSlot, NodeSlot } from './shape.ts';

const bytes = new JsonBytes();

export function graphText(
  moment: GraphMoment,
  mesh: MeshPicture,
  request: GraphRequest,
  packing: Packing = 'identity',
): Uint8Array<ArrayBuffer> {
  const { sums, from, to } = moment;
  const chosen = choose(sums, request);
  const windowSeconds = to - from;
  putOpen(graphFrame(moment, mesh, request, chosen));
  let isFirst = true;
  for (const node of chosen.nodes) {
    if (!isFirst) bytes.putBytes(KEYS.next);
    isFirst = false;
    putNode(node, nodeMark(node, sums, mesh, windowSeconds));
  }
  putEdges(chosen.edges, sums, mesh, windowSeconds);
  return packing === 'identity' ? bytes.taken() : pack(bytes.peek(), packing);
}

export function deltaText(
  { edges, nodes, ...frame }: ChangedGraph,
  moment: GraphMoment,
  mesh: MeshPicture,
): Uint8Array<ArrayBuffer> {
  putOpen(frame);
  bytes.put(JSON.stringify(nodes).slice(1, -1));
  putEdges(edges, moment.sums, mesh, moment.to - moment.from);
  return bytes.taken();
}

/** Up to where the nodes begin. */
function putOpen(frame: object): void {
  bytes.clear();
  bytes.put(`${JSON.stringify(frame).slice(0, -1)},"nodes":[`);
}

/** To the end of the text. */
function putEdges(
  edges: readonly EdgeSlot[],
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
): void {
  bytes.put('],"edges":[');
  let isFirst = true;
  for (const slot of edges) {
    if (!isFirst) bytes.putBytes(KEYS.next);
    isFirst = false;
    putEdge(slot, sums, mesh, windowSeconds);
  }
  bytes.put(']}');
}

const found = new Float64Array(3);
const SHARES = [0.5, 0.95, 0.99] as const;

const encoder = new TextEncoder();
const KEYS = {
  errorRate: encoder.encode(',"errorRate":'),
  p50Ms: encoder.encode(',"p50Ms":'),
  p95Ms: encoder.encode(',"p95Ms":'),
  p99Ms: encoder.encode(',"p99Ms":'),
  bytesPerSecond: encoder.encode(',"bytesPerSecond":'),
  connectionsPerSecond: encoder.encode(',"connectionsPerSecond":'),
  mtls: encoder.encode(',"mtls":'),
  samples: encoder.encode('","samples":'),
  closed: encoder.encode('}'),
  next: encoder.encode(','),
  requestsPerSecond: encoder.encode('{"requestsPerSecond":'),
  classes: encoder.encode(',"classes":{'),
};
/** What is said of an edge on which all went well is kept for fewer requests than that: half a megabyte. */
const ALL_WELL_MAX = 4096;
const allWell: (Uint8Array | undefined)[] = [];
/** Before each class of Traffic.classes. */
const CLASSES = (['2xx', '3xx', '4xx', '5xx', 'none'] as const).map(
  (name, at) => [name, encoder.encode(`${at === 0 ? '' : ','}"${name}":`)] as const,
);
const HEALTH = {
  healthy: encoder.encode(',"health":{"status":"healthy","reason":"'),
  degraded: encoder.encode(',"health":{"status":"degraded","reason":"'),
  failing: encoder.encode(',"health":{"status":"failing","reason":"'),
  unknown: encoder.encode(',"health":{"status":"unknown","reason":"'),
  idle: encoder.encode(',"health":{"status":"idle","reason":"'),
} as const satisfies Readonly<Record<HealthStatus, Uint8Array>>;

function putNode(slot: NodeSlot, node: GraphNode): void {
  const { labels, health, badges, isOutside, replicas, inbound, outbound, ejected } = node;
  bytes.put(nodeHeadOf(slot, node));
  bytes.put(labelsText(labels));
  bytes.putBytes(HEALTH[health.status]);
  // Of workloads' names, among others.
  bytes.put(JSON.stringify(health.reason).slice(1, -1));
  bytes.putBytes(KEYS.samples);
  bytes.putNumber(health.samples);
  bytes.put(`},"badges":${JSON.stringify(badges)},"isOutside":${isOutside}`);
  if (replicas !== undefined) bytes.put(`,"replicas":${JSON.stringify(replicas)}`);
  bytes.put(',"inbound":');
  putTraffic(inbound);
  bytes.put(',"outbound":');
  putTraffic(outbound);
  if (ejected !== undefined) bytes.put(`,"ejected":${JSON.stringify(ejected)}`);
  bytes.putBytes(KEYS.closed);
}

function putTraffic({
  requestsPerSecond,
  errorRate,
  connectionsPerSecond,
  bytesPerSecond,
  classes,
}: Traffic): void {
  bytes.putBytes(KEYS.requestsPerSecond);
  putRounded(requestsPerSecond);
  bytes.putBytes(KEYS.errorRate);
  putShare(errorRate, 1);
  bytes.putBytes(KEYS.connectionsPerSecond);
  putRounded(connectionsPerSecond);
  bytes.putBytes(KEYS.bytesPerSecond);
  putRounded(bytesPerSecond);
  bytes.putBytes(KEYS.classes);
  for (const [name, key] of CLASSES) {
    bytes.putBytes(key);
    bytes.putNumber(classes[name]);
  }
  bytes.put('}}');
}

function nodeHeadOf(
  slot: NodeSlot,
  { id, kind, namespace, name, app, version }: GraphNode,
): string {
  if (slot.text.head === '') {
    const head = JSON.stringify({ id, kind, namespace, name, app, version });
    slot.text.head = `${head.slice(0, -1)},"labels":`;
  }
  return slot.text.head;
}

/** Workloads keep theirs until they change. */
const labelTexts = new WeakMap<GraphNode['labels'], string>();

function labelsText(labels: GraphNode['labels']): string {
  let text = labelTexts.get(labels);
  if (text === undefined) {
    text = JSON.stringify(labels);
    labelTexts.set(labels, text);
  }
  return text;
}

function putEdge(slot: EdgeSlot, sums: GraphSums, mesh: MeshPicture, windowSeconds: number): void {
  const { edges } = sums;
  const { index } = slot;
  const isKnown = edges.has(index);
  const requests = isKnown ? edges.requests[index] : 0;
  const opened = isKnown ? edges.opened[index] : 0;
  const failed = isKnown ? edges.failed[index] : 0;
  const carried = isKnown ? edges.sent[index] + edges.received[index] : 0;
  const classes = sums.classesOf(slot);
  bytes.put(headOf(slot));
  putRounded(requests / windowSeconds);
  bytes.putBytes(KEYS.errorRate);
  if (requests > 0) putShare(errorsOf(classes), requests);
  else putShare(failed, Math.max(opened, failed));
  if (requests > 0 && quantiles(edges.latency, index * BUCKETS, SHARES, found)) {
    bytes.putBytes(KEYS.p50Ms);
    putRounded(found[0]);
    bytes.putBytes(KEYS.p95Ms);
    putRounded(found[1]);
    bytes.putBytes(KEYS.p99Ms);
    putRounded(found[2]);
  }
  bytes.putBytes(KEYS.bytesPerSecond);
  putRounded(carried / windowSeconds);
  bytes.putBytes(KEYS.connectionsPerSecond);
  putRounded(opened / windowSeconds);
  if (requests + opened > 0) {
    bytes.putBytes(KEYS.mtls);
    putShare(sums.mutualOf(slot), requests + opened);
  }
  putCodesAndHealth(slot, sums, requests);
  const split = splitOf(slot, sums, mesh);
  if (split !== undefined) bytes.put(`,"split":${JSON.stringify(split)}`);
  bytes.put(tailOf(slot));
}

/** As marks.ts rounds. */
function putRounded(value: number): void {
  if (value >= 100) bytes.putNumber(Math.round(value));
  else if (value >= 1) bytes.putNumber(Math.round(value * 100), 2);
  else bytes.putNumber(Math.round(value * 10_000), 4);
}

function putShare(part: number, whole: number): void {
  bytes.putNumber(whole === 0 ? 0 : Math.round((part / whole) * 10_000), 4);
}

function putCodesAndHealth(slot: EdgeSlot, sums: GraphSums, requests: number): void {
  const { edges } = sums;
  const opened = edges.opened[slot.index] ?? 0;
  const failed = edges.failed[slot.index] ?? 0;
  const isAllWell = opened + failed === 0 && sums.outcomesOf(slot.index).length === 0;
  if (isAllWell && slot.protocol === 'http' && requests > 0 && requests < ALL_WELL_MAX) {
    bytes.putBytes(allWellOf(requests));
    return;
  }
  const { responseCodes, flags } = codesOf(slot, sums, requests);
  bytes.put(`,"responseCodes":${JSON.stringify(responseCodes)},"flags":${JSON.stringify(flags)}`);
  const outcomes = outcomesOf(sums.classesOf(slot), opened, failed);
  const isEarly = sums.isEarly(slot);
  const { status, reason, samples } = judgeOutcomes(outcomes, undefined, { isEarly });
  bytes.putBytes(HEALTH[status]);
  bytes.put(reason);
  bytes.putBytes(KEYS.samples);
  bytes.putNumber(samples);
  bytes.putBytes(KEYS.closed);
}

/** Codes and health of an edge on which so many requests went well and nothing else: nine of ten in a usual mesh, and there is no more to say of them than their number. */
function allWellOf(requests: number): Uint8Array {
  const known = allWell[requests];
  if (known !== undefined) return known;
  const health = judgeOutcomes({ ...NO_OUTCOMES, http: requests });
  const text = `,"responseCodes":{"200":${requests}},"flags":{},"health":${JSON.stringify(health)}`;
  const made = encoder.encode(text);
  allWell[requests] = made;
  return made;
}

/** What never changes of an edge is written once. */
function headOf(slot: EdgeSlot): string {
  if (slot.text.head === '') {
    const { id, source, target, protocol } = slot;
    const head = JSON.stringify({ id, source: source.name.id, target: target.name.id, protocol });
    slot.text.head = `${head.slice(0, -1)},"requestsPerSecond":`;
  }
  return slot.text.head;
}

/** The waypoint and identities: they are added to while traffic is new. */
function tailOf(slot: EdgeSlot): string {
  const { text, via } = slot;
  const { source, target } = slot.principals;
  const known = source.size + target.size;
  if (text.principals === known && text.via === via) return text.tail;
  text.principals = known;
  text.via = via;
  const principals = principalsOf(slot);
  const viaText = via === '' ? '' : `,"via":${JSON.stringify(via)}`;
  const principalsText =
    principals === undefined ? '' : `,"principals":${JSON.stringify(principals)}`;
  text.tail = `${viaText}${principalsText}}`;
  return text.tail;
}
