/**
 * `npm run bench -- CASE… [--against envoy,haproxy] [--seconds N] [--rounds N] [--json]`. Moves into mount, pid and network
 * namespaces of its own first (also without root, in a user namespace), so nothing it starts can stay behind and
 * no packet leaves the machine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { reportOf, UsageError } from '#cli/output/report.ts';
import { type BenchCase, CASES } from './cases.ts';
import { makeCertificates } from './certificates.ts';
import { type BenchReport, type BenchRow, formatReport, medianRows } from './report.ts';
import { directSubject } from './subjects/direct.ts';
import { envoySubject } from './subjects/envoy.ts';
import { haproxySubject } from './subjects/haproxy.ts';
import type { BenchContext, Subject } from './subjects/subject.ts';
import { tulleSubject } from './subjects/tulle.ts';
import { runText } from './topology.ts';

const PEERS: Record<string, Subject> = {
  envoy: envoySubject,
  haproxy: haproxySubject,
  direct: directSubject,
};
const INSIDE = 'TULLE_BENCH_INSIDE';
const ORIGIN_PORT = 8000;
const DEFAULT_SECONDS = 8;

interface Flags {
  cases: BenchCase[];
  subjects: Subject[];
  seconds: number;
  connections: number[] | undefined;
  /** Times that all subjects run, in turn; the report has the medians. */
  rounds: number;
  json: boolean;
}

function readFlags(argv: string[]): Flags {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      against: { type: 'string', default: '' },
      seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
      connections: { type: 'string' },
      rounds: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const names = CASES.map((entry) => entry.name).join(', ');
  const cases = positionals.map((name) => {
    const found = CASES.find((entry) => entry.name === name);
    if (!found) throw new UsageError(`no case ${name}; one of ${names}`);
    return found;
  });
  if (cases.length === 0)
    throw new UsageError(`which case? npm run bench -- CASE… with one of ${names}`);
  const peers = values.against
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      if (!PEERS[name])
        throw new UsageError(`no peer ${name}; one of ${Object.keys(PEERS).join(', ')}`);
      return PEERS[name];
    });
  const connections = values.connections?.split(',').map(Number);
  return {
    cases,
    subjects: [tulleSubject, ...peers],
    seconds: Number(values.seconds),
    connections,
    rounds: Math.max(1, Math.trunc(Number(values.rounds)) || 1),
    json: values.json,
  };
}

/** Runs this same program again inside namespaces of its own and hands on its status. */
async function runInside(argv: string[]): Promise<number> {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const flags = [...user, '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const script = 'mount -t tmpfs tmpfs /run && ip link set lo up && "$@" & wait $!';
  const command = [
    'unshare',
    ...flags,
    'sh',
    '-c',
    script,
    'sh',
    process.execPath,
    import.meta.path,
    ...argv,
  ];
  const child = Bun.spawn(command, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, [INSIDE]: '1' },
  });
  return child.exited;
}

/** Names the subjects that failed in `failed`. */
async function runCase(entry: BenchCase, flags: Flags, failed: string[]): Promise<BenchRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-bench-'));
  let baseId = 0;
  const base = {
    directory,
    originPort: ORIGIN_PORT,
    certificates: () => makeCertificates(directory),
    nextBaseId: () => ++baseId,
  };
  const rows: BenchRow[] = [];
  try {
    for (const subject of flags.subjects) {
      const context: BenchContext = { ...base, children: [] };
      process.stderr.write(`${entry.name}: ${subject.name} …\n`);
      try {
        rows.push(
          ...(await entry.run(context, subject, {
            seconds: flags.seconds,
            connections: flags.connections ?? entry.connections,
          })),
        );
      } catch (error) {
        // The others are still worth their figures.
        failed.push(subject.name);
        process.stderr.write(reportOf(error).text);
      } finally {
        await endAll(context.children);
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return rows;
}

async function endAll(children: readonly Bun.Subprocess[]): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => child.exited));
}

function machine(): BenchReport['machine'] {
  const processors = cpus();
  return {
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    cpu: processors[0]?.model.trim() ?? 'unknown',
    bun: Bun.version,
  };
}

async function main(argv: string[]): Promise<number> {
  const flags = readFlags(argv);
  if (process.env[INSIDE] === undefined) return runInside(argv);
  await runText(['mkdir', '-p', '/run/netns']);
  const rows: BenchRow[] = [];
  const failed: string[] = [];
  for (const entry of flags.cases) {
    const all: BenchRow[] = [];
    // Round by round, not subject by subject: what else the machine does meets all of them.
    for (let round = 0; round < flags.rounds; round++) {
      all.push(...(await runCase(entry, flags, failed)));
    }
    rows.push(...medianRows(all));
  }
  const report: BenchReport = {
    machine: machine(),
    case: flags.cases.map((entry) => entry.name).join(' '),
    rounds: flags.rounds,
    rows,
  };
  process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  return failed.length === 0 ? 0 : 1;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const report = reportOf(error);
  process.stderr.write(report.text);
  process.exit(report.status);
}
