/**
 * What the proxies of other replicas report, told by those (gRPC method Watch). One stream to each; one that breaks is opened again, and what was missed
 * meanwhile is asked for, second by second known.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { ProxyKey } from '#console/telemetry-sink.ts';
import type { ClientStream, ClientStreamHandler } from '#http/grpc/channel.ts';
import { RelayMessage, ReportMessage, WatchMessage } from '#wire/protobuf/telemetry.ts';
import type { Carrier } from './carrier.ts';
import { ClockOffset } from './clock-offset.ts';
import { type Intake, tapsOf } from './intake.ts';
import { WATCH_PEERS_PERIOD_MS, WATCH_RETRY_CAP_MS, WATCH_RETRY_INITIAL_MS } from './limits.ts';

export interface Replica {
  /** Name of its pod. */
  readonly name: string;
  readonly ip: string;
}

export interface WatchDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly intake: Intake;
  /** The others, now. */
  readonly replicas: () => readonly Replica[];
  /** Throws when it cannot be dialled now. */
  readonly open: (replica: Replica, handler: ClientStreamHandler) => ClientStream;
}

/** Watches every other replica, as they come and go. */
export function watchReplicas(deps: WatchDeps): Disposer {
  const watches = new Map<string, ReplicaWatch>();
  const look = () => {
    const replicas = new Map(deps.replicas().map((replica) => [keyOf(replica), replica]));
    for (const [key, watch] of watches) {
      if (replicas.has(key)) continue;
      watch.stop();
      watches.delete(key);
    }
    for (const [key, replica] of replicas) {
      const known = watches.get(key);
      if (known !== undefined) known.tryAgain();
      else watches.set(key, new ReplicaWatch(deps, replica));
    }
  };
  look();
  const timer = deps.clock.every(WATCH_PEERS_PERIOD_MS, look);
  const stopFilters = deps.intake.onFilters(() => {
    for (const watch of watches.values()) watch.sayFilters();
  });
  return () => {
    timer.cancel();
    stopFilters();
    for (const watch of watches.values()) watch.stop();
  };
}

function keyOf({ name, ip }: Replica): string {
  return `${name} ${ip}`;
}

interface Relayed {
  readonly connectedMs: number;
  readonly offset: ClockOffset;
  /** Undefined while a younger connection of the proxy is known. */
  carrier: Carrier | undefined;
}

class ReplicaWatch {
  readonly #deps: WatchDeps;
  readonly #replica: Replica;
  readonly #backoff: Backoff;
  readonly #proxies = new Map<ProxyKey, Relayed>();
  #offset = new ClockOffset();
  #stream: ClientStream | undefined;
  #retry: Timer | undefined;
  #taken = 0;
  #stopped = false;
  #saidFilters = '';

  constructor(deps: WatchDeps, replica: Replica) {
    this.#deps = deps;
    this.#replica = replica;
    this.#backoff = new Backoff(deps.random, {
      initialMs: WATCH_RETRY_INITIAL_MS,
      capMs: WATCH_RETRY_CAP_MS,
    });
    this.#open();
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#drop();
  }

  /** A connection that was younger may be gone by now. */
  tryAgain(): void {
    for (const [proxy, relayed] of this.#proxies)
      if (relayed.carrier === undefined || relayed.carrier.over) this.#begin(proxy, relayed);
  }

  sayFilters(): void {
    const filters = this.#deps.intake.filters.own;
    const text = JSON.stringify(filters);
    if (text === this.#saidFilters) return;
    this.#saidFilters = text;
    this.#send({ taps: tapsOf(filters) });
  }

  #open(): void {
    this.#taken = 0;
    this.#saidFilters = '[]';
    this.#offset = new ClockOffset();
    let stream: ClientStream | undefined;
    const isCurrent = () => stream !== undefined && stream === this.#stream;
    try {
      stream = this.#deps.open(this.#replica, {
        onMessage: (bytes) => {
          if (isCurrent()) this.#onRelay(bytes);
        },
        onClose: (error) => {
          if (isCurrent()) this.#lost(error?.message ?? 'it ended the stream');
        },
      });
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#stream = stream;
    this.#send({});
    this.sayFilters();
  }

  #onRelay(bytes: Uint8Array): void {
    const relay = RelayMessage.decode(bytes);
    if (typeof relay === 'string') {
      this.#lost(`a relay is malformed: ${relay}`);
      return;
    }
    this.#backoff.reset();
    this.#taken += 1;
    const receivedMs = this.#deps.clock.wallTime();
    this.#offset.note(relay.now_ms, receivedMs);
    const { proxy } = relay;
    if (relay.is_closed) this.#closed(proxy);
    else if (relay.report.length === 0) this.#opened(relay, receivedMs);
    else this.#report(relay, receivedMs);
    this.#send({});
  }

  #opened({ proxy, connected_ms, offset_ms }: RelayMessage, receivedMs: number): void {
    this.#closed(proxy);
    const offset = new ClockOffset();
    offset.note(receivedMs + offset_ms + this.#offset.ms, receivedMs);
    const connectedMs = connected_ms - this.#offset.ms;
    const relayed: Relayed = { connectedMs, offset, carrier: undefined };
    this.#proxies.set(proxy, relayed);
    this.#begin(proxy, relayed);
  }

  #begin(proxy: ProxyKey, relayed: Relayed): void {
    const { connectedMs, offset } = relayed;
    const replica = this.#replica.name;
    relayed.carrier = this.#deps.intake.begin({ proxy, connectedMs, replica, offset });
    if (relayed.carrier === undefined) return;
    this.#send({ known: [{ proxy, second: relayed.carrier.since }] });
  }

  #report({ proxy, offset_ms, report: bytes }: RelayMessage, receivedMs: number): void {
    const relayed = this.#proxies.get(proxy);
    if (relayed?.carrier === undefined) return;
    relayed.offset.note(receivedMs + offset_ms + this.#offset.ms, receivedMs);
    const report = ReportMessage.decode(bytes);
    const problem = typeof report === 'string' ? report : relayed.carrier.take(report, receivedMs);
    if (problem !== undefined) this.#lost(`a report of ${proxy}: ${problem}`);
  }

  #closed(proxy: ProxyKey): void {
    const carrier = this.#proxies.get(proxy)?.carrier;
    this.#proxies.delete(proxy);
    if (carrier !== undefined) this.#deps.intake.end(carrier);
  }

  #send(message: Partial<WatchMessage>): void {
    this.#stream?.send(
      WatchMessage.encode(WatchMessage.create({ ...message, taken: this.#taken })),
    );
  }

  #lost(reason: string): void {
    this.#drop();
    if (this.#stopped) return;
    const delayMs = this.#backoff.nextDelayMs();
    this.#deps.log.debug('watch of another replica is down', {
      replica: this.#replica.name,
      reason,
      retryMs: Math.round(delayMs),
    });
    this.#retry = this.#deps.clock.after(delayMs, () => this.#open());
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    for (const proxy of [...this.#proxies.keys()]) this.#closed(proxy);
    stream?.cancel();
  }
}
