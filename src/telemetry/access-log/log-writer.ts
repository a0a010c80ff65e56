/**
 * Writes log lines in batches: all lines of an event-loop turn leave in one write. A slow reader of the output costs lines, never
 * memory or requests: above the bound lines are dropped, counted, and the count is written once there is room.
 */
import { ACCESS_LOG_PENDING_BYTES_MAX } from '../limits.ts';

export interface LogOutput {
  /** False when the output is full; `onDrain` follows. The text was taken all the same. */
  write(text: string): boolean;
  onDrain(callback: () => void): void;
}

export class LogWriter {
  readonly #output: LogOutput;
  readonly #pendingMax: number;
  #pending = '';
  #dropped = 0;
  #droppedTotal = 0;
  #scheduled = false;
  #blocked = false;

  constructor(output: LogOutput, pendingMax = ACCESS_LOG_PENDING_BYTES_MAX) {
    this.#output = output;
    this.#pendingMax = pendingMax;
  }

  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  /** `line` ends with a newline. */
  write(line: string): void {
    if (this.#pending.length + line.length > this.#pendingMax) {
      this.#dropped += 1;
      this.#droppedTotal += 1;
      return;
    }
    this.#pending += line;
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Hands over what waits; also before the process ends. */
  flush(): void {
    if (this.#blocked) return;
    if (this.#dropped > 0) {
      this.#pending += `{"dropped_access_log_lines":${this.#dropped},"reason":"the output is not read fast enough"}\n`;
      this.#dropped = 0;
    }
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    if (this.#output.write(text)) return;
    this.#blocked = true;
    this.#output.onDrain(() => {
      this.#blocked = false;
      this.flush();
    });
  }
}

/** The process's standard output. */
export const standardOutput: LogOutput = {
  write: (text) => process.stdout.write(text),
  onDrain: (callback) => void process.stdout.once('drain', callback),
};
