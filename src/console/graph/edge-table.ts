/**
 * Edges of one answer as a table of numbers (EdgeTable), written without objects between. What marks.ts makes of the same edges says the same, as the tests hold. Nothing of
 * it is kept: who takes tables asks for a whole graph once, and is told what changes.
 */
import type { EdgeSplit } from '../api/graph.ts';
import type { Health } from '../api/health.ts';
import { judgeOutcomes } from '../health/judge.ts';
import { NO_OUTCOMES } from '../health/tolerance.ts';
import { BUCKETS } from '../store/counts.ts';
import { ALL_WELL_MAX, putRounded, putShare, SHARES } from './edge-text.ts';
import { errorsOf, type GraphSums, outcomesOf } from './graph-sums.ts';
import { JsonBytes } from './json-bytes.ts';
import { codesOf, splitOf } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { quantiles } from './quantile.ts';
import type { EdgeSlot, NodeSlot } from './shape.ts';

export interface TableSource {
  readonly sums: GraphSums;
  readonly mesh: MeshPicture;
  readonly windowSeconds: number;
}

const COMMA = new TextEncoder().encode(',');
const ABSENT = new TextEncoder().encode('-1,');
const found = new Float64Array(SHARES.length);
const allWell: (Health | undefined)[] = [];
const counts = new JsonBytes();

export function putEdgeTable(
  bytes: JsonBytes,
  edges: readonly EdgeSlot[],
  source: TableSource,
): void {
  const names = new Names(source.sums.shape.nodes.length);
  counts.clear();
  bytes.put('{"rows":[');
  for (const slot of edges) {
    putNames(bytes, slot, names, source);
    putFigures(bytes, slot, source);
    putCounts(slot, source.sums, names);
  }
  // Each number has a comma behind it.
  if (edges.length > 0) {
    bytes.cut(bytes.length - 1);
    counts.cut(counts.length - 1);
  }
  bytes.put('],"counts":[');
  bytes.putFrom(counts, 0, counts.length);
  const { texts, principals, splits } = names;
  bytes.put(`],"texts":${JSON.stringify(texts)},"principals":${JSON.stringify(principals)}`);
  bytes.put(`,"splits":${JSON.stringify(splits)}}`);
}

/** What one table calls by number. */
class Names {
  readonly texts: string[] = [];
  readonly principals: (readonly string[])[] = [];
  readonly splits: EdgeSplit[] = [];
  readonly #texts = new Map<string, number>();
  readonly #principals = new Map<string, number>();
  /** By node, one more than the number of its id. */
  readonly #nodes: Uint32Array;

  constructor(nodes: number) {
    this.#nodes = new Uint32Array(nodes);
  }

  ofText(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }

  /** As `ofText` of its id, which is not looked for thousands of times. */
  ofNode({ index, name }: NodeSlot): number {
    if (this.#nodes[index] === 0) this.#nodes[index] = this.ofText(name.id) + 1;
    return this.#nodes[index] - 1;
  }

  ofPrincipals(list: readonly string[]): number {
    const key = list.length === 1 ? list[0] : list.join('\n');
    const known = this.#principals.get(key);
    if (known !== undefined) return known;
    this.#principals.set(key, this.principals.length);
    return this.principals.push(list) - 1;
  }

  ofSplit(split: EdgeSplit): number {
    return this.splits.push(split) - 1;
  }
}

function putNames(
  bytes: JsonBytes,
  slot: EdgeSlot,
  names: Names,
  { sums, mesh }: TableSource,
): void {
  const { source, target, protocol, via, principals } = slot;
  const { status, reason, samples } = healthOf(slot, sums);
  const split = splitOf(slot, sums, mesh);
  const hasPrincipals = principals.source.length + principals.target.length > 0;
  put(bytes, names.ofNode(source));
  put(bytes, names.ofNode(target));
  put(bytes, names.ofText(protocol));
  put(bytes, names.ofText(status));
  put(bytes, names.ofText(reason));
  put(bytes, via === '' ? -1 : names.ofText(via));
  put(bytes, hasPrincipals ? names.ofPrincipals(principals.source) : -1);
  put(bytes, hasPrincipals ? names.ofPrincipals(principals.target) : -1);
  put(bytes, split === undefined ? -1 : names.ofSplit(split));
  put(bytes, samples);
}

function putFigures(bytes: JsonBytes, slot: EdgeSlot, { sums, windowSeconds }: TableSource): void {
  const { edges } = sums;
  const { index } = slot;
  const { requests, opened, failed, carried } = sums.countsOf(slot);
  putRate(bytes, requests / windowSeconds);
  if (requests === 0) putPart(bytes, failed, Math.max(opened, failed));
  else putPart(bytes, sums.isAllWell(slot) ? 0 : errorsOf(sums.classesOf(slot)), requests);
  const isTimed = requests > 0 && quantiles(edges.latency, index * BUCKETS, SHARES, found);
  for (let at = 0; at < SHARES.length; at++)
    if (isTimed) putRate(bytes, found[at]);
    else bytes.putBytes(ABSENT);
  putRate(bytes, carried / windowSeconds);
  putRate(bytes, opened / windowSeconds);
  if (requests + opened === 0) bytes.putBytes(ABSENT);
  else putPart(bytes, sums.mutualOf(slot), requests + opened);
}

function putCounts(slot: EdgeSlot, sums: GraphSums, names: Names): void {
  const { requests } = sums.countsOf(slot);
  if (sums.isAllWell(slot)) {
    put(counts, requests > 0 ? 1 : 0);
    put(counts, 0);
    if (requests > 0) putCount(slot.protocol === 'grpc' ? 'grpc 0' : '200', requests, names);
    return;
  }
  const { responseCodes, flags } = codesOf(slot, sums, requests);
  const both = [Object.entries(responseCodes), Object.entries(flags)];
  for (const { length } of both) put(counts, length);
  for (const [text, count] of both.flat()) putCount(text, count, names);
}

function putCount(text: string, count: number, names: Names): void {
  put(counts, names.ofText(text));
  put(counts, count);
}

function healthOf(slot: EdgeSlot, sums: GraphSums): Health {
  const { requests, opened, failed } = sums.countsOf(slot);
  const isHttpAlone = slot.protocol === 'http' && opened + failed === 0 && requests > 0;
  if (!isHttpAlone || !sums.isAllWell(slot) || requests >= ALL_WELL_MAX)
    return judgeOutcomes(outcomesOf(sums.classesOf(slot), opened, failed), undefined, {
      isEarly: sums.isEarly(slot),
    });
  allWell[requests] ??= judgeOutcomes({ ...NO_OUTCOMES, http: requests });
  return allWell[requests];
}

function put(bytes: JsonBytes, value: number): void {
  if (value < 0) {
    bytes.putBytes(ABSENT);
    return;
  }
  bytes.putNumber(value);
  bytes.putBytes(COMMA);
}

function putRate(bytes: JsonBytes, value: number): void {
  putRounded(bytes, value);
  bytes.putBytes(COMMA);
}

function putPart(bytes: JsonBytes, part: number, whole: number): void {
  putShare(bytes, part, whole);
  bytes.putBytes(COMMA);
}
