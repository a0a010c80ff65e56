/** One edge as JSON text, without objects between. What marks.ts makes of the same edge says the same, as the tests hold. */
import type { HealthStatus } from '../api/health.ts';
import { judgeOutcomes } from '../health/judge.ts';
import { NO_OUTCOMES } from '../health/tolerance.ts';
import { BUCKETS } from '../store/counts.ts';
import { errorsOf, type GraphSums, type OutcomeCount, outcomesOf } from './graph-sums.ts';
import type { JsonBytes } from './json-bytes.ts';
import { splitOf } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { quantiles } from './quantile.ts';
import type { EdgeSlot, NodeSlot } from './shape.ts';

const encoder = new TextEncoder();
const KEYS = {
  id: encoder.encode('{"id":"'),
  space: encoder.encode(' '),
  target: encoder.encode('","target":"'),
  errorRate: encoder.encode(',"errorRate":'),
  p50Ms: encoder.encode(',"p50Ms":'),
  p95Ms: encoder.encode(',"p95Ms":'),
  p99Ms: encoder.encode(',"p99Ms":'),
  bytesPerSecond: encoder.encode(',"bytesPerSecond":'),
  connectionsPerSecond: encoder.encode(',"connectionsPerSecond":'),
  mtls: encoder.encode(',"mtls":'),
  responseCodes: encoder.encode(',"responseCodes":{'),
  flags: encoder.encode('},"flags":{'),
  closed: encoder.encode('}'),
  next: encoder.encode(','),
} as const;
const AFTER_ID = {
  http: encoder.encode(' http","source":"'),
  grpc: encoder.encode(' grpc","source":"'),
  tcp: encoder.encode(' tcp","source":"'),
} as const;
const AFTER_ENDS = {
  http: encoder.encode('","protocol":"http","requestsPerSecond":'),
  grpc: encoder.encode('","protocol":"grpc","requestsPerSecond":'),
  tcp: encoder.encode('","protocol":"tcp","requestsPerSecond":'),
} as const;
/** Before the reason, and what stands behind it. */
export const HEALTH = {
  healthy: encoder.encode(',"health":{"status":"healthy","reason":"'),
  degraded: encoder.encode(',"health":{"status":"degraded","reason":"'),
  failing: encoder.encode(',"health":{"status":"failing","reason":"'),
  unknown: encoder.encode(',"health":{"status":"unknown","reason":"'),
  idle: encoder.encode(',"health":{"status":"idle","reason":"'),
} as const satisfies Readonly<Record<HealthStatus, Uint8Array>>;
export const HEALTH_SAMPLES = encoder.encode('","samples":');

/** Codes and health of so many requests that all went well are kept for fewer than that: half a megabyte. */
export const ALL_WELL_MAX = 4096;
/** Judgements of requests of which some ended with 5xx: as many are kept, a megabyte. */
const JUDGED_MAX = 8192;
/** Of fewer requests than that: two counts are one number then. */
const JUDGED_REQUESTS_MAX = 1 << 24;

export const SHARES = [0.5, 0.95, 0.99] as const;
const found = new Float64Array(3);
const allWell: (Uint8Array | undefined)[] = [];
const judged = new Map<number, Uint8Array>();
/** By outcome: `"503":`. There are no more of them than a store tells apart. */
const outcomeKeys = new Map<string, Uint8Array>();

export function putEdge(
  bytes: JsonBytes,
  slot: EdgeSlot,
  sums: GraphSums,
  mesh: MeshPicture,
  windowSeconds: number,
): void {
  const { edges } = sums;
  const { index } = slot;
  const { requests, opened, failed, carried } = sums.countsOf(slot);
  const isAllWell = sums.isAllWell(slot);
  putHead(bytes, slot);
  putRounded(bytes, requests / windowSeconds);
  bytes.putBytes(KEYS.errorRate);
  if (requests === 0) putShare(bytes, failed, Math.max(opened, failed));
  else putShare(bytes, isAllWell ? 0 : errorsOf(sums.classesOf(slot)), requests);
  if (requests > 0 && quantiles(edges.latency, index * BUCKETS, SHARES, found)) {
    bytes.putBytes(KEYS.p50Ms);
    putRounded(bytes, found[0]);
    bytes.putBytes(KEYS.p95Ms);
    putRounded(bytes, found[1]);
    bytes.putBytes(KEYS.p99Ms);
    putRounded(bytes, found[2]);
  }
  bytes.putBytes(KEYS.bytesPerSecond);
  putRounded(bytes, carried / windowSeconds);
  bytes.putBytes(KEYS.connectionsPerSecond);
  putRounded(bytes, opened / windowSeconds);
  if (requests + opened > 0) {
    bytes.putBytes(KEYS.mtls);
    putShare(bytes, sums.mutualOf(slot), requests + opened);
  }
  const isHttpAlone = slot.protocol === 'http' && opened + failed === 0 && requests > 0;
  if (isAllWell && isHttpAlone && requests < ALL_WELL_MAX) bytes.putBytes(allWellOf(requests));
  else {
    putCodes(bytes, slot, sums.outcomesOf(index), requests);
    putHealth(bytes, slot, sums, isHttpAlone);
  }
  const split = splitOf(slot, sums, mesh);
  if (split !== undefined) bytes.put(`,"split":${JSON.stringify(split)}`);
  bytes.put(tailOf(slot));
}

/** As marks.ts rounds. */
export function putRounded(bytes: JsonBytes, value: number): void {
  if (value >= 100) bytes.putNumber(Math.round(value));
  else if (value >= 1) bytes.putNumber(Math.round(value * 100), 2);
  else bytes.putNumber(Math.round(value * 10_000), 4);
}

export function putShare(bytes: JsonBytes, part: number, whole: number): void {
  bytes.putNumber(whole === 0 ? 0 : Math.round((part / whole) * 10_000), 4);
}

/** gRPC calls by their status, as `grpc 14`; HTTP by code. What is told of nowhere else was well. */
function putCodes(
  bytes: JsonBytes,
  { protocol }: EdgeSlot,
  outcomes: readonly OutcomeCount[],
  requests: number,
): void {
  const isGrpc = protocol === 'grpc';
  const counted = isGrpc ? 'g' : 'c';
  let others = 0;
  let isFirst = true;
  bytes.putBytes(KEYS.responseCodes);
  for (const { text, count } of outcomes) {
    if (text[0] === 'f') continue;
    if (text[0] === counted) others += count;
    if (!isFirst) bytes.putBytes(KEYS.next);
    isFirst = false;
    putOutcome(bytes, text, count);
  }
  if (requests > others) {
    if (!isFirst) bytes.putBytes(KEYS.next);
    putOutcome(bytes, isGrpc ? 'g0' : 'c200', requests - others);
  }
  bytes.putBytes(KEYS.flags);
  isFirst = true;
  for (const { text, count } of outcomes) {
    if (text[0] !== 'f') continue;
    if (!isFirst) bytes.putBytes(KEYS.next);
    isFirst = false;
    putOutcome(bytes, text, count);
  }
  bytes.putBytes(KEYS.closed);
}

function putOutcome(bytes: JsonBytes, text: string, count: number): void {
  let key = outcomeKeys.get(text);
  if (key === undefined) {
    const name = text[0] === 'g' ? `grpc ${text.slice(1)}` : text.slice(1);
    key = encoder.encode(`${JSON.stringify(name)}:`);
    outcomeKeys.set(text, key);
  }
  bytes.putBytes(key);
  bytes.putNumber(count);
}

/** Many edges of a mesh fail alike: few of many requests, with 5xx. There is no more to say of those than both numbers. */
function putHealth(bytes: JsonBytes, slot: EdgeSlot, sums: GraphSums, isHttpAlone: boolean): void {
  const classes = sums.classesOf(slot);
  const { http, http4xx, http5xx, none } = classes;
  const isEarly = sums.isEarly(slot);
  const isFailing = isHttpAlone && !isEarly && http5xx > 0;
  const isBy5xx = isFailing && http4xx + none === 0 && http < JUDGED_REQUESTS_MAX;
  const key = http5xx * JUDGED_REQUESTS_MAX + http;
  const known = isBy5xx ? judged.get(key) : undefined;
  if (known !== undefined) {
    bytes.putBytes(known);
    return;
  }
  const { opened, failed } = sums.countsOf(slot);
  const health = judgeOutcomes(outcomesOf(classes, opened, failed), undefined, { isEarly });
  const text = encoder.encode(`,"health":${JSON.stringify(health)}`);
  bytes.putBytes(text);
  if (!isBy5xx) return;
  if (judged.size >= JUDGED_MAX) judged.clear();
  judged.set(key, text);
}

function allWellOf(requests: number): Uint8Array {
  const known = allWell[requests];
  if (known !== undefined) return known;
  const health = judgeOutcomes({ ...NO_OUTCOMES, http: requests });
  const text = `,"responseCodes":{"200":${requests}},"flags":{},"health":${JSON.stringify(health)}`;
  const made = encoder.encode(text);
  allWell[requests] = made;
  return made;
}

/** What never changes of an edge, of the ids of its ends: texts of their own would be five megabytes of a large mesh. */
function putHead(bytes: JsonBytes, { source, target, protocol }: EdgeSlot): void {
  const [from, to] = [idOf(source), idOf(target)];
  bytes.putBytes(KEYS.id);
  bytes.putBytes(from);
  bytes.putBytes(KEYS.space);
  bytes.putBytes(to);
  bytes.putBytes(AFTER_ID[protocol]);
  bytes.putBytes(from);
  bytes.putBytes(KEYS.target);
  bytes.putBytes(to);
  bytes.putBytes(AFTER_ENDS[protocol]);
}

/** As it stands between quotes. */
function idOf({ name, text }: NodeSlot): Uint8Array {
  text.id ??= encoder.encode(JSON.stringify(name.id).slice(1, -1));
  return text.id;
}

/** The waypoint and identities: they are added to while traffic is new. */
function tailOf(slot: EdgeSlot): string {
  const { text, via } = slot;
  const { source, target } = slot.principals;
  const known = source.length + target.length;
  if (text.principals === known && text.via === via) return text.tail;
  text.principals = known;
  text.via = via;
  const viaText = via === '' ? '' : `,"via":${JSON.stringify(via)}`;
  const principalsText =
    known === 0 ? '' : `,"principals":{"source":${listOf(source)},"target":${listOf(target)}}`;
  text.tail = `${viaText}${principalsText}}`;
  return text.tail;
}

/** As JSON; of thousands of identities few have to be looked at letter by letter. */
function listOf(texts: readonly string[]): string {
  if (texts.length === 0) return '[]';
  const isPlain = texts.every((text) => PLAIN.test(text));
  return isPlain ? `["${texts.join('","')}"]` : JSON.stringify(texts);
}

/** Nothing of it is written otherwise within quotes. */
const PLAIN = /^[\w:/.-]*$/;
