/** One node as JSON text: the object that marks.ts makes, written without strings between where they would be the same each second. */
import type { GraphNode, Traffic } from '../api/graph.ts';
import { HEALTH, HEALTH_SAMPLES, putRounded, putShare } from './edge-text.ts';
import type { JsonBytes } from './json-bytes.ts';
import type { NodeSlot } from './shape.ts';

const encoder = new TextEncoder();
const KEYS = {
  noBadges: encoder.encode('},"badges":[],"isOutside":'),
  badges: encoder.encode('},"badges":'),
  isOutside: encoder.encode(',"isOutside":'),
  true: encoder.encode('true'),
  false: encoder.encode('false'),
  ready: encoder.encode(',"replicas":{"ready":'),
  desired: encoder.encode(',"desired":'),
  closed: encoder.encode('}'),
  closedTwice: encoder.encode('}}'),
  inbound: encoder.encode(',"inbound":'),
  outbound: encoder.encode(',"outbound":'),
  requestsPerSecond: encoder.encode('{"requestsPerSecond":'),
  errorRate: encoder.encode(',"errorRate":'),
  connectionsPerSecond: encoder.encode(',"connectionsPerSecond":'),
  bytesPerSecond: encoder.encode(',"bytesPerSecond":'),
  classes: encoder.encode(',"classes":{'),
} as const;
/** Before each class of Traffic.classes. */
const CLASSES = (['2xx', '3xx', '4xx', '5xx', 'none'] as const).map(
  (name, at) => [name, encoder.encode(`${at === 0 ? '' : ','}"${name}":`)] as const,
);

export function putNode(bytes: JsonBytes, slot: NodeSlot, node: GraphNode): void {
  const { labels, health, badges, isOutside, replicas, inbound, outbound, ejected } = node;
  bytes.put(headOf(slot, node));
  bytes.put(labelsText(labels));
  bytes.putBytes(HEALTH[health.status]);
  // Of workloads' names, among others.
  bytes.put(JSON.stringify(health.reason).slice(1, -1));
  bytes.putBytes(HEALTH_SAMPLES);
  bytes.putNumber(health.samples);
  if (badges.length === 0) bytes.putBytes(KEYS.noBadges);
  else {
    bytes.putBytes(KEYS.badges);
    bytes.put(JSON.stringify(badges));
    bytes.putBytes(KEYS.isOutside);
  }
  bytes.putBytes(isOutside ? KEYS.true : KEYS.false);
  if (replicas !== undefined) {
    bytes.putBytes(KEYS.ready);
    bytes.putNumber(replicas.ready);
    bytes.putBytes(KEYS.desired);
    bytes.putNumber(replicas.desired);
    bytes.putBytes(KEYS.closed);
  }
  bytes.putBytes(KEYS.inbound);
  putTraffic(bytes, inbound);
  bytes.putBytes(KEYS.outbound);
  putTraffic(bytes, outbound);
  if (ejected !== undefined) bytes.put(`,"ejected":${JSON.stringify(ejected)}`);
  bytes.putBytes(KEYS.closed);
}

function putTraffic(bytes: JsonBytes, traffic: Traffic): void {
  bytes.putBytes(KEYS.requestsPerSecond);
  putRounded(bytes, traffic.requestsPerSecond);
  bytes.putBytes(KEYS.errorRate);
  putShare(bytes, traffic.errorRate, 1);
  bytes.putBytes(KEYS.connectionsPerSecond);
  putRounded(bytes, traffic.connectionsPerSecond);
  bytes.putBytes(KEYS.bytesPerSecond);
  putRounded(bytes, traffic.bytesPerSecond);
  bytes.putBytes(KEYS.classes);
  for (const [name, key] of CLASSES) {
    bytes.putBytes(key);
    bytes.putNumber(traffic.classes[name]);
  }
  bytes.putBytes(KEYS.closedTwice);
}

function headOf(slot: NodeSlot, { id, kind, namespace, name, app, version }: GraphNode): string {
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
