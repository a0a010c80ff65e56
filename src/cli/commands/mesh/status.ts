/** `tulle status`: every part, every proxy's sync state, ejections and findings; exit 1 when something is wrong. */
import type { Command } from 'commander';
import type { Ejection, ProxyStatus, StatusAnswer } from '#control/observe/api.ts';
import { askConsole } from '../../console-client.ts';
import { AnswerIsNo } from '../../output/report.ts';
import { formatTable, type Palette, paletteFor } from '../../output/table.ts';

export async function status(options: { output: string }, command: Command): Promise<void> {
  const answer = await askConsole<StatusAnswer>(command, '/api/v1/status');
  const palette = paletteFor(process.stdout, process.env);
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(answer, null, 2)}\n`
      : formatStatus(answer, palette),
  );
  if (!isHealthy(answer)) throw new AnswerIsNo('');
}

/** Ejected endpoints are the mesh doing its work, not a fault of it. */
export function isHealthy(answer: StatusAnswer): boolean {
  return (
    answer.control.ready &&
    (answer.control.problems ?? []).length === 0 &&
    answer.proxies.every((proxy) => proxy.sync === 'synced') &&
    answer.waypoints.every((waypoint) => waypoint.programmed)
  );
}

export function formatStatus(answer: StatusAnswer, paint: Palette): string {
  const { control } = answer;
  const state = control.ready ? paint('green', 'ready') : paint('red', 'not ready');
  const parts = [
    `control plane  ${state}  ${control.pod}${control.leader ? ' (leader)' : ''}  since ${control.startedAt}\n`,
    ...(control.problems ?? []).map(
      ({ message, since }) => `  ${paint('red', message)}  since ${since}\n`,
    ),
    formatProxies(answer.proxies, paint),
    formatWaypoints(answer),
    formatEjections(answer.proxies.flatMap((proxy) => proxy.ejections)),
    formatFindings(answer),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function formatProxies(proxies: readonly ProxyStatus[], paint: Palette): string {
  if (proxies.length === 0) return 'no proxy has connected yet\n';
  const rows = proxies.map((proxy) => [
    proxy.kind,
    `${proxy.namespace}/${proxy.name}`,
    proxy.node,
    paint(proxy.sync === 'synced' ? 'green' : 'red', proxy.sync),
    String(proxy.types.reduce((sum, type) => sum + type.resources, 0)),
    String(proxy.certificates.length),
    proxy.types.find((type) => type.nack !== undefined)?.nack ?? proxy.scrapeError ?? '',
  ]);
  return formatTable(
    ['PROXY', 'NAME', 'NODE', 'CONFIG', 'RESOURCES', 'CERTIFICATES', 'PROBLEM'],
    rows,
  );
}

function formatWaypoints({ waypoints }: StatusAnswer): string {
  const rows = waypoints.map((waypoint) => [
    `${waypoint.namespace}/${waypoint.name}`,
    waypoint.programmed ? 'programmed' : 'not ready',
    waypoint.services.join(', ') || 'no service uses it',
  ]);
  return rows.length === 0 ? '' : formatTable(['WAYPOINT', 'STATE', 'SERVES'], rows);
}

function formatEjections(ejections: readonly Ejection[]): string {
  const rows = ejections.map((ejection) => [
    ejection.workload ?? ejection.endpoint,
    ejection.subset === undefined ? ejection.upstream : `${ejection.upstream} (${ejection.subset})`,
    ejection.remainingMs === undefined ? '-' : `${Math.ceil(ejection.remainingMs / 1000)}s`,
    ejection.by,
    ejection.reason,
  ]);
  return rows.length === 0 ? '' : formatTable(['EJECTED', 'OF', 'BACK IN', 'BY', 'REASON'], rows);
}

function formatFindings({ findings }: StatusAnswer): string {
  const rows = findings.map((finding) => [
    finding.level,
    finding.resource,
    finding.path,
    finding.message,
  ]);
  return rows.length === 0 ? '' : formatTable(['FINDING', 'RESOURCE', 'FIELD', 'MESSAGE'], rows);
}
