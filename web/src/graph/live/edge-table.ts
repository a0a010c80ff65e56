/** Edges out of the table in which the control plane tells them (EdgeTable). Pure. */
import type { EdgeTable, GraphEdge } from '#console/api/graph.ts';
import type { HealthStatus } from '#console/api/health.ts';
import type { EdgeFigures } from '../scene/levels.ts';

/** Places in the row of an edge. */
const SOURCE = 0;
const TARGET = 1;
const PROTOCOL = 2;
const STATUS = 3;
const REASON = 4;
const VIA = 5;
const SOURCE_PRINCIPALS = 6;
const TARGET_PRINCIPALS = 7;
const SPLIT = 8;
const SAMPLES = 9;
const REQUESTS = 10;
const ERRORS = 11;
const P50 = 12;
const P95 = 13;
const P99 = 14;
const BYTES = 15;
const CONNECTIONS = 16;
const MTLS = 17;
const ROW = 18;

type Counts = Readonly<Record<string, number>>;
type Writable<T> = { -readonly [Member in keyof T]: T[Member] };

export function edgesOf(table: EdgeTable): GraphEdge[] {
  return new EdgeReader(table).next(edgeCount(table));
}

export function edgeCount({ rows }: EdgeTable): number {
  return rows.length / ROW;
}

/** Shows all, one after the other, as one object that is filled anew each time: thousands of objects take longer to make than all that is done with them. */
export function eachEdge({ rows, texts }: EdgeTable, see: (edge: EdgeFigures) => void): void {
  const health = { status: 'idle' as HealthStatus, reason: '', samples: 0 };
  const edge: Writable<EdgeFigures> = {
    source: '',
    target: '',
    protocol: 'http',
    requestsPerSecond: 0,
    errorRate: 0,
    p50Ms: undefined,
    p95Ms: undefined,
    p99Ms: undefined,
    bytesPerSecond: 0,
    connectionsPerSecond: 0,
    mtls: undefined,
    health,
  };
  for (let row = 0; row < rows.length; row += ROW) {
    edge.source = texts[rows[row + SOURCE]];
    edge.target = texts[rows[row + TARGET]];
    edge.protocol = texts[rows[row + PROTOCOL]] as GraphEdge['protocol'];
    edge.requestsPerSecond = rows[row + REQUESTS];
    edge.errorRate = rows[row + ERRORS];
    edge.p50Ms = orAbsent(rows[row + P50]);
    edge.p95Ms = orAbsent(rows[row + P95]);
    edge.p99Ms = orAbsent(rows[row + P99]);
    edge.bytesPerSecond = rows[row + BYTES];
    edge.connectionsPerSecond = rows[row + CONNECTIONS];
    edge.mtls = orAbsent(rows[row + MTLS]);
    health.status = texts[rows[row + STATUS]] as HealthStatus;
    health.reason = texts[rows[row + REASON]];
    health.samples = rows[row + SAMPLES];
    see(edge);
  }
}

/** One after the other: where an edge's counts begin is known from those before it. */
export class EdgeReader {
  readonly #table: EdgeTable;
  #row = 0;
  #count = 0;

  constructor(table: EdgeTable) {
    this.#table = table;
  }

  /** Fewer at the end. */
  next(limit: number): GraphEdge[] {
    const { rows, counts } = this.#table;
    const edges: GraphEdge[] = [];
    for (; edges.length < limit && this.#row < rows.length; this.#row += ROW) {
      const codes = counts[this.#count];
      const flags = counts[this.#count + 1];
      this.#count += 2;
      edges.push(edgeAt(this.#table, this.#row, this.#take(codes), this.#take(flags)));
    }
    return edges;
  }

  #take(count: number): Counts {
    const { counts, texts } = this.#table;
    const taken: Record<string, number> = {};
    for (const end = this.#count + 2 * count; this.#count < end; this.#count += 2)
      taken[texts[counts[this.#count]]] = counts[this.#count + 1];
    return taken;
  }
}

function edgeAt(
  { rows, texts, principals, splits }: EdgeTable,
  row: number,
  responseCodes: Counts,
  flags: Counts,
): GraphEdge {
  const source = texts[rows[row + SOURCE]];
  const target = texts[rows[row + TARGET]];
  const protocol = texts[rows[row + PROTOCOL]] as GraphEdge['protocol'];
  const split = rows[row + SPLIT];
  const via = rows[row + VIA];
  return {
    id: `${source} ${target} ${protocol}`,
    source,
    target,
    protocol,
    requestsPerSecond: rows[row + REQUESTS],
    errorRate: rows[row + ERRORS],
    p50Ms: orAbsent(rows[row + P50]),
    p95Ms: orAbsent(rows[row + P95]),
    p99Ms: orAbsent(rows[row + P99]),
    bytesPerSecond: rows[row + BYTES],
    connectionsPerSecond: rows[row + CONNECTIONS],
    mtls: orAbsent(rows[row + MTLS]),
    responseCodes,
    flags,
    health: {
      status: texts[rows[row + STATUS]] as HealthStatus,
      reason: texts[rows[row + REASON]],
      samples: rows[row + SAMPLES],
    },
    via: via < 0 ? undefined : texts[via],
    split: split < 0 ? undefined : splits[split],
    principals:
      rows[row + SOURCE_PRINCIPALS] < 0
        ? undefined
        : {
            source: principals[rows[row + SOURCE_PRINCIPALS]],
            target: principals[rows[row + TARGET_PRINCIPALS]],
          },
  };
}

function orAbsent(figure: number): number | undefined {
  return figure < 0 ? undefined : figure;
}
