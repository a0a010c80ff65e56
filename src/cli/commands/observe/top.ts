/** `tulle top`: what is busy, what fails, what is slow; redrawn while somebody looks, printed once when not. */
import type { Command } from 'commander';
import { sleep, systemClock } from '#base/clock.ts';
import type {
  NamespaceRow,
  NamespacesAnswer,
  ServiceRow,
  ServicesAnswer,
  WorkloadRow,
  WorkloadsAnswer,
} from '#console/api/lists.ts';
import { askConsole } from '../../console-client.ts';
import { formatTable, type Palette, paletteFor } from '../../output/table.ts';
import { addressOf } from './flags.ts';
import {
  bytesText,
  errorText,
  healthText,
  msText,
  printable,
  rateText,
  shareText,
} from './words.ts';

export type TopKind = 'workloads' | 'services' | 'namespaces';

export interface TopOptions {
  namespace: string[];
  window?: string;
  sort: string;
  once?: boolean;
  output: string;
}

const REDRAW_MS = 2_000;
const CLEAR = '\u001b[H\u001b[J';

type Row = WorkloadRow | ServiceRow | NamespaceRow;

export async function top(kind: TopKind, options: TopOptions, command: Command): Promise<void> {
  const isLive =
    process.stdout.isTTY === true && options.output === 'text' && options.once !== true;
  const path = addressOf(kind, { namespaces: options.namespace, window: options.window });
  for (;;) {
    const answer = await askConsole<WorkloadsAnswer | ServicesAnswer | NamespacesAnswer>(
      command,
      path,
    );
    const rows = sorted((answer as unknown as Record<string, readonly Row[]>)[kind], options.sort);
    if (options.output === 'json') {
      process.stdout.write(`${JSON.stringify({ ...answer, [kind]: rows }, null, 2)}\n`);
      return;
    }
    const lines = isLive ? Math.max(1, (process.stdout.rows ?? 40) - 3) : rows.length;
    const table = formatTop(kind, rows.slice(0, lines), paletteFor(process.stdout, process.env));
    if (!isLive) {
      process.stdout.write(table);
      return;
    }
    process.stdout.write(
      `${CLEAR}${answer.generatedAt}  ${rows.length} ${kind}, by ${options.sort}; Ctrl-C ends\n${table}`,
    );
    await sleep(systemClock, REDRAW_MS);
  }
}

export const SORTS = ['rate', 'errors', 'latency', 'bytes', 'name'] as const;

export function sorted(rows: readonly Row[], by: string): Row[] {
  const keys: Readonly<Record<string, (row: Row) => number>> = {
    rate: ({ inbound }) => inbound.requestsPerSecond + inbound.connectionsPerSecond,
    errors: ({ inbound }) =>
      inbound.errorRate * (inbound.requestsPerSecond + inbound.connectionsPerSecond),
    latency: ({ p95Ms = 0 }) => p95Ms,
    bytes: ({ inbound }) => inbound.bytesPerSecond,
    name: () => 0,
  };
  const key = keys[by] ?? keys.rate;
  return [...rows].sort(
    (left, right) => key(right) - key(left) || (nameOf(left) < nameOf(right) ? -1 : 1),
  );
}

function nameOf(row: Row): string {
  return 'namespace' in row ? `${row.namespace}/${row.name}` : row.name;
}

export function formatTop(kind: TopKind, rows: readonly Row[], paint: Palette): string {
  if (rows.length === 0) return `there are no ${kind} to see\n`;
  const cells = rows.map((row) => [
    printable(nameOf(row)),
    healthText(row.health, paint),
    rateText(row.inbound.requestsPerSecond),
    errorText(row.inbound.errorRate, paint),
    msText(row.p95Ms),
    bytesText(row.inbound.bytesPerSecond),
    countOf(row),
    row.health.status === 'healthy' ? '' : printable(row.health.reason),
  ]);
  const last = kind === 'namespaces' ? 'MTLS' : kind === 'services' ? 'ENDPOINTS' : 'READY';
  return formatTable(
    [kind.slice(0, -1).toUpperCase(), 'HEALTH', 'RATE', 'ERRORS', 'P95', 'BYTES', last, 'REASON'],
    cells,
  );
}

function countOf(row: Row): string {
  if ('replicas' in row) return `${row.replicas.ready}/${row.replicas.desired}`;
  if ('endpoints' in row) return `${row.endpoints.ready}/${row.endpoints.total}`;
  return shareText(row.mtls);
}
