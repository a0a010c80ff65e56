/**
 * The console's thread as the control loop sees it: it is told what proxies report and how the mesh changes, and asked for answers. A thread that dies is a bug; it
 * is started again and told anew what it must know, and the mesh notices nothing.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { COMPILED, embeddedPath } from '#base/compiled.ts';
import { MeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { PrometheusOptions } from '../prometheus/client.ts';
import type { StoreLimits } from '../store/telemetry-store.ts';
import { ENGINE_ERRORS } from './errors.ts';
import {
  CLOSE_MS,
  RESTART_CAP_MS,
  RESTART_MS,
  RETELL_DEATHS_MAX,
  THREAD_WELL_MS,
} from './limits.ts';
import type { Answers, FromEngine, Question, ToEngine } from './messages.ts';

/** The compiled program holds it as an entry of its own, named after its place under src (tools/image/compile.ts). */
const MODULE = COMPILED
  ? embeddedPath('console/engine/engine-worker.js')
  : new URL('./engine-worker.ts', import.meta.url).href;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: MeshError): void;
}

export interface ThreadEvents {
  /** A thread, the first or another: nothing of what was told before is known to it. `isSuspect`: what the last ones were told may be what killed them. */
  started(of: { readonly isSuspect: boolean }): void;
  ready(lastSeconds: ReadonlyMap<string, number>): void;
  followed(message: Extract<FromEngine, { kind: 'followed' }>): void;
  booked(beforeMs: number): void;
}

export interface ConsoleThreadDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string | undefined;
  readonly prometheus: PrometheusOptions | undefined;
  readonly clusterId: string;
}

export interface ThreadDeath {
  readonly atMs: number;
  readonly reason: string;
}

export class ConsoleThread {
  readonly #deps: ConsoleThreadDeps;
  readonly #limits: StoreLimits;
  readonly #events: ThreadEvents;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #restart: Timer | undefined;
  #nextId = 1;
  #closed: (() => void) | undefined;
  #isEnding = false;
  #startedMs = 0;
  /** In a row, that did not live for long. */
  #youngDeaths = 0;
  deaths = 0;
  lastDeath: ThreadDeath | undefined;

  constructor(deps: ConsoleThreadDeps, limits: StoreLimits, events: ThreadEvents) {
    this.#deps = deps;
    this.#limits = limits;
    this.#events = events;
  }

  start(): void {
    // It makes much garbage now and then: a small heap is worth more here than the last tenth of speed.
    const worker = new Worker(MODULE, { smol: true });
    this.#worker = worker;
    this.#startedMs = this.#deps.clock.now();
    const own = (take: () => void) => {
      // What one says that was given up already is nobody's word.
      if (this.#worker === worker) take();
    };
    worker.onmessage = ({ data }: MessageEvent<FromEngine>) => own(() => this.#take(data));
    worker.onerror = ({ message }) => own(() => this.#died(message));
    // Without an error before it: something in it ended it, or somebody else did.
    worker.addEventListener('close', () => own(() => this.#died('it ended without an error')));
    const { directory, prometheus, clusterId } = this.#deps;
    this.tell({ kind: 'start', directory, limits: this.#limits, prometheus, clusterId });
    this.#events.started({ isSuspect: this.#youngDeaths >= RETELL_DEATHS_MAX });
  }

  /** False: no thread runs, and nobody was told. */
  tell(message: ToEngine, transfer: ArrayBuffer[] = []): boolean {
    this.#worker?.postMessage(message, transfer);
    return this.#worker !== undefined;
  }

  ask<Name extends keyof Answers>(
    name: Name,
    ...args: Parameters<Answers[Name]>
  ): Promise<Awaited<ReturnType<Answers[Name]>>> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = this.#nextId++;
    if (this.#worker === undefined) return Promise.reject(stopped());
    this.#waiting.set(id, { resolve, reject });
    this.tell({ kind: 'ask', id, question: { name, args } as unknown as Question });
    return promise as Promise<Awaited<ReturnType<Answers[Name]>>>;
  }

  async close(): Promise<void> {
    this.#isEnding = true;
    this.#restart?.cancel();
    const worker = this.#worker;
    if (worker === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = resolve;
    const late = this.#deps.clock.after(CLOSE_MS, resolve);
    this.tell({ kind: 'close' });
    await promise;
    late.cancel();
    this.#worker = undefined;
    worker.terminate();
    this.#failAll();
  }

  #take(message: FromEngine): void {
    switch (message.kind) {
      case 'ready':
        this.#events.ready(message.lastSeconds);
        break;
      case 'answer':
        this.#waiting.get(message.id)?.resolve(message.value);
        this.#waiting.delete(message.id);
        break;
      case 'failed':
        this.#deps.log.error('a question to the console failed', {
          error: message.message,
          stack: message.stack,
        });
        this.#waiting.get(message.id)?.reject(
          new MeshError('CONSOLE_STORE_FAILED', message.message, {
            side: 'self',
            hint: ENGINE_ERRORS.CONSOLE_STORE_FAILED,
          }),
        );
        this.#waiting.delete(message.id);
        break;
      case 'followed':
        this.#events.followed(message);
        break;
      case 'booked':
        this.#events.booked(message.beforeMs);
        break;
      case 'log':
        this.#deps.log[message.level](message.message, message.fields);
        break;
      case 'closed':
        this.#closed?.();
    }
  }

  #died(reason: string): void {
    const { clock, log } = this.#deps;
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate();
    this.#failAll();
    this.#closed?.();
    if (this.#isEnding) return;
    this.#youngDeaths = clock.now() - this.#startedMs >= THREAD_WELL_MS ? 1 : this.#youngDeaths + 1;
    this.deaths++;
    this.lastDeath = { atMs: clock.wallTime(), reason };
    const delayMs = Math.min(RESTART_MS * 2 ** (this.#youngDeaths - 1), RESTART_CAP_MS);
    log.error("the console's thread ended; another is started", { error: reason, delayMs });
    this.#restart = clock.after(delayMs, () => this.start());
  }

  #failAll(): void {
    for (const { reject } of this.#waiting.values()) reject(stopped());
    this.#waiting.clear();
  }
}

function stopped(): MeshError {
  return new MeshError('CONSOLE_STORE_STOPPED', "the console's thread does not run", {
    side: 'self',
    hint: ENGINE_ERRORS.CONSOLE_STORE_STOPPED,
  });
}
