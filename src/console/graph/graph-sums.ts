/** One window of traffic summed by the edges and nodes of a shape: what a graph is made of. Reused from second to second. */

import { type Outcomes, outcomesFrom } from '../health/tolerance.ts';
import { BUCKETS, Counts } from '../store/counts.ts';
import { OUTCOMES_MAX } from '../store/limits.ts';
import { isErrorOutcome } from '../store/outcome.ts';
import type { OutcomeTable, SeriesTable } from '../store/series-table.ts';
import { failedEarly, isTold } from '../store/series-table.ts';
import type { EdgeSlot, GraphShape, NodeSlot } from './shape.ts';

/** Requests of one edge (or the sum of edges) by class. */
export interface Classes {
  /** Requests that are http, and by code class; `none`: not answered. */
  http: number;
  http3xx: number;
  http4xx: number;
  http5xx: number;
  none: number;
  grpc: number;
  grpcClient: number;
  grpcServer: number;
}

/** gRPC statuses that say the caller did wrong: the ring paints them as 4xx. */
const GRPC_CLIENT = new Set(['1', '3', '5', '6', '7', '9', '11', '16']);

export interface OutcomeCount {
  readonly text: string;
  readonly count: number;
}

/** What was counted on one edge in the window. */
export interface EdgeCounts {
  requests: number;
  opened: number;
  failed: number;
  /** Bytes, both ways. */
  carried: number;
}

export class GraphSums {
  readonly shape: GraphShape;
  /** By edge. */
  readonly edges = new Counts();
  readonly nodesIn = new Counts();
  readonly nodesOut = new Counts();
  /** Requests and connections under mutual TLS, by edge. */
  #mutual = new Float64Array(64);
  readonly #outcomes = new Map<number, OutcomeCount[]>();
  /** By node. */
  readonly #classesIn: (Classes | undefined)[] = [];
  readonly #classesOut: (Classes | undefined)[] = [];
  readonly #classes: (Classes | undefined)[] = [];
  #mutualIn = new Float64Array(64);
  /** Rows that the other side tells of as well. */
  readonly #passedOver = new Set<number>();
  /** Edges, and nodes at their ends, on which something failed that had been well before. */
  readonly #failedLate = { edges: new Set<number>(), nodes: new Set<number>() };
  readonly #counted: EdgeCounts = { requests: 0, opened: 0, failed: 0, carried: 0 };
  /** Grows with every filling: what was made of the one before says no longer how things are. */
  filling = 0;

  constructor(shape: GraphShape) {
    this.shape = shape;
  }

  /** `second`: the end of the window, for telling whose word counts. Latencies of nodes are summed where somebody asks for them. */
  fill(
    counts: Counts,
    second: number,
    { series, outcomes }: { series: SeriesTable; outcomes: OutcomeTable },
    withNodeLatency = false,
  ): void {
    this.#clear();
    this.filling++;
    for (let at = 0; at < counts.touchedCount; at++) {
      const row = counts.touched[at];
      if (counts.isIdle(row)) continue;
      const about = series.get(row);
      if (about === undefined) continue;
      if (isTold(about, second) && isReportedBySource(about.pair.bySource, counts)) {
        this.#passedOver.add(row);
        continue;
      }
      const isLate = counts.failed[row] > 0 && !failedEarly(about);
      for (const slot of this.shape.slotsOf(row)) {
        this.edges.addRow(slot.index, counts, row);
        if (isLate) this.#noteLate(slot);
        if (!about.isMutualTls) continue;
        this.#mutual = roomFor(this.#mutual, slot.index);
        this.#mutual[slot.index] += counts.requests[row] + counts.opened[row];
      }
    }
    for (const [key, count] of counts.outcomes) {
      const row = Math.floor(key / OUTCOMES_MAX);
      if (this.#passedOver.has(row)) continue;
      const about = series.get(row);
      const isLate =
        about !== undefined &&
        isErrorOutcome(outcomes.texts[key % OUTCOMES_MAX], about.protocol) &&
        !failedEarly(about);
      for (const slot of this.shape.slotsOf(row)) {
        if (!this.edges.has(slot.index)) continue;
        this.edges.addOutcome(slot.index, key % OUTCOMES_MAX, count);
        if (isLate) this.#noteLate(slot);
      }
    }
    for (const [key, count] of this.edges.outcomes) {
      const index = Math.floor(key / OUTCOMES_MAX);
      const list = this.#outcomes.get(index);
      const outcome = { text: outcomes.texts[key % OUTCOMES_MAX], count };
      if (list === undefined) this.#outcomes.set(index, [outcome]);
      else list.push(outcome);
    }
    this.#sumNodes(withNodeLatency);
  }

  /** All that failed did so before its destination had answered for the first time. */
  isEarly({ index }: EdgeSlot): boolean {
    return !this.#failedLate.edges.has(index);
  }

  /** Of what came in at a node. */
  isEarlyIn({ index }: NodeSlot): boolean {
    return !this.#failedLate.nodes.has(index);
  }

  #noteLate({ index, target }: EdgeSlot): void {
    this.#failedLate.edges.add(index);
    this.#failedLate.nodes.add(target.index);
  }

  /** Valid until the next call: thousands of edges are told one after the other. */
  countsOf({ index }: EdgeSlot): Readonly<EdgeCounts> {
    const { edges } = this;
    const counted = this.#counted;
    const isKnown = edges.has(index);
    counted.requests = isKnown ? edges.requests[index] : 0;
    counted.opened = isKnown ? edges.opened[index] : 0;
    counted.failed = isKnown ? edges.failed[index] : 0;
    counted.carried = isKnown ? edges.sent[index] + edges.received[index] : 0;
    return counted;
  }

  outcomesOf(index: number): readonly OutcomeCount[] {
    return this.#outcomes.get(index) ?? NO_OUTCOMES;
  }

  /** Every request was answered with 200 (or status 0), and no flag was told. */
  isAllWell(slot: EdgeSlot): boolean {
    return !this.#outcomes.has(slot.index);
  }

  classesOf(slot: EdgeSlot): Classes {
    const known = this.#classes[slot.index];
    if (known !== undefined) return known;
    const classes = classify(
      slot.protocol,
      this.edges.requests[slot.index] ?? 0,
      this.outcomesOf(slot.index),
    );
    this.#classes[slot.index] = classes;
    return classes;
  }

  nodeClasses(node: NodeSlot, direction: 'in' | 'out'): Classes {
    const sums = direction === 'in' ? this.#classesIn : this.#classesOut;
    return sums[node.index] ?? NO_CLASSES;
  }

  mutualOf(slot: EdgeSlot): number {
    return this.#mutual[slot.index] ?? 0;
  }

  /** Of what came in at a node. */
  mutualIn(node: NodeSlot): number {
    return this.#mutualIn[node.index] ?? 0;
  }

  isIdle(slot: EdgeSlot): boolean {
    return !this.edges.has(slot.index) || this.edges.isIdle(slot.index);
  }

  #sumNodes(withLatency: boolean): void {
    for (let at = 0; at < this.edges.touchedCount; at++) {
      const slot = this.shape.edges[this.edges.touched[at]];
      if (withLatency) this.nodesIn.addRow(slot.target.index, this.edges, slot.index);
      else this.nodesIn.addFigures(slot.target.index, this.edges, slot.index);
      this.nodesOut.addFigures(slot.source.index, this.edges, slot.index);
      const into = classesAt(this.#classesIn, slot.target.index);
      const outOf = classesAt(this.#classesOut, slot.source.index);
      if (slot.protocol === 'http' && this.isAllWell(slot)) {
        const requests = this.edges.requests[slot.index];
        into.http += requests;
        outOf.http += requests;
      } else {
        const classes = this.classesOf(slot);
        addClasses(into, classes);
        addClasses(outOf, classes);
      }
      this.#mutualIn = roomFor(this.#mutualIn, slot.target.index);
      this.#mutualIn[slot.target.index] += this.mutualOf(slot);
    }
  }

  #clear(): void {
    this.edges.clear();
    this.nodesIn.clear();
    this.nodesOut.clear();
    this.#mutual.fill(0);
    this.#mutualIn.fill(0);
    this.#outcomes.clear();
    this.#passedOver.clear();
    this.#failedLate.edges.clear();
    this.#failedLate.nodes.clear();
    this.#classes.length = 0;
    this.#classesIn.length = 0;
    this.#classesOut.length = 0;
  }
}

const NO_OUTCOMES: readonly OutcomeCount[] = [];
const NO_CLASSES: Classes = noClasses();

function noClasses(): Classes {
  return {
    http: 0,
    http3xx: 0,
    http4xx: 0,
    http5xx: 0,
    none: 0,
    grpc: 0,
    grpcClient: 0,
    grpcServer: 0,
  };
}

/** What health judges. Connections that failed were opened before, perhaps in the window before. */
export function outcomesOf(classes: Classes, opened: number, failed: number): Outcomes {
  const { http, http4xx, http5xx, none, grpc, grpcClient, grpcServer } = classes;
  return outcomesFrom({
    http,
    http4xx,
    http5xx,
    httpNone: http > 0 ? none : 0,
    grpc,
    grpcFailed: grpcClient + grpcServer + (http > 0 ? 0 : none),
    connections: Math.max(opened, failed),
    failures: failed,
  });
}

export function errorsOf({ http5xx, none, grpcClient, grpcServer }: Classes): number {
  return http5xx + none + grpcClient + grpcServer;
}

function classify(
  protocol: EdgeSlot['protocol'],
  requests: number,
  outcomes: readonly OutcomeCount[],
): Classes {
  const classes = noClasses();
  if (requests === 0 || protocol === 'tcp') return classes;
  const isGrpc = protocol === 'grpc';
  if (isGrpc) classes.grpc = requests;
  else classes.http = requests;
  let otherCodes = 0;
  for (const { text, count } of outcomes) {
    const value = text.slice(1);
    if (text[0] === 'g' && isGrpc) {
      if (GRPC_CLIENT.has(value)) classes.grpcClient += count;
      else classes.grpcServer += count;
    } else if (text[0] === 'c') {
      if (value === '0') classes.none += count;
      else if (isGrpc) otherCodes += count;
      else if (value[0] === '3') classes.http3xx += count;
      else if (value[0] === '4') classes.http4xx += count;
      else if (value[0] === '5') classes.http5xx += count;
    }
  }
  // A proxy that answers gRPC with a bare HTTP code gives it a status as well: not counted again.
  const told = classes.grpcClient + classes.grpcServer;
  if (isGrpc) classes.none = Math.max(0, classes.none - told);
  if (isGrpc && otherCodes > told) classes.grpcServer += Math.min(otherCodes, requests) - told;
  return classes;
}

function classesAt(sums: (Classes | undefined)[], index: number): Classes {
  let sum = sums[index];
  if (sum === undefined) {
    sum = noClasses();
    sums[index] = sum;
  }
  return sum;
}

function addClasses(sum: Classes, added: Classes): void {
  sum.http += added.http;
  sum.http3xx += added.http3xx;
  sum.http4xx += added.http4xx;
  sum.http5xx += added.http5xx;
  sum.none += added.none;
  sum.grpc += added.grpc;
  sum.grpcClient += added.grpcClient;
  sum.grpcServer += added.grpcServer;
}

function isReportedBySource(bySource: readonly number[], counts: Counts): boolean {
  return bySource.some((row) => counts.has(row) && !counts.isIdle(row));
}

function roomFor(array: Float64Array<ArrayBuffer>, index: number): Float64Array<ArrayBuffer> {
  if (index < array.length) return array;
  const larger = new Float64Array(Math.max(index + 1, array.length * 2));
  larger.set(array);
  return larger;
}

/** Requests by bucket of latency, of a node or an edge. */
export function bucketsOf(counts: Counts, index: number): number[] {
  return counts.has(index)
    ? [...counts.latency.subarray(index * BUCKETS, (index + 1) * BUCKETS)]
    : new Array<number>(BUCKETS).fill(0);
}
