/**
 * Output of one container run: lines with their time, bounded by dropping the oldest. Followers get every line
 * after the point where they started.
 */
import type { Disposer } from '#base/disposer.ts';
import { CONTAINER_LOG_BYTES, LOG_LINE_BYTES_MAX } from '../limits.ts';

export interface LogLine {
  /** Milliseconds since the epoch. */
  time: number;
  text: string;
}

export interface LogQuery {
  tailLines?: number;
  sinceTime?: number;
  limitBytes?: number;
}

export class ContainerLog {
  readonly #now: () => number;
  #lines: LogLine[] = [];
  #bytes = 0;
  readonly #partial = new Map<string, string>();
  readonly #followers = new Set<(line: LogLine | undefined) => void>();
  #ended = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** `stream` keeps half lines of stdout and stderr apart. */
  append(stream: 'stdout' | 'stderr', text: string): void {
    const whole = (this.#partial.get(stream) ?? '') + text;
    const lines = whole.split('\n');
    let rest = lines.pop() ?? '';
    for (const line of lines) this.#add(line);
    while (rest.length > LOG_LINE_BYTES_MAX) {
      this.#add(rest.slice(0, LOG_LINE_BYTES_MAX));
      rest = rest.slice(LOG_LINE_BYTES_MAX);
    }
    this.#partial.set(stream, rest);
  }

  end(): void {
    for (const [stream, rest] of this.#partial) {
      if (rest !== '') this.#add(rest);
      this.#partial.set(stream, '');
    }
    this.#ended = true;
    for (const follower of [...this.#followers]) follower(undefined);
    this.#followers.clear();
  }

  read(query: LogQuery = {}): LogLine[] {
    const { sinceTime = 0, tailLines } = query;
    const lines = this.#lines.filter((line) => line.time >= sinceTime);
    return tailLines === undefined ? lines : tailLines <= 0 ? [] : lines.slice(-tailLines);
  }

  /** Undefined ends the stream; it comes at once when the run is over already. */
  follow(onLine: (line: LogLine | undefined) => void): Disposer {
    if (this.#ended) {
      onLine(undefined);
      return () => undefined;
    }
    this.#followers.add(onLine);
    return () => void this.#followers.delete(onLine);
  }

  #add(text: string): void {
    const line = { time: this.#now(), text };
    this.#lines.push(line);
    this.#bytes += text.length;
    if (this.#bytes > CONTAINER_LOG_BYTES) this.#dropOldest();
    for (const follower of [...this.#followers]) follower(line);
  }

  /** A quarter at once: shifting an array line by line would cost its length each time. */
  #dropOldest(): void {
    let index = 0;
    while (this.#bytes > CONTAINER_LOG_BYTES * 0.75 && index < this.#lines.length - 1) {
      this.#bytes -= this.#lines[index].text.length;
      index++;
    }
    this.#lines = this.#lines.slice(index);
  }
}
