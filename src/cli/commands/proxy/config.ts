/** `tulle proxy config NAME [WHAT]`: what a proxy knows of the mesh, as tables or as it says it. */
import type { Command } from 'commander';
import { UsageError } from '../../output/report.ts';
import { formatTable } from '../../output/table.ts';
import { openProxy } from './find.ts';

export const CONFIG_PARTS = ['workloads', 'services', 'policies', 'waypoints'] as const;
type Part = (typeof CONFIG_PARTS)[number];

interface Gateway {
  destination?: string | { namespace: string; hostname: string };
}

/** As ztunnel's config dump. */
export interface ConfigDump {
  workloads: {
    namespace: string;
    name: string;
    workloadIps: string[];
    node: string;
    protocol: string;
    status: string;
    waypoint?: Gateway;
  }[];
  services: {
    namespace: string;
    name: string;
    hostname: string;
    vips: string[];
    waypoint?: Gateway;
    endpoints: Record<string, { status: string }>;
  }[];
  policies: {
    namespace: string;
    name: string;
    action: string;
    scope: string;
    rules: unknown[];
    dryRun: boolean;
  }[];
}

/** What a waypoint says of its upstreams on its status port. */
interface WaypointStatus {
  upstreams: { key: string; loadBalancer: unknown; endpoints: { state: string }[] }[];
}

export interface ConfigOptions {
  output: string;
  namespace?: string;
  raw?: boolean;
}

export async function config(
  name: string,
  part: string | undefined,
  options: ConfigOptions,
  command: Command,
): Promise<void> {
  if (part !== undefined && !isPart(part))
    throw new UsageError(`${part}: want one of ${CONFIG_PARTS.join(', ')}`);
  using door = await openProxy(name, command);
  const node = door.proxy.kind === 'node';
  // In short, as a table; the whole of it otherwise.
  const path = node || options.raw || options.output === 'json' ? '/config_dump' : '/status';
  if (options.raw) {
    process.stdout.write(await door.text(path));
    return;
  }
  const dump = await door.json<ConfigDump & WaypointStatus>(path);
  if (options.output === 'json') {
    const shown = part === undefined || !node ? dump : partOf(dump, part, options.namespace);
    process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  } else {
    process.stdout.write(node ? formatConfig(dump, part, options) : formatUpstreams(dump));
  }
}

function isPart(text: string): text is Part {
  return (CONFIG_PARTS as readonly string[]).includes(text);
}

function partOf(dump: ConfigDump, part: Part, namespace: string | undefined): unknown[] {
  const mine = <T extends { namespace: string }>(items: T[]) =>
    items.filter((item) => namespace === undefined || item.namespace === namespace);
  if (part === 'waypoints') return waypointRows(dump, namespace);
  return mine<{ namespace: string }>(dump[part]);
}

export function formatConfig(
  dump: ConfigDump,
  part: Part | undefined,
  { namespace }: { namespace?: string },
): string {
  const parts = part === undefined ? CONFIG_PARTS : [part];
  const tables = parts.map((each) => formatPart(dump, each, namespace));
  return tables.filter((table) => table !== '').join('\n') || 'nothing\n';
}

function formatPart(dump: ConfigDump, part: Part, namespace: string | undefined): string {
  const { header, rows } = TABLES[part](dump, namespace);
  // Empty addresses need a cell of their own, too.
  const cells = rows.map((row) => row.map((cell) => cell || '-'));
  return rows.length === 0 ? '' : formatTable(header, cells);
}

type Rows = (
  dump: ConfigDump,
  namespace: string | undefined,
) => { header: string[]; rows: string[][] };

const TABLES: Record<Part, Rows> = {
  workloads: (dump, namespace) => ({
    header: ['WORKLOAD', 'ADDRESSES', 'NODE', 'WAYPOINT', 'PROTOCOL', 'STATE'],
    rows: (partOf(dump, 'workloads', namespace) as ConfigDump['workloads']).map((each) => [
      `${each.namespace}/${each.name}`,
      each.workloadIps.join(','),
      each.node,
      gatewayName(each.waypoint),
      each.protocol,
      each.status,
    ]),
  }),
  services: (dump, namespace) => ({
    header: ['SERVICE', 'HOSTNAME', 'ADDRESSES', 'WAYPOINT', 'ENDPOINTS'],
    rows: (partOf(dump, 'services', namespace) as ConfigDump['services']).map((each) => {
      const endpoints = Object.values(each.endpoints);
      const healthy = endpoints.filter(({ status }) => status === 'Healthy').length;
      return [
        `${each.namespace}/${each.name}`,
        each.hostname,
        each.vips.map((vip) => vip.slice(vip.indexOf('/') + 1)).join(','),
        gatewayName(each.waypoint),
        `${healthy}/${endpoints.length}`,
      ];
    }),
  }),
  policies: (dump, namespace) => ({
    header: ['POLICY', 'ACTION', 'SCOPE', 'RULES', 'MODE'],
    rows: (partOf(dump, 'policies', namespace) as ConfigDump['policies']).map((each) => [
      `${each.namespace}/${each.name}`,
      each.action,
      each.scope,
      String(each.rules.length),
      each.dryRun ? 'dry run' : 'enforced',
    ]),
  }),
  waypoints: (dump, namespace) => ({
    header: ['WAYPOINT', 'SERVES'],
    rows: waypointRows(dump, namespace).map(({ waypoint, serves }) => [
      waypoint,
      serves.join(', '),
    ]),
  }),
};

function waypointRows(dump: ConfigDump, namespace: string | undefined) {
  const served = new Map<string, string[]>();
  for (const each of [...dump.services, ...dump.workloads]) {
    const waypoint = gatewayName(each.waypoint);
    if (waypoint === '' || (namespace !== undefined && each.namespace !== namespace)) continue;
    const serves = served.get(waypoint) ?? [];
    serves.push(`${each.namespace}/${each.name}`);
    served.set(waypoint, serves);
  }
  return [...served].map(([waypoint, serves]) => ({ waypoint, serves }));
}

function gatewayName(gateway: Gateway | undefined): string {
  const destination = gateway?.destination;
  if (destination === undefined) return '';
  if (typeof destination === 'string') return destination.slice(destination.indexOf('/') + 1);
  return `${destination.namespace}/${destination.hostname.split('.')[0]}`;
}

function formatUpstreams({ upstreams }: WaypointStatus): string {
  if (upstreams.length === 0) return 'no upstream has been used yet\n';
  const rows = upstreams.map(({ key, endpoints }) => [
    key,
    `${endpoints.filter(({ state }) => state !== 'ejected').length}/${endpoints.length}`,
  ]);
  return formatTable(['UPSTREAM', 'ENDPOINTS'], rows);
}
