/**
 * Books what proxies say: second by second, then minutes and hours of them. A second is closed a little after its end; what comes for a closed one is
 * gathered and booked as another part of it.
 *
 *   frame ─► open second ── closed ─► block of the second ─► open minute ── closed ─► block ─► open hour ─► block
 *                                        │ one transaction with the last second of each proxy: a proxy that comes back after a
 *                                        ▼ crash is asked for exactly what was not booked
 *                                      windows (live-windows.ts)
 */
import type { Clock } from '#base/clock.ts';
import type { FlowEdge, FlowFrame, FlowSample } from '#telemetry/flow/flow-frame.ts';
import type { FrameTime } from '../telemetry-sink.ts';
import type { Block, BlockKey, BlockStore } from './block-store.ts';
import { BUCKETS, Counts } from './counts.ts';
import type { StoreDatabase } from './database.ts';
import {
  FUTURE_SECONDS_MAX,
  LATE_GATHER_MS,
  LATE_SECONDS_MAX,
  PROXIES_MAX,
  SEAL_DELAY_MS,
  STREAM_EDGES_MAX,
  TIERS,
  type Tier,
} from './limits.ts';
import { codeOutcome, flagOutcome, grpcOutcome, OK_CODE, OK_GRPC } from './outcome.ts';
import { isBySource, isTold, OutcomeTable, type Series, SeriesTable } from './series-table.ts';
import { totalsOf } from './totals.ts';

interface ProxyState {
  readonly edges: (Series | undefined)[];
  /** Last second that was booked, by its own clock. */
  last: number;
}

interface OpenSecond {
  readonly counts: Counts;
  readonly firstMs: number;
  /** Last second of each, by its own clock. */
  readonly proxies: Map<string, number>;
}

/** A minute or hour that still grows, and which periods of the tier below are in it. */
interface OpenPeriod {
  readonly counts: Counts;
  readonly parts: { readonly period: number; readonly part: number }[];
  /** When the last one came in. */
  touchedMs: number;
}

export interface RecorderDeps {
  readonly clock: Clock;
  readonly database: StoreDatabase;
  readonly blocks: BlockStore;
  /** `namespace/name` of the workload that a waypoint's or gateway's pod belongs to. */
  viaOf(proxy: string): string;
}

export interface Sealed {
  readonly second: number;
  readonly counts: Counts;
}

const COUNT_MAX = 2 ** 31;
const SPARE_COUNTS_MAX = 8;
const NEVER = -1;

export class Recorder {
  readonly series: SeriesTable;
  readonly outcomes = new OutcomeTable();
  readonly #deps: RecorderDeps;
  readonly #proxies = new Map<string, ProxyState>();
  readonly #open = new Map<number, OpenSecond>();
  readonly #growing: Record<1 | 2, Map<number, OpenPeriod>> = { 1: new Map(), 2: new Map() };
  readonly #spare: Counts[] = [];
  readonly #codeIds = new Map<number, number>();
  /** Newest second of any frame. */
  newest = NEVER;
  /** Frames of no second that can be booked: wrong clocks, away for too long. */
  refused = 0;

  constructor(deps: RecorderDeps, seriesMax?: number) {
    this.#deps = deps;
    this.series = new SeriesTable(seriesMax);
    this.#load();
    deps.database.onReplaced(() => this.#loadOrKeep());
  }

  /** Last booked seconds by proxy. */
  lastSeconds(): Map<string, number> {
    return new Map([...this.#proxies].map(([proxy, { last }]) => [proxy, last]));
  }

  /** When the oldest frame came that is not booked yet, milliseconds since the epoch; undefined: all are. */
  get heldSinceMs(): number | undefined {
    let oldest: number | undefined;
    for (const { firstMs } of this.#open.values())
      if (oldest === undefined || firstMs < oldest) oldest = firstMs;
    return oldest;
  }

  opened(proxy: string): number {
    const last = this.#proxies.get(proxy)?.last ?? NEVER;
    this.#proxies.delete(proxy);
    this.#proxies.set(proxy, { edges: [], last });
    const first = this.#proxies.keys().next().value;
    if (this.#proxies.size > PROXIES_MAX && first !== undefined) this.#proxies.delete(first);
    return last;
  }

  edge(proxy: string, edge: FlowEdge): void {
    if (!(edge.id >= 0 && edge.id < STREAM_EDGES_MAX)) return;
    const isVia = edge.reporter === 'waypoint' || edge.reporter === 'gateway';
    const series = this.series.intern(edge, isVia ? this.#deps.viaOf(proxy) : '');
    this.#stateOf(proxy).edges[edge.id] = series;
  }

  frame(proxy: string, frame: FlowFrame, { second, receivedMs }: FrameTime): void {
    const state = this.#stateOf(proxy);
    if (!(frame.second > state.last)) return;
    const now = Math.floor(receivedMs / 1000);
    if (!(second <= now + FUTURE_SECONDS_MAX && second >= now - LATE_SECONDS_MAX)) {
      this.refused++;
      return;
    }
    state.last = frame.second;
    if (second > this.newest) this.newest = second;
    const open = this.#openSecond(second, receivedMs);
    open.proxies.set(proxy, Math.max(frame.second, open.proxies.get(proxy) ?? NEVER));
    for (const sample of frame.samples) {
      const series = state.edges[sample.edge];
      if (series === undefined) continue;
      if (isBySource(series)) series.pair.lastBySource = second;
      if (isTold(series, second)) continue;
      noteOutcome(series, sample, second);
      this.#book(open.counts, series.id, sample);
    }
  }

  /** Closes what is over. `take` gets each second that was closed before it is forgotten. */
  seal(take: (sealed: Sealed) => void): void {
    const nowMs = this.#deps.clock.wallTime();
    const blocks: Block[] = [];
    const rolled: { tier: Tier; period: number; part: number }[] = [];
    const proxies = new Map<string, number>();
    const due = this.#dueSeconds(nowMs);
    for (const second of due) {
      const open = this.#open.get(second);
      if (open === undefined) continue;
      this.#open.delete(second);
      for (const [proxy, last] of open.proxies)
        proxies.set(proxy, Math.max(last, proxies.get(proxy) ?? NEVER));
      const block = this.#encode(0, second, open.counts);
      blocks.push(block);
      this.#grow(1, block, open.counts, nowMs);
      take({ second, counts: open.counts });
      this.#giveBack(open.counts);
    }
    for (const tier of [1, 2] as const) this.#sealPeriods(tier, nowMs, blocks, rolled);
    if (blocks.length > 0) this.#write(blocks, rolled, proxies);
    for (const block of blocks) this.#deps.blocks.remember(block);
  }

  /** Everything that was heard is written, whether its period is over or not. */
  flush(): void {
    const nowMs = this.#deps.clock.wallTime();
    const blocks: Block[] = [];
    const proxies = new Map<string, number>();
    for (const [second, open] of [...this.#open].sort(([left], [right]) => left - right)) {
      for (const [proxy, last] of open.proxies)
        proxies.set(proxy, Math.max(last, proxies.get(proxy) ?? NEVER));
      const block = this.#encode(0, second, open.counts);
      blocks.push(block);
      this.#grow(1, block, open.counts, nowMs);
    }
    this.#open.clear();
    if (blocks.length > 0) this.#write(blocks, [], proxies);
  }

  /** First second that is in no whole minute (1) or hour (2) yet. */
  wholeTo(tier: 1 | 2): number {
    const { seconds } = TIERS[tier];
    let end = Math.floor(this.#deps.clock.wallTime() / 1000 / seconds) * seconds;
    for (const period of this.#growing[tier].keys()) end = Math.min(end, period);
    if (tier === 2) {
      const minutes = Math.floor(this.wholeTo(1) / seconds) * seconds;
      end = Math.min(end, minutes);
    }
    return end;
  }

  #stateOf(proxy: string): ProxyState {
    let state = this.#proxies.get(proxy);
    if (state === undefined) {
      this.opened(proxy);
      state = this.#proxies.get(proxy) ?? { edges: [], last: NEVER };
    }
    return state;
  }

  #openSecond(second: number, receivedMs: number): OpenSecond {
    let open = this.#open.get(second);
    if (open === undefined) {
      open = { counts: this.#spare.pop() ?? new Counts(), firstMs: receivedMs, proxies: new Map() };
      this.#open.set(second, open);
    }
    return open;
  }

  #book(counts: Counts, row: number, sample: FlowSample): void {
    counts.touch(row);
    const requests = bounded(sample.requests);
    counts.requests[row] += requests;
    counts.opened[row] += bounded(sample.opened);
    counts.failed[row] += bounded(sample.failed);
    counts.sent[row] += boundedBytes(sample.sentBytes);
    counts.received[row] += boundedBytes(sample.receivedBytes);
    if (requests > 0)
      for (const [bucket, count] of sample.latency)
        if (bucket >= 0 && bucket < BUCKETS)
          counts.latency[row * BUCKETS + bucket] += bounded(count);
    for (const [code, count] of sample.codes)
      if (code !== OK_CODE) this.#outcome(counts, row, this.#codeId(code), count);
    for (const [status, count] of sample.grpcStatuses)
      if (status !== OK_GRPC)
        this.#outcome(counts, row, this.outcomes.id(grpcOutcome(status)), count);
    for (const [flag, count] of sample.flags)
      this.#outcome(counts, row, this.outcomes.id(flagOutcome(flag.slice(0, 16))), count);
  }

  #outcome(counts: Counts, row: number, outcome: number, count: number): void {
    const many = bounded(count);
    if (many > 0) counts.addOutcome(row, outcome, many);
  }

  #codeId(code: number): number {
    let id = this.#codeIds.get(code);
    if (id === undefined) {
      id = this.outcomes.id(codeOutcome(code >= 0 && code < 1000 ? Math.floor(code) : 0));
      this.#codeIds.set(code, id);
    }
    return id;
  }

  /** In order, and none before an older one: what is remembered of a proxy is its last second. */
  #dueSeconds(nowMs: number): number[] {
    let upTo = NEVER;
    for (const [second, { firstMs }] of this.#open) {
      const dueMs = Math.max(
        (second + 1) * 1000 + SEAL_DELAY_MS,
        firstMs + lateMs(second, firstMs),
      );
      if (nowMs >= dueMs && second > upTo) upTo = second;
    }
    return [...this.#open.keys()].filter((second) => second <= upTo).sort((a, b) => a - b);
  }

  #encode(tier: Tier, period: number, counts: Counts): Block {
    const totals = totalsOf(counts, period, this);
    return this.#deps.blocks.encode(tier, period, counts, totals);
  }

  #grow(tier: 1 | 2, { period, part }: BlockKey, counts: Counts, nowMs: number): void {
    const { seconds } = TIERS[tier];
    const start = Math.floor(period / seconds) * seconds;
    let growing = this.#growing[tier].get(start);
    if (growing === undefined) {
      growing = { counts: this.#spare.pop() ?? new Counts(), parts: [], touchedMs: nowMs };
      this.#growing[tier].set(start, growing);
    }
    growing.counts.add(counts);
    growing.parts.push({ period, part });
    growing.touchedMs = nowMs;
  }

  #sealPeriods(
    tier: 1 | 2,
    nowMs: number,
    blocks: Block[],
    rolled: { tier: Tier; period: number; part: number }[],
  ): void {
    const { seconds } = TIERS[tier];
    for (const [period, growing] of this.#growing[tier]) {
      const isOver = nowMs >= (period + seconds) * 1000 + SEAL_DELAY_MS * 2;
      const isQuiet = nowMs >= growing.touchedMs + LATE_GATHER_MS;
      const isBelowOpen = tier === 2 && this.#isGrowingWithin(period, seconds);
      if (!isOver || !isQuiet || isBelowOpen || this.#isOpenWithin(period, seconds)) continue;
      this.#growing[tier].delete(period);
      const block = this.#encode(tier, period, growing.counts);
      blocks.push(block);
      for (const part of growing.parts) rolled.push({ tier: (tier - 1) as Tier, ...part });
      if (tier === 1) this.#grow(2, block, growing.counts, nowMs);
      this.#giveBack(growing.counts);
    }
  }

  #isOpenWithin(period: number, seconds: number): boolean {
    for (const second of this.#open.keys())
      if (second >= period && second < period + seconds) return true;
    return false;
  }

  #isGrowingWithin(period: number, seconds: number): boolean {
    for (const minute of this.#growing[1].keys())
      if (minute >= period && minute < period + seconds) return true;
    return false;
  }

  #giveBack(counts: Counts): void {
    counts.clear();
    if (this.#spare.length < SPARE_COUNTS_MAX) this.#spare.push(counts);
  }

  #write(
    blocks: readonly Block[],
    rolled: readonly { tier: Tier; period: number; part: number }[],
    proxies: ReadonlyMap<string, number>,
  ): void {
    const hours = blocks.filter(({ tier }) => tier === 2).length;
    const series = this.series.takeUnsaved();
    const outcomes = this.outcomes.takeUnsaved();
    const hour = Math.floor(this.#deps.clock.wallTime() / 3_600_000) * 3600;
    this.#deps.database.write((database) => {
      for (const { id, body } of series)
        database.query('INSERT OR REPLACE INTO series VALUES (?,?,?)').run(id, body, hour);
      for (const { id, body } of outcomes)
        database.query('INSERT OR REPLACE INTO outcomes VALUES (?,?)').run(id, body);
      for (const block of blocks) {
        this.#deps.blocks.insert(database, block);
        if (block.tier < 2)
          database
            .query('INSERT INTO unrolled VALUES (?,?,?)')
            .run(block.tier, block.period, block.part);
      }
      for (const { tier, period, part } of rolled)
        database
          .query('DELETE FROM unrolled WHERE tier=? AND period=? AND part=?')
          .run(tier, period, part);
      for (const [proxy, second] of proxies)
        database
          .query(
            'INSERT INTO proxies VALUES (?1,?2) ON CONFLICT (proxy) DO UPDATE SET second=max(second,?2)',
          )
          .run(proxy, second);
      // Numbers of series that nothing speaks of any more are given to others.
      if (hours > 0) this.#markUsed(database, blocks, hour);
    });
  }

  #markUsed(
    database: Parameters<Parameters<StoreDatabase['write']>[0]>[0],
    blocks: readonly Block[],
    hour: number,
  ): void {
    const used = new Counts();
    for (const block of blocks) if (block.tier === 2) this.#deps.blocks.decode(block, used);
    const update = database.query('UPDATE series SET used=? WHERE id=?');
    for (let at = 0; at < used.touchedCount; at++) update.run(hour, used.touched[at]);
    const gone = database
      .query('DELETE FROM series WHERE used<? RETURNING id')
      .all(hour - TIERS[2].keptSeconds - TIERS[2].seconds) as { id: number }[];
    for (const { id } of gone) this.series.forget(id);
  }

  #load(): void {
    const { database } = this.#deps;
    database.run((open) => {
      this.series.load(open.query('SELECT id, body FROM series ORDER BY id').all() as never);
      const texts = open.query('SELECT body FROM outcomes ORDER BY id').all() as { body: string }[];
      if (texts.length > 0) this.outcomes.load(texts.map(({ body }) => body));
      for (const { proxy, second } of open.query('SELECT proxy, second FROM proxies').all() as {
        proxy: string;
        second: number;
      }[])
        this.#proxies.set(proxy, { edges: [], last: second });
    });
    this.#resume();
  }

  /** Seconds that are in no minute, minutes that are in no hour: as when they were booked. */
  #resume(): void {
    const nowMs = this.#deps.clock.wallTime();
    const parts = (tier: Tier) =>
      this.#deps.database.run(
        (open) =>
          open
            .query('SELECT period, part FROM unrolled WHERE tier=? ORDER BY period')
            .all(tier) as {
            period: number;
            part: number;
          }[],
      ) ?? [];
    for (const tier of [0, 1] as const)
      for (const { period, part } of parts(tier)) {
        const counts = new Counts();
        const block = { tier, period, part };
        this.#deps.blocks.readPart(block, counts);
        this.#grow((tier + 1) as 1 | 2, block, counts, nowMs);
      }
  }

  /** The database is another one: what is held in memory is written to it with the next block. */
  #loadOrKeep(): void {
    this.series.markUnsaved();
    this.outcomes.markUnsaved();
  }
}

/** When its destination first answered, and when something failed last. */
function noteOutcome(series: Series, sample: FlowSample, second: number): void {
  const { requests, opened, failed, codes, grpcStatuses } = sample;
  const { protocol, destinationLife } = series;
  let errors = 0;
  for (const [code, count] of codes) if (code === 0 || code >= 500) errors += count;
  // A gRPC call that failed has a code of HTTP as well, mostly 200.
  if (protocol === 'grpc') {
    let failures = 0;
    for (const [status, count] of grpcStatuses) if (status !== OK_GRPC) failures += count;
    errors = Math.max(errors, failures);
  }
  if ((failed > 0 || errors > 0) && second > series.lastFailed) series.lastFailed = second;
  if (second >= destinationLife.firstAnswered) return;
  if (requests > errors || opened > failed) destinationLife.firstAnswered = second;
}

/** On time: right after the second. Late: gathered for a while. */
function lateMs(second: number, firstMs: number): number {
  return firstMs > (second + 1) * 1000 + SEAL_DELAY_MS ? LATE_GATHER_MS : 0;
}

function bounded(count: number): number {
  return count > 0 && count < COUNT_MAX ? Math.floor(count) : 0;
}

function boundedBytes(count: number): number {
  return count > 0 && count < Number.MAX_SAFE_INTEGER ? Math.floor(count) : 0;
}
