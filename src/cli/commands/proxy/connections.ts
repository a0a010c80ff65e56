/** `tulle proxy connections NAME`: what is open through a proxy now, who talks to whom and how it is protected. */
import type { Command } from 'commander';
import { sleep, systemClock } from '#base/clock.ts';
import type {
  ConnectionPeer,
  ConnectionReport,
  ConnectionsAnswer,
} from '#node/status/connections.ts';
import { UsageError } from '../../output/report.ts';
import {
  formatAge,
  formatTable,
  type Palette,
  paletteFor,
  terminalWidth,
} from '../../output/table.ts';
import { formatBytes } from '../../output/units.ts';
import { openProxy } from './find.ts';

const REFRESH_MS = 1000;
const CLEAR = '\u001b[H\u001b[2J';

export interface ConnectionsOptions {
  output: string;
  namespace?: string;
  pod?: string;
  direction?: string;
  limit?: string;
  watch?: boolean;
}

export async function connections(
  name: string,
  options: ConnectionsOptions,
  command: Command,
): Promise<void> {
  using door = await openProxy(name, command);
  const path = `/connections?${queryOf(options)}`;
  const { stdout } = process;
  const paint = paletteFor(stdout, process.env);
  const show = async () => {
    const answer = await door.json<ConnectionsAnswer>(path);
    if (options.output === 'json') {
      const indent = options.watch ? undefined : 2;
      stdout.write(`${JSON.stringify(answer, null, indent)}\n`);
      return;
    }
    const screen = options.watch && stdout.isTTY ? CLEAR : '';
    stdout.write(
      `${screen}${formatConnections(answer, paint, terminalWidth())}${options.watch ? '\n' : ''}`,
    );
  };
  await show();
  if (!options.watch) return;
  let stopped = false;
  const interrupt = Promise.withResolvers<void>();
  process.once('SIGINT', () => {
    stopped = true;
    interrupt.resolve();
  });
  for (;;) {
    await Promise.race([sleep(systemClock, REFRESH_MS), interrupt.promise]);
    if (stopped) return;
    await show();
  }
}

export function queryOf(options: ConnectionsOptions): URLSearchParams {
  const { namespace, pod, direction, limit } = options;
  if (limit !== undefined && !/^\d+$/.test(limit))
    throw new UsageError(`--limit ${limit}: want a number`);
  const given = Object.entries({ namespace, pod, direction, limit });
  return new URLSearchParams(
    given.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

export function formatConnections(
  answer: ConnectionsAnswer,
  paint: Palette,
  width?: number,
): string {
  const { total, matched, connections: shown } = answer;
  if (matched === 0)
    return total === 0 ? 'nothing is open\n' : `none of ${total} open connections matches\n`;
  const header = ['DIRECTION', 'SOURCE', 'DESTINATION', 'SERVICE', 'AUTHORITY', 'SECURITY'];
  const table = formatTable(
    [...header, 'AGE', 'SENT', 'RECEIVED'],
    shown.map((each) => [
      each.direction,
      peer(each.source),
      peer(each.destination),
      each.service ?? '-',
      each.authority ?? '-',
      security(each, paint),
      formatAge(each.ageMs / 1000),
      ...bytes(each),
    ]),
    { width },
  );
  const rest = matched - shown.length;
  return rest > 0
    ? `${table}${shown.length} of ${matched} shown: --limit ${matched} shows all, filters choose\n`
    : table;
}

function peer({ workload, address }: ConnectionPeer): string {
  return workload === undefined ? address : `${workload} (${address})`;
}

function security(connection: ConnectionReport, paint: Palette): string {
  const { mutualTls, protocol, source, destination } = connection;
  if (!mutualTls) return paint('yellow', `plaintext ${protocol}`);
  const from = account(source.identity);
  return `${protocol} mTLS ${from} → ${account(destination.identity)}`;
}

/** `namespace/account` of a SPIFFE name; the trust domain is in the JSON. */
function account(identity: string | undefined): string {
  const [, namespace, name] = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(identity ?? '') ?? [];
  return name === undefined ? (identity ?? '?') : `${namespace}/${name}`;
}

/** As the client sees it, like the access log: `received` is what was read from the client's side. */
function bytes({ direction, receivedBytes, sentBytes }: ConnectionReport): string[] {
  const [sent, received] =
    direction === 'outbound' ? [receivedBytes, sentBytes] : [sentBytes, receivedBytes];
  return [sent, received].map((count) => (count === undefined ? '-' : formatBytes(count)));
}
