/** What a benchmark run found, as JSON rows (stable) or as text with ratios and a bar picture. */
import { formatTable } from '#cli/output/table.ts';

export interface BenchRow {
  case: string;
  subject: string;
  connections: number;
  requestsPerSecond: number | null;
  /** User plus system time of every process of the subject, divided by the requests served. */
  cpuMicrosPerRequest: number | null;
  megabytesPerCpuSecond: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
  /** Sums over the subject's processes after the load. */
  rssMiB: number | null;
  privateMiB: number | null;
}

export interface BenchReport {
  machine: { cores: number; memoryGiB: number; kernel: string; cpu: string; bun: string };
  case: string;
  /** Each figure is the median of as many runs. */
  rounds: number;
  rows: BenchRow[];
}

const FIGURES = [
  'requestsPerSecond',
  'cpuMicrosPerRequest',
  'megabytesPerCpuSecond',
  'p50Ms',
  'p99Ms',
  'rssMiB',
  'privateMiB',
] as const satisfies readonly (keyof BenchRow)[];

const BAR_WIDTH = 30;
const SUBJECT = 'tulle';

/** One decimal above ten, two below; `-` when not measured. */
function figure(value: number | null): string {
  if (value === null) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** tulle's CPU per request divided by the peer's in the same run at the same number of connections. */
export function cpuRatio(rows: readonly BenchRow[], peer: BenchRow): number | null {
  const own = rows.find(
    (row) =>
      row.subject === SUBJECT && row.case === peer.case && row.connections === peer.connections,
  );
  if (own?.cpuMicrosPerRequest == null || !peer.cpuMicrosPerRequest) return null;
  return own.cpuMicrosPerRequest / peer.cpuMicrosPerRequest;
}

/** One row for each case, subject and number of connections, in the order of their first appearance. */
export function medianRows(rows: readonly BenchRow[]): BenchRow[] {
  const groups = Map.groupBy(rows, (row) => `${row.case} ${row.subject} ${row.connections}`);
  return [...groups.values()].map((group) => {
    const merged = { ...group[0] };
    for (const name of FIGURES) merged[name] = median(group.map((row) => row[name]));
    return merged;
  });
}

/** The lower one of two middles: a figure that was measured, never a mean. */
function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  return known[(known.length - 1) >> 1] ?? null;
}

export function formatReport(report: BenchReport): string {
  const { machine, rows, rounds } = report;
  const header = [
    'case',
    'subject',
    'conns',
    'req/s',
    'cpu us/req',
    'MB/cpu s',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
    'private',
    'tulle/peer cpu',
  ];
  const cells = rows.map((row) => {
    const ratio = row.subject === SUBJECT ? null : cpuRatio(rows, row);
    return [
      row.case,
      row.subject,
      String(row.connections),
      figure(row.requestsPerSecond),
      figure(row.cpuMicrosPerRequest),
      figure(row.megabytesPerCpuSecond),
      figure(row.p50Ms),
      figure(row.p99Ms),
      figure(row.rssMiB),
      figure(row.privateMiB),
      ratio === null ? '' : `${ratio.toFixed(2)}x`,
    ];
  });
  const title = `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Bun ${machine.bun}; medians of ${rounds}\n\n`;
  return title + formatTable(header, cells) + bars(rows);
}

/** CPU per request as bars: shorter is better. */
function bars(rows: readonly BenchRow[]): string {
  const measured = rows.filter(
    (row) => row.cpuMicrosPerRequest !== null && row.cpuMicrosPerRequest > 0,
  );
  if (measured.length === 0) return '';
  const longest = Math.max(...measured.map((row) => row.cpuMicrosPerRequest ?? 0));
  const lines = measured.map((row) => {
    const length = Math.max(1, Math.round(((row.cpuMicrosPerRequest ?? 0) / longest) * BAR_WIDTH));
    const label = `${row.case} ${row.connections}c ${row.subject}`.padEnd(24);
    return `  ${label} ${'█'.repeat(length)} ${figure(row.cpuMicrosPerRequest)} us/request\n`;
  });
  return `\nCPU per request, shorter is better\n${lines.join('')}`;
}
