/** An access log that hands on each line as text, for tests. */
import { LineBuffer } from '#telemetry/access-log/line-buffer.ts';
import type { LogWriter } from '#telemetry/access-log/log-writer.ts';

const utf8 = new TextDecoder();

export function takenLines(take: (line: string) => void): Pick<LogWriter, 'put'> {
  return { put: (put, what) => take(lineOf(put, what)) };
}

export function lineOf<T>(put: (out: LineBuffer, what: T) => void, what: T): string {
  const out = new LineBuffer();
  put(out, what);
  return utf8.decode(out.take());
}
