/**
 * Writes log lines in batches: what came within a moment leaves in one write, sooner when it is much. A write costs as much as some ten
 * lines, so one a turn of the loop would be a good part of what a request costs. A slow reader of the output costs lines, never
 * memory or requests: above the bound lines are dropped, counted, and the count is written once there is room.
 */
import { type Clock, systemClock } from '#base/clock.ts';
import {
  ACCESS_LOG_BATCH_BYTES,
  ACCESS_LOG_BATCH_MS,
  ACCESS_LOG_PENDING_BYTES_MAX,
} from '../limits.ts';
import { LineBuffer } from './line-buffer.ts';

export interface LogOutput {
  /** UTF-8, the output's from now on. False when it is full; `onDrain` follows. The lines were taken all the same. */
  write(lines: Uint8Array): boolean;
  onDrain(callback: () => void): void;
}

export class LogWriter {
  readonly #output: LogOutput;
  readonly #pendingMax: number;
  readonly #batchMs: number;
  readonly #clock: Clock;
  readonly #pending = new LineBuffer();
  #dropped = 0;
  #droppedTotal = 0;
  #scheduled = false;
  #isUrgent = false;
  #blocked = false;

  /** `batchMs` 0: what came in a turn of the loop. */
  constructor(
    output: LogOutput,
    pendingMax = ACCESS_LOG_PENDING_BYTES_MAX,
    {
      batchMs = ACCESS_LOG_BATCH_MS,
      clock = systemClock,
    }: { batchMs?: number; clock?: Clock } = {},
  ) {
    this.#output = output;
    this.#pendingMax = pendingMax;
    this.#batchMs = batchMs;
    this.#clock = clock;
  }

  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  /** `line` ends with a newline. */
  write(line: string): void {
    this.put(putText, line);
  }

  /** `put` writes one line of `what`. */
  put<T>(put: (out: LineBuffer, what: T) => void, what: T): void {
    const pending = this.#pending;
    const { length } = pending;
    put(pending, what);
    if (pending.length > this.#pendingMax) {
      pending.truncate(length);
      this.#dropped += 1;
      this.#droppedTotal += 1;
      return;
    }
    if (!this.#blocked) this.#schedule();
  }

  #schedule(): void {
    if (this.#batchMs === 0 || this.#pending.length >= ACCESS_LOG_BATCH_BYTES) {
      if (!this.#isUrgent) this.#flushNow();
    } else if (!this.#scheduled) this.#flushLater();
  }

  #flushNow(): void {
    this.#isUrgent = true;
    setImmediate(() => {
      this.#isUrgent = false;
      this.flush();
    });
  }

  #flushLater(): void {
    this.#scheduled = true;
    this.#clock.after(this.#batchMs, () => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Hands over what waits; also before the process ends. */
  flush(): void {
    if (this.#blocked) return;
    if (this.#dropped > 0) {
      this.#pending.text(
        `{"dropped_access_log_lines":${this.#dropped},"reason":"the output is not read fast enough"}\n`,
      );
      this.#dropped = 0;
    }
    if (this.#pending.length === 0) return;
    if (this.#output.write(this.#pending.take())) return;
    this.#blocked = true;
    this.#output.onDrain(() => {
      this.#blocked = false;
      this.flush();
    });
  }
}

function putText(out: LineBuffer, line: string): void {
  out.text(line);
}

/** The process's standard output. */
export const standardOutput: LogOutput = {
  write: (lines) => process.stdout.write(lines),
  onDrain: (callback) => void process.stdout.once('drain', callback),
};
