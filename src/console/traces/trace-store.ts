/**
 * Spans by trace: gathered while they come, written when a trace is quiet, put together again when a late span comes. Bounded by age and bytes; the oldest go. Runs in
 * the console's thread.
 */

import { rfc3339At } from '#base/clock.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import type { TraceAnswer } from '../api/traffic.ts';
import type { TracesPage, TracesRequest, Visible } from '../console-data.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import type { StoreDatabase } from '../store/database.ts';
import { evict } from './evict.ts';
import {
  ATTRIBUTE_CHARS_MAX,
  ATTRIBUTES_MAX,
  PAGE_ROWS,
  ROWS_MAX,
  SCAN_MAX,
  SPANS_PER_TRACE_MAX,
  TRACE_QUIET_MS,
  TRACES_BYTES_MAX,
  TRACES_KEPT_MS,
  TRACES_PENDING_MAX,
} from './limits.ts';
import { factsOf, isTraceVisible, isWanted, rowOf, type TraceFacts } from './trace-facts.ts';
import { waterfall } from './waterfall.ts';

interface Pending {
  readonly spans: Span[];
  touchedMs: number;
}

/** Rows that go at a time when there are too many bytes. */
const EVICT_ROWS = 200;
const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;

export class TraceStore {
  readonly #database: StoreDatabase;
  readonly #mesh: MeshPicture;
  readonly #pending = new Map<string, Pending>();
  readonly #bytesMax: number;
  #bytes: number;
  /** Spans that are over a bound, or are none. */
  dropped = 0;

  constructor(
    { database, mesh }: { readonly database: StoreDatabase; readonly mesh: MeshPicture },
    bytesMax = TRACES_BYTES_MAX,
  ) {
    this.#database = database;
    this.#mesh = mesh;
    this.#bytesMax = bytesMax;
    this.#bytes = this.#countBytes();
    database.onReplaced(() => {
      this.#bytes = this.#countBytes();
    });
  }

  add(spans: readonly Span[], nowMs: number): void {
    for (const span of spans) {
      if (!TRACE_ID.test(span.traceId) || !SPAN_ID.test(span.spanId)) {
        this.dropped++;
        continue;
      }
      let pending = this.#pending.get(span.traceId);
      if (pending === undefined) {
        pending = { spans: [], touchedMs: nowMs };
        this.#pending.set(span.traceId, pending);
      }
      pending.touchedMs = nowMs;
      if (pending.spans.length < SPANS_PER_TRACE_MAX) pending.spans.push(bounded(span));
      else this.dropped++;
    }
  }

  /** Writes traces that are quiet; `all` at the end. */
  flush(nowMs: number, all = false): void {
    const due: [string, Span[]][] = [];
    let over = this.#pending.size - TRACES_PENDING_MAX;
    for (const [traceId, { spans, touchedMs }] of this.#pending) {
      if (!all && over-- <= 0 && nowMs - touchedMs < TRACE_QUIET_MS) continue;
      this.#pending.delete(traceId);
      due.push([traceId, spans]);
    }
    if (due.length === 0) return;
    this.#database.write((open) => {
      const known = open.query('SELECT body, bytes FROM traces WHERE trace=?');
      const write = open.query('INSERT OR REPLACE INTO traces VALUES (?,?,?,?,?,?,?,?,?)');
      for (const [traceId, young] of due) {
        const before = known.get(traceId) as { body: Uint8Array; bytes: number } | null;
        const old = before === null ? [] : unpack(before.body);
        const spans = merged(old, young);
        const facts = factsOf(traceId, spans);
        const body = pack(spans);
        const about = JSON.stringify(facts);
        const bytes = body.length + about.length;
        this.#bytes += bytes - (before?.bytes ?? 0);
        const micros = Math.round(facts.durationMs * 1000);
        const failed = facts.status === 'error' ? 1 : 0;
        write.run(
          traceId,
          Date.parse(facts.at),
          micros,
          failed,
          facts.statusCode ?? 0,
          bytes,
          spans.length,
          about,
          body,
        );
      }
    });
  }

  evict(nowMs: number): void {
    this.#database.write((open) => {
      const what = {
        table: 'traces',
        key: 'trace',
        rows: EVICT_ROWS,
        beforeMs: nowMs - TRACES_KEPT_MS,
      } as const;
      this.#bytes = evict(open, what, this.#bytes, this.#bytesMax);
    });
  }

  find(request: TracesRequest): TracesPage {
    const traces: TraceFacts[] = [];
    const limit = Math.min(request.limit, ROWS_MAX);
    for (let offset = 0; offset < SCAN_MAX && traces.length < limit; offset += PAGE_ROWS) {
      const page = this.#page(request, offset);
      for (const { about } of page) {
        const facts = JSON.parse(about) as TraceFacts;
        if (traces.length < limit && isWanted(facts, request, this.#mesh)) traces.push(facts);
      }
      if (page.length < PAGE_ROWS) break;
    }
    return { traces: traces.map(rowOf), oldest: this.#oldest() };
  }

  get(traceId: string, visible: Visible): TraceAnswer | undefined {
    const row = this.#database.run(
      (open) =>
        open.query('SELECT body FROM traces WHERE trace=?').get(traceId) as {
          body: Uint8Array;
        } | null,
    );
    const spans = merged(row ? unpack(row.body) : [], this.#pending.get(traceId)?.spans ?? []);
    if (spans.length === 0) return undefined;
    const facts = factsOf(traceId, spans);
    return isTraceVisible(facts, visible)
      ? { ...rowOf(facts), spanRows: waterfall(spans) }
      : undefined;
  }

  #page({ sort, fromMs, toMs, onlyFailed }: TracesRequest, offset: number): { about: string }[] {
    const order = sort === 'slowest' ? 'micros DESC' : 'at DESC';
    return (
      this.#database.run(
        (open) =>
          open
            .query(
              `SELECT about FROM traces WHERE at>=?1 AND at<=?2 AND failed>=?3 ORDER BY ${order}, trace LIMIT ?4 OFFSET ?5`,
            )
            .all(
              fromMs ?? 0,
              toMs ?? Number.MAX_SAFE_INTEGER,
              onlyFailed ? 1 : 0,
              PAGE_ROWS,
              offset,
            ) as {
            about: string;
          }[],
      ) ?? []
    );
  }

  #oldest(): string | undefined {
    const row = this.#database.run(
      (open) => open.query('SELECT min(at) AS at FROM traces').get() as { at: number | null },
    );
    return row?.at === null || row?.at === undefined ? undefined : rfc3339At(row.at);
  }

  #countBytes(): number {
    const row = this.#database.run(
      (open) =>
        open.query('SELECT sum(bytes) AS bytes FROM traces').get() as { bytes: number | null },
    );
    return row?.bytes ?? 0;
  }
}

function merged(old: readonly Span[], young: readonly Span[]): Span[] {
  const byId = new Map(old.map((span) => [span.spanId, span]));
  for (const span of young)
    if (byId.size < SPANS_PER_TRACE_MAX || byId.has(span.spanId)) byId.set(span.spanId, span);
  return [...byId.values()];
}

/** Strangers write spans too. */
function bounded(span: Span): Span {
  const entries = Object.entries(span.attributes).slice(0, ATTRIBUTES_MAX);
  const cut = (text: string) => text.slice(0, ATTRIBUTE_CHARS_MAX);
  return {
    ...span,
    name: cut(span.name),
    service: cut(span.service),
    statusMessage: cut(span.statusMessage),
    attributes: Object.fromEntries(
      entries.map(([key, value]) => [cut(key), typeof value === 'string' ? cut(value) : value]),
    ),
  };
}

/** Times as text: JSON has no whole numbers of 64 bits. */
function pack(spans: readonly Span[]): Uint8Array {
  const text = JSON.stringify(spans, (_key, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return Bun.zstdCompressSync(Buffer.from(text));
}

function unpack(body: Uint8Array): Span[] {
  type Packed = Omit<Span, 'startNanos' | 'endNanos'> & { startNanos: string; endNanos: string };
  const spans = JSON.parse(Bun.zstdDecompressSync(body).toString()) as Packed[];
  return spans.map((span) => ({
    ...span,
    startNanos: BigInt(span.startNanos),
    endNanos: BigInt(span.endNanos),
  }));
}
