/**
 * The console's thread as the control loop sees it: it is told what proxies report and how the mesh changes, and asked for answers. A thread that dies is a bug; it
 * is started again and told anew what it must know, and the mesh notices nothing.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { COMPILED, embeddedPath } from '#base/compiled.ts';
import { MeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { StoreLimits } from '../store/telemetry-store.ts';
import { ENGINE_ERRORS } from './errors.ts';
import type { Answers, FromEngine, Question, ToEngine } from './messages.ts';

/** The compiled program holds it as an entry of its own, named after its place under src (tools/image/compile.ts). */
const MODULE = COMPILED
  ? embeddedPath('console/engine/engine-worker.js')
  : new URL('./engine-worker.ts', import.meta.url).href;

const RESTART_MS = 1000;
/** A thread that does not close in time is ended: what was booked is on disk already. */
const CLOSE_MS = 5000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: MeshError): void;
}

export interface ThreadEvents {
  /** A thread, the first or another: nothing of what was told before is known to it. */
  started(): void;
  ready(lastSeconds: ReadonlyMap<string, number>): void;
  followed(message: Extract<FromEngine, { kind: 'followed' }>): void;
}

export class ConsoleThread {
  readonly #deps: { clock: Clock; log: Logger; directory: string | undefined };
  readonly #limits: StoreLimits;
  readonly #events: ThreadEvents;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #restart: Timer | undefined;
  #nextId = 1;
  #closed: (() => void) | undefined;
  #isEnding = false;

  constructor(
    deps: { clock: Clock; log: Logger; directory: string | undefined },
    limits: StoreLimits,
    events: ThreadEvents,
  ) {
    this.#deps = deps;
    this.#limits = limits;
    this.#events = events;
  }

  start(): void {
    // It makes much garbage now and then: a small heap is worth more here than the last tenth of speed.
    const worker = new Worker(MODULE, { smol: true });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromEngine>) => this.#take(data);
    worker.onerror = ({ message }) => this.#died(message);
    this.tell({ kind: 'start', directory: this.#deps.directory, limits: this.#limits });
    this.#events.started();
  }

  tell(message: ToEngine, transfer: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  ask<Name extends keyof Answers>(
    name: Name,
    ...args: Parameters<Answers[Name]>
  ): Promise<ReturnType<Answers[Name]>> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = this.#nextId++;
    if (this.#worker === undefined) return Promise.reject(stopped());
    this.#waiting.set(id, { resolve, reject });
    this.tell({ kind: 'ask', id, question: { name, args } as unknown as Question });
    return promise as Promise<ReturnType<Answers[Name]>>;
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
      case 'log':
        this.#deps.log[message.level](message.message, message.fields);
        break;
      case 'closed':
        this.#closed?.();
    }
  }

  #died(message: string): void {
    this.#deps.log.error("the console's thread ended; another is started", { error: message });
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#failAll();
    this.#closed?.();
    if (!this.#isEnding) this.#restart = this.#deps.clock.after(RESTART_MS, () => this.start());
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
