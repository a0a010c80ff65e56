/** What a benchmark run found, as JSON rows (stable) or as text with ratios and a bar picture. */
import { formatTable } from '#cli/output/table.ts';
import { addFailures, type Failures } from './failures.ts';

export interface BenchRow {
  case: string;
  subject: string;
  connections: number;
  /** What was done: `requests`, `download`, `idle, 100 pods`, … */
  load: string;
  requestsPerSecond: number | null;
  /** User plus system time of every process of the subject, divided by the requests served. */
  cpuMicrosPerRequest: number | null;
  megabytesPerSecond: number | null;
  megabytesPerCpuSecond: number | null;
  p50Ms: number | null;
  /** Where the target is worded so. */
  p95Ms: number | null;
  p99Ms: number | null;
  /** Sums over the subject's processes after the load; in the memory case of the heavier process. */
  rssMiB: number | null;
  privateMiB: number | null;
  failedRequests: number;
  /** The same by kind. */
  failures: Failures;
  /** Of one response of xDS to one proxy. */
  bytesPerPush: number | null;
  /** What is on disk after it. */
  storedMiB: number | null;
}

export interface BenchReport {
  machine: { cores: number; memoryGiB: number; kernel: string; cpu: string; bun: string };
  case: string;
  /** Each figure is the median of as many runs. */
  rounds: number;
  /** Peers that were asked for and are not installed. */
  missing: string[];
  rows: BenchRow[];
}

const FIGURES = [
  'requestsPerSecond',
  'cpuMicrosPerRequest',
  'megabytesPerSecond',
  'megabytesPerCpuSecond',
  'p50Ms',
  'p95Ms',
  'p99Ms',
  'rssMiB',
  'privateMiB',
  'bytesPerPush',
  'storedMiB',
] as const satisfies readonly (keyof BenchRow)[];

type Figure = (typeof FIGURES)[number];

/** What a case is about: the first of these that a row has. */
const MAIN_FIGURES = [
  { name: 'cpuMicrosPerRequest', title: 'CPU per request, shorter is better', unit: 'us/request' },
  {
    name: 'megabytesPerCpuSecond',
    title: 'bytes per CPU second, longer is better',
    unit: 'MB/CPU s',
  },
  { name: 'rssMiB', title: 'resident memory, shorter is better', unit: 'MiB' },
] as const satisfies readonly { name: Figure; title: string; unit: string }[];

const BAR_WIDTH = 30;
const SUBJECT = 'tulle';

/** One decimal above ten, two below; `-` when not measured. */
function figure(value: number | null): string {
  if (value === null) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

const mainFigure = (row: BenchRow) => MAIN_FIGURES.find(({ name }) => row[name] !== null);

/** Tulle's main figure divided by the peer's, of the same load in the same run. */
export function ratioTo(rows: readonly BenchRow[], peer: BenchRow): number | null {
  const own = rows.find((row) => row.subject === SUBJECT && loadOf(row) === loadOf(peer));
  const main = mainFigure(peer);
  if (own === undefined || main === undefined) return null;
  const [mine, theirs] = [own[main.name], peer[main.name]];
  return mine === null || !theirs ? null : mine / theirs;
}

const loadOf = (row: BenchRow) => `${row.case}|${row.connections}|${row.load}`;
const keyOf = (row: BenchRow) => `${loadOf(row)}|${row.subject}`;

/** One row for each case, subject, number of connections and load, in the order of their first appearance. */
export function medianRows(rows: readonly BenchRow[]): BenchRow[] {
  return [...Map.groupBy(rows, keyOf).values()].map((group) => {
    const merged = { ...group[0] };
    for (const name of FIGURES) merged[name] = median(group.map((row) => row[name]));
    merged.failures = group.map((row) => row.failures).reduce(addFailures);
    merged.failedRequests = group.reduce((sum, row) => sum + row.failedRequests, 0);
    return merged;
  });
}

/** The lower one of two middles: a figure that was measured, never a mean. */
function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  return known[(known.length - 1) >> 1] ?? null;
}

export function formatReport(report: BenchReport): string {
  const { machine, rows, rounds, missing } = report;
  const header = [
    'case',
    'load',
    'conns',
    'subject',
    'req/s',
    'cpu us/req',
    'MB/s',
    'MB/cpu s',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'RSS MiB',
    'private',
    'B/push',
    'MiB kept',
    'tulle/peer',
  ];
  const cells = rows.map((row) => {
    const ratio = row.subject === SUBJECT ? null : ratioTo(rows, row);
    return [
      row.case,
      row.load,
      String(row.connections),
      row.subject,
      ...FIGURES.map((name) => figure(row[name])),
      ratio === null ? '' : `${ratio.toFixed(2)}x`,
    ];
  });
  const title = `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Bun ${machine.bun}; medians of ${rounds}\n\n`;
  const absent = missing.length === 0 ? '' : `\nnot installed, left out: ${missing.join(', ')}\n`;
  return `${title}${formatTable(header, cells)}${absent}${bars(rows)}`;
}

/** One scale for each load: its subjects are compared, not the loads. */
function bars(rows: readonly BenchRow[]): string {
  return MAIN_FIGURES.map(({ name, title, unit }) => {
    const measured = rows.filter((row) => mainFigure(row)?.name === name);
    if (measured.length === 0) return '';
    const lines = measured.map((row) => {
      const value = row[name] ?? 0;
      const sameLoad = measured.filter((other) => loadOf(other) === loadOf(row));
      const longest = Math.max(...sameLoad.map((other) => other[name] ?? 0));
      const length = Math.max(1, Math.round((value / longest) * BAR_WIDTH));
      const label = `${row.case} ${row.load} ${row.connections}c ${row.subject}`.padEnd(48);
      return `  ${label} ${'█'.repeat(length)} ${figure(value)} ${unit}\n`;
    });
    return `\n${title}\n${lines.join('')}`;
  }).join('');
}
