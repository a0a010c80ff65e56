/** `tulle proxy list`: every proxy with its kind, version, sync state, and what it carries. */
import type { Command } from 'commander';
import type { ProxyStatus, StatusAnswer } from '#control/observe/api.ts';
import { askConsole } from '../../console-client.ts';
import { withProgress } from '../../output/progress.ts';
import { formatTable, type Palette, paletteFor, terminalWidth } from '../../output/table.ts';
import { formatBytes } from '../../output/units.ts';

export interface ProxyRow {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly kind: ProxyStatus['kind'];
  readonly version: string | undefined;
  readonly sync: ProxyStatus['sync'];
  /** Proxied pods of a node; absent for a waypoint. */
  readonly pods: number | undefined;
  readonly connections: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly problem: string | undefined;
}

export async function list(options: { output: string }, command: Command): Promise<void> {
  const answer = await withProgress(
    'asking the control plane',
    askConsole<StatusAnswer>(command, '/api/v1/status'),
  );
  const rows = answer.proxies.map(rowOf);
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(rows, null, 2)}\n`
      : formatProxies(rows, paletteFor(process.stdout, process.env), terminalWidth()),
  );
}

export function rowOf(proxy: ProxyStatus): ProxyRow {
  const { name, namespace, node, kind, sync, types, scrapeError, detail } = proxy;
  return {
    name,
    namespace,
    node,
    kind,
    version: detail?.version,
    sync,
    pods: detail?.workloads?.length,
    connections: detail?.connections,
    memoryBytes: detail?.memoryBytes,
    problem: types.find(({ nack }) => nack !== undefined)?.nack ?? scrapeError ?? detail?.notReady,
  };
}

export function formatProxies(rows: readonly ProxyRow[], paint: Palette, width?: number): string {
  if (rows.length === 0) return 'there is no proxy: tulle enroll NAMESPACE, or tulle status\n';
  const number = (count: number | undefined) => (count === undefined ? '-' : String(count));
  const cells = rows.map((row) => [
    `${row.namespace}/${row.name}`,
    row.kind,
    row.node,
    row.version ?? '-',
    paint(row.sync === 'synced' ? 'green' : 'red', row.sync),
    number(row.pods),
    number(row.connections),
    row.memoryBytes === undefined ? '-' : formatBytes(row.memoryBytes),
    row.problem ?? '',
  ]);
  const header = ['NAME', 'KIND', 'NODE', 'VERSION', 'SYNC', 'PODS', 'CONNECTIONS', 'MEMORY'];
  return formatTable([...header, 'PROBLEM'], cells, { width });
}
