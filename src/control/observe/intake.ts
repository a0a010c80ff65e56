/**
 * Where the telemetry of all proxies comes together, whoever carries it: their streams to us (report-stream.ts), those to other replicas
 * (watch-client.ts), and for proxies without any the scrape of their metrics (collector.ts). Of two ways that tell of one proxy the one with the
 * younger connection counts. All of it goes to one sink.
 *
 *   proxy ── Report ──► Carrier ─┬─► sink
 *   replica ── Watch ─► Carrier ─┤
 *                                └─► relays to replicas that watch us (our own proxies only)
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { Logger } from '#base/log.ts';
import type { ProxyKey, TelemetrySink } from '#console/telemetry-sink.ts';
import type { FlowEdge } from '#telemetry/flow/flow-frame.ts';
import { tapMessage } from '#telemetry/report/messages.ts';
import { matchTap } from '#telemetry/requests/match-tap.ts';
import type { RequestRecord, TapFilter } from '#telemetry/requests/request-record.ts';
import { OrderMessage, TapsMessage } from '#wire/protobuf/telemetry.ts';
import type { Caller } from '../push/caller.ts';
import { Carrier, type CarrierOptions } from './carrier.ts';
import { Filters } from './filters.ts';

export interface IntakeDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly sink: TelemetrySink;
  readonly refine: (edge: FlowEdge) => FlowEdge;
  /** Why a caller may not report as this proxy; undefined: it may. */
  readonly reportProblem: (caller: Caller, proxy: ProxyKey) => string | undefined;
}

/** A proxy that is connected to us. */
export interface DirectProxy {
  readonly carrier: Carrier;
  order(order: Partial<OrderMessage>): void;
  /** The stream ends, for this reason. */
  end(reason: string): void;
}

export interface RelayListener {
  onOpened(proxy: DirectProxy): void;
  /** As it came; `resentSince` of the report. */
  onReport(proxy: DirectProxy, bytes: Uint8Array, resentSince: number | undefined): void;
  onClosed(proxy: DirectProxy): void;
}

export interface ReportState {
  readonly proxy: ProxyKey;
  /** Milliseconds since the epoch, our clock. */
  readonly connectedMs: number;
  readonly reportedMs: number;
  /** Its clock minus ours. */
  readonly clockOffsetMs: number;
  /** The replica that it is connected to; empty: this one. */
  readonly replica: string;
}

export class Intake {
  readonly deps: IntakeDeps;
  readonly filters: Filters;
  readonly #carriers = new Map<ProxyKey, Carrier>();
  readonly #direct = new Map<ProxyKey, DirectProxy>();
  readonly #relays = new Set<RelayListener>();
  readonly #taps = new Set<{ filter: TapFilter; onRecord: (record: RequestRecord) => void }>();
  readonly #filterWatchers = new Set<() => void>();
  /** Proxies that had a stream, ever: what their metrics say was, or will be, told by it. */
  readonly #streaming = new Set<ProxyKey>();

  constructor(deps: IntakeDeps) {
    this.deps = deps;
    this.filters = new Filters(() => {
      const taps = tapsOf(this.filters.all);
      for (const proxy of this.#direct.values()) proxy.order({ taps });
      for (const onChange of this.#filterWatchers) onChange();
    });
  }

  /** Requests as they end, at all proxies that are connected here or to another replica. Throws CONTROL_TAPS_FULL. */
  tap(filter: TapFilter, onRecord: (record: RequestRecord) => void): Disposer {
    const release = this.filters.hold(filter);
    const entry = { filter, onRecord };
    this.#taps.add(entry);
    return () => {
      this.#taps.delete(entry);
      release();
    };
  }

  /** Proxies whose reports arrive. */
  states(): ReportState[] {
    return [...this.#carriers.values()].map(stateOf);
  }

  state(proxy: ProxyKey): ReportState | undefined {
    const carrier = this.#carriers.get(proxy);
    return carrier && stateOf(carrier);
  }

  hasStreamed(proxy: ProxyKey): boolean {
    return this.#streaming.has(proxy);
  }

  /** Proxies that had a stream and have none now: whoever is gone from the mesh for good can be forgotten. */
  silent(): ProxyKey[] {
    return [...this.#streaming].filter((proxy) => !this.#carriers.has(proxy));
  }

  forget(proxy: ProxyKey): void {
    this.#streaming.delete(proxy);
  }

  get direct(): Iterable<DirectProxy> {
    return this.#direct.values();
  }

  /** Undefined: a younger connection of the proxy is known. */
  begin(options: CarrierOptions): Carrier | undefined {
    const known = this.#carriers.get(options.proxy);
    if (known !== undefined && !known.over) {
      if (known.connectedMs > options.connectedMs) return undefined;
      known.end();
      // It went to another replica, and its old connection here has not noticed.
      if (options.replica !== '')
        this.#direct.get(options.proxy)?.end(`the proxy is connected to ${options.replica}`);
    }
    const { sink, refine } = this.deps;
    const onRecords = (records: readonly RequestRecord[]) => this.#onRecords(records);
    const carrier = new Carrier({ sink, refine, onRecords }, options);
    this.#carriers.set(options.proxy, carrier);
    this.#streaming.add(options.proxy);
    return carrier;
  }

  end(carrier: Carrier): void {
    carrier.end();
    if (this.#carriers.get(carrier.proxy) === carrier) this.#carriers.delete(carrier.proxy);
  }

  /** A proxy connected to us: it is told since when we want frames, and what is asked for. */
  welcome(proxy: DirectProxy): void {
    const { carrier } = proxy;
    this.#direct.get(carrier.proxy)?.end('the proxy opened another stream');
    this.#direct.set(carrier.proxy, proxy);
    const filters = this.filters.all;
    proxy.order({
      resend: { since: carrier.since },
      taps: filters.length === 0 ? undefined : tapsOf(filters),
    });
    for (const relay of this.#relays) relay.onOpened(proxy);
  }

  reported(proxy: DirectProxy, bytes: Uint8Array, resentSince: number | undefined): void {
    for (const relay of this.#relays) relay.onReport(proxy, bytes, resentSince);
  }

  /** Its stream is over. */
  left(proxy: DirectProxy): void {
    const { carrier } = proxy;
    this.end(carrier);
    if (this.#direct.get(carrier.proxy) !== proxy) return;
    this.#direct.delete(carrier.proxy);
    for (const relay of this.#relays) relay.onClosed(proxy);
  }

  relayTo(listener: RelayListener): Disposer {
    this.#relays.add(listener);
    return () => void this.#relays.delete(listener);
  }

  onFilters(callback: () => void): Disposer {
    this.#filterWatchers.add(callback);
    return () => void this.#filterWatchers.delete(callback);
  }

  #onRecords(records: readonly RequestRecord[]): void {
    for (const { filter, onRecord } of this.#taps)
      for (const record of records) if (matchTap(filter, record)) onRecord(record);
  }
}

function stateOf({ proxy, connectedMs, reportedMs, offset, replica }: Carrier): ReportState {
  return { proxy, connectedMs, reportedMs, clockOffsetMs: offset.ms, replica };
}

export function tapsOf(filters: readonly TapFilter[]) {
  return TapsMessage.create({ taps: filters.map(tapMessage) });
}

export function encodeOrder(order: Partial<OrderMessage>): Uint8Array {
  return OrderMessage.encode(OrderMessage.create(order));
}
