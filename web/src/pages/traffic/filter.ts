/** What the traffic page asks for: members of its address, which are those of the API, and the words for them. Pure. */
import type { RequestRow } from '#console/api/traffic.ts';

/** Members that restrict what is shown, as the API calls them. */
export const FILTERS = [
  'workloads',
  'services',
  'methods',
  'pathPrefix',
  'status',
  'edge',
  'node',
] as const;
export type FilterName = (typeof FILTERS)[number];
export type TrafficFilter = Readonly<Partial<Record<FilterName, string>>>;

export function filterOf(query: URLSearchParams): TrafficFilter {
  return Object.fromEntries(
    FILTERS.flatMap((name) => (query.get(name) ? [[name, query.get(name)!]] : [])),
  );
}

export type TrafficTab = '' | 'recent' | 'failed' | 'denied' | 'slowest' | 'traces';

export function isDenied(row: RequestRow): boolean {
  return row.policy !== '' && isFailed(row);
}

/** Not answered, answered with 5xx, or ended with a flag. */
export function isFailed({ protocol, status, flags, reason, grpcStatus }: RequestRow): boolean {
  if (protocol === 'tcp' || protocol === 'dns')
    return reason !== '' || (flags !== '-' && flags !== '');
  return (
    status === 0 || status >= 500 || status === 403 || (grpcStatus !== '' && grpcStatus !== '0')
  );
}

export function rowsOf(tab: TrafficTab, rows: readonly RequestRow[]): RequestRow[] {
  if (tab === 'failed') return rows.filter(isFailed);
  if (tab === 'denied') return rows.filter(isDenied);
  // How long a connection was open says nothing of how slow it was.
  if (tab === 'slowest')
    return rows
      .filter(({ protocol }) => protocol !== 'tcp')
      .toSorted((a, b) => b.durationMs - a.durationMs);
  return [...rows];
}

/** A request has a name of its own only with a trace or an id: its proxy and times make one. */
export const keyOf = (row: RequestRow) =>
  `${row.proxy} ${row.at} ${row.requestId || row.spanId} ${row.sourceAddress} ${row.durationMs}`;

/** The same request as a question of "why". */
export function whyQuery(row: RequestRow): Record<string, string> {
  const [, namespace = '', name = ''] = row.source.split('/');
  const [host, port] =
    row.service === '' ? splitAddress(row.destinationAddress) : [row.service, portOf(row)];
  return {
    ...(name !== '' && { from: `${namespace}/${name}` }),
    host,
    port,
    ...(row.method !== '' && { method: row.method }),
    ...(row.path !== '' && { path: row.path }),
  };
}

function portOf({ authority }: RequestRow): string {
  const [, port] = splitAddress(authority);
  return port === '' ? '80' : port;
}

function splitAddress(address: string): [string, string] {
  const at = address.lastIndexOf(':');
  return at < 0 || address.endsWith(']')
    ? [address, '']
    : [address.slice(0, at).replace(/^\[|\]$/g, ''), address.slice(at + 1)];
}

/** The line that shows the same in a terminal. */
export function tapCommand(
  filter: TrafficFilter,
  { failed = false, namespaces = '' }: { failed?: boolean; namespaces?: string },
): string {
  const parts = ['tulle tap'];
  if (namespaces !== '') parts.push(`-n ${namespaces}`);
  for (const [name, option] of [
    ['workloads', '--workload'],
    ['services', '--service'],
    ['methods', '--method'],
    ['pathPrefix', '--path'],
    ['status', '--status'],
    ['node', '--node'],
  ] as const)
    if (filter[name] !== undefined) parts.push(`${option} ${filter[name]}`);
  if (failed) parts.push('--failed');
  return parts.join(' ');
}
