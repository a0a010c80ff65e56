/** `tulle tap`: requests as they end, one line each. */
import type { Command } from 'commander';
import type { RequestRow } from '#console/api/traffic.ts';
import { consoleEvents } from '../../console-client.ts';
import { type Palette, paletteFor } from '../../output/table.ts';
import { addressOf, type RequestFlags, requestQuery } from './flags.ts';
import { msText, nodeText, printable } from './words.ts';

export interface TapOptions extends RequestFlags {
  count?: number;
  perSecond?: number;
}

export async function tap(options: TapOptions, command: Command): Promise<void> {
  const abort = new AbortController();
  const end = () => abort.abort();
  process.once('SIGINT', end);
  const paint = paletteFor(process.stdout, process.env);
  const path = addressOf('tap', { ...requestQuery(options), perSecond: options.perSecond });
  let shown = 0;
  try {
    for await (const { event, data } of consoleEvents(command, path, abort.signal)) {
      if (event === 'dropped') {
        process.stderr.write(
          `${(data as { count: number }).count} more were not shown: narrow the filter, or raise --per-second\n`,
        );
        continue;
      }
      if (event !== 'request') continue;
      const row = data as RequestRow;
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(row)}\n` : `${formatRequest(row, paint)}\n`,
      );
      shown += 1;
      // What came with it is not shown: more may be waiting than were asked for.
      if (shown === options.count) break;
    }
  } finally {
    end();
    process.removeListener('SIGINT', end);
  }
}

/** `08:00:01.234  shop/web → shop/cart  GET cart/items  200  3.2 ms`. */
export function formatRequest(row: RequestRow, paint: Palette): string {
  const time = row.at.slice(11, 23);
  const isHttp = row.protocol === 'http' || row.protocol === 'grpc';
  const what = isHttp
    ? `${row.method} ${row.authority}${row.path}`
    : `${row.protocol} ${row.service || row.destinationAddress}`;
  const failed = isHttp ? row.status === 0 || row.status >= 500 : row.reason !== '';
  const status = !isHttp ? '' : row.status === 0 ? 'no answer' : String(row.status);
  const grpc = row.protocol === 'grpc' && row.grpcStatus !== '' ? `grpc ${row.grpcStatus}` : '';
  const flags = row.flags === '-' ? '' : row.flags;
  const tries = row.attempts > 1 ? `${row.attempts} tries` : '';
  const parts = [
    paint('dim', time),
    `${nodeText(row.source)} → ${nodeText(row.destination)}`,
    printable(what),
    failed && status !== '' ? paint('red', status) : status,
    grpc,
    msText(row.durationMs),
    row.isMutualTls ? '' : paint('yellow', 'plaintext'),
    flags,
    tries,
    printable(row.reason),
    row.policy === '' ? '' : `by ${row.policy}`,
    row.traceId === '' ? '' : paint('dim', `trace ${row.traceId}`),
  ];
  return parts.filter((part) => part !== '').join('  ');
}
