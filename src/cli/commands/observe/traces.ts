/** `tulle traces [ID]`: traces that are kept, and one of them as a waterfall of text. */
import type { Command } from 'commander';
import type { SpanRow, TraceAnswer, TracesAnswer } from '#console/api/traffic.ts';
import { askConsole } from '../../console-client.ts';
import { UsageError } from '../../output/report.ts';
import { formatTable, type Palette, paletteFor } from '../../output/table.ts';
import { addressOf, type RequestFlags, requestQuery } from './flags.ts';
import { msText, printable } from './words.ts';

export interface TracesOptions extends RequestFlags {
  slowest?: boolean;
  limit?: number;
}

export async function traces(
  id: string | undefined,
  options: TracesOptions,
  command: Command,
): Promise<void> {
  const paint = paletteFor(process.stdout, process.env);
  const print = (value: object, text: string) =>
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(value, null, 2)}\n` : text);
  if (id !== undefined) {
    if (!/^[0-9a-f]{32}$/i.test(id))
      throw new UsageError(
        `${id} is no trace id: 32 hexadecimal digits, as tulle traces lists them`,
      );
    const answer = await askConsole<TraceAnswer>(command, `/api/v1/traces/${id}`);
    print(answer, formatTrace(answer, paint, process.stdout.columns ?? 100));
    return;
  }
  const query = {
    ...requestQuery(options),
    sort: options.slowest === true ? 'slowest' : undefined,
    limit: options.limit,
  };
  const answer = await askConsole<TracesAnswer>(command, addressOf('traces', query));
  print(answer, formatTraces(answer, paint));
}

export function formatTraces({ traces: rows, oldest }: TracesAnswer, paint: Palette): string {
  if (rows.length === 0)
    return `no trace is kept that matches${oldest === undefined ? '' : ` (the store reaches back to ${oldest})`}; failed requests always leave one, others by the sampling of Telemetry\n`;
  const cells = rows.map((row) => [
    row.at.slice(0, 23),
    row.traceId,
    row.status === 'error'
      ? paint('red', String(row.statusCode ?? 'error'))
      : String(row.statusCode ?? 'ok'),
    msText(row.durationMs),
    String(row.spans),
    printable(row.name),
    printable(row.services.join(', ')),
  ]);
  return formatTable(['AT', 'TRACE', 'STATUS', 'DURATION', 'SPANS', 'NAME', 'SERVICES'], cells);
}

const BAR_MIN = 20;

/** Spans in order, each a bar where it lay in time. */
export function formatTrace(trace: TraceAnswer, paint: Palette, columns: number): string {
  const names = trace.spanRows.map((span) =>
    printable(`${'  '.repeat(span.depth)}${span.service || span.proxy} ${span.name}`),
  );
  const nameWidth = Math.min(60, Math.max(...names.map((name) => name.length), 4));
  const width = Math.max(BAR_MIN, columns - nameWidth - 16);
  const head = `trace ${trace.traceId}  ${trace.at}  ${msText(trace.durationMs)}  ${trace.status === 'error' ? paint('red', 'error') : 'ok'}\n`;
  const lines = trace.spanRows.map((span, at) => {
    const name = names[at].slice(0, nameWidth).padEnd(nameWidth);
    const mark = span.isMesh ? paint('cyan', name) : name;
    return `${mark}  ${bar(span, { trace, width, paint })}  ${msText(span.durationMs)}${problem(span, paint)}\n`;
  });
  return head + lines.join('');
}

function bar(
  span: SpanRow,
  { trace, width, paint }: { trace: TraceAnswer; width: number; paint: Palette },
): string {
  const scale = trace.durationMs > 0 ? width / trace.durationMs : 0;
  const from = Math.min(width - 1, Math.max(0, Math.floor(span.startOffsetMs * scale)));
  const length = Math.max(1, Math.min(width - from, Math.round(span.durationMs * scale)));
  const drawn = '━'.repeat(length);
  const text = span.status === 'error' ? paint('red', drawn) : drawn;
  return `${' '.repeat(from)}${text}${' '.repeat(width - from - length)}`;
}

function problem({ status, statusMessage }: SpanRow, paint: Palette): string {
  return status === 'error' ? `  ${paint('red', printable(statusMessage) || 'error')}` : '';
}
