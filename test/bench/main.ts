/**
 * `npm run bench -- CASE… [--against envoy,haproxy] [--seconds N] [--rounds N] [--short] [--json]`. Moves into mount, pid and
 * network namespaces of its own first (also without root, in a user namespace), so nothing it starts can stay behind
 * and no packet leaves the machine. Fails when a subject does or a request was not answered; a figure fails nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMeshError, messageOf } from '#base/errors.ts';
import { reportOf, UsageError } from '#cli/output/report.ts';
import { type BenchCase, CASES } from './cases.ts';
import { makeCertificates } from './certificates.ts';
import { formatFailures } from './failures.ts';
import { type BenchReport, type BenchRow, formatReport, medianRows } from './report.ts';
import { directSubject } from './subjects/direct.ts';
import { envoySubject } from './subjects/envoy.ts';
import { haproxySubject } from './subjects/haproxy.ts';
import { nginxSubject } from './subjects/nginx.ts';
import { type BenchContext, endAll, type Subject } from './subjects/subject.ts';
import { tulleSubject } from './subjects/tulle.ts';
import { runText } from './topology.ts';

const PEERS: Record<string, Subject> = {
  envoy: envoySubject,
  haproxy: haproxySubject,
  nginx: nginxSubject,
  direct: directSubject,
};
const INSIDE = 'TULLE_BENCH_INSIDE';
const ORIGIN_PORT = 8000;
const DEFAULT_SECONDS = 8;
/** As the targets are worded. */
const FULL = { pods: 100, idleConnections: 10_000, settleMs: 3_000, codeSettleMs: 40_000 };
/** For every commit: shows that each case works, its figures are rough. */
const SHORT = {
  seconds: 1,
  connections: [32],
  pods: 8,
  idleConnections: 200,
  settleMs: 0,
  codeSettleMs: 0,
};

interface Flags {
  cases: BenchCase[];
  subjects: Subject[];
  missing: string[];
  seconds: number;
  connections: readonly number[] | undefined;
  pods: number;
  idleConnections: number;
  settleMs: number;
  codeSettleMs: number;
  /** Times that all subjects run, in turn; the report has the medians. */
  rounds: number;
  json: boolean;
}

const USAGE =
  'npm run bench -- CASE… [--against PEER,…] [--seconds N] [--connections N,…] [--rounds N] [--short] [--json]';

function caseNames(): string {
  return CASES.map((entry) => entry.name).join(', ');
}

function parsed(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        against: { type: 'string', default: '' },
        seconds: { type: 'string' },
        connections: { type: 'string' },
        rounds: { type: 'string', default: '1' },
        short: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`${messageOf(error)}; ${USAGE}`);
  }
}

function readFlags(argv: string[]): Flags {
  const { values, positionals } = parsed(argv);
  const names = caseNames();
  const cases = positionals.map((name) => {
    const found = CASES.find((entry) => entry.name === name);
    if (!found) throw new UsageError(`no case ${name}; one of ${names}`);
    return found;
  });
  if (cases.length === 0) throw new UsageError(`which case? ${USAGE}, with one of ${names}`);
  const peers = values.against
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      if (!PEERS[name])
        throw new UsageError(`no peer ${name}; one of ${Object.keys(PEERS).join(', ')}`);
      return PEERS[name];
    });
  const size = values.short ? SHORT : { ...FULL, seconds: DEFAULT_SECONDS, connections: undefined };
  const installed = peers.filter((peer) => peer.installed());
  return {
    ...size,
    cases,
    subjects: [tulleSubject, ...installed],
    missing: peers.filter((peer) => !installed.includes(peer)).map((peer) => peer.name),
    seconds: values.seconds === undefined ? size.seconds : Number(values.seconds),
    connections: values.connections?.split(',').map(Number) ?? size.connections,
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
async function runCase(
  entry: BenchCase,
  flags: Flags,
  { subjects, failed }: { subjects: readonly Subject[]; failed: string[] },
): Promise<BenchRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-bench-'));
  let baseId = 0;
  const base = {
    directory,
    originPort: ORIGIN_PORT,
    certificates: (names: readonly string[]) => makeCertificates(directory, names),
    nextBaseId: () => ++baseId,
  };
  const rows: BenchRow[] = [];
  try {
    for (const subject of subjects) {
      const context: BenchContext = { ...base, children: [] };
      process.stderr.write(`${entry.name}: ${subject.name} …\n`);
      try {
        rows.push(
          ...(await entry.run(context, subject, {
            ...flags,
            connections: flags.connections ?? entry.connections,
          })),
        );
      } catch (error) {
        // The others are still worth their figures.
        if (!isMeshError(error, 'BENCH_NO_PART')) failed.push(subject.name);
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
  if (parsed(argv).values.help) {
    const peers = Object.keys(PEERS).join(', ');
    process.stdout.write(`usage: ${USAGE}\n\ncases: ${caseNames()}\npeers: ${peers}\n`);
    return 0;
  }
  const flags = readFlags(argv);
  if (process.env[INSIDE] === undefined) return runInside(argv);
  await runText(['mkdir', '-p', '/run/netns']);
  const rows: BenchRow[] = [];
  const failed: string[] = [];
  for (const entry of flags.cases) {
    const all: BenchRow[] = [];
    // Round by round, each second one backwards: what else the machine does meets all of them, whatever comes after a while too.
    for (let round = 0; round < flags.rounds; round++) {
      const subjects = round % 2 === 0 ? flags.subjects : flags.subjects.toReversed();
      all.push(...(await runCase(entry, flags, { subjects, failed })));
    }
    rows.push(...medianRows(all));
  }
  const report: BenchReport = {
    machine: machine(),
    case: flags.cases.map((entry) => entry.name).join(' '),
    rounds: flags.rounds,
    missing: flags.missing,
    rows,
  };
  process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  for (const row of rows.filter(({ failedRequests }) => failedRequests > 0)) {
    const { subject, failedRequests, failures, connections, load } = row;
    const what = `${row.case}, ${load}, ${connections} connections`;
    const kinds = formatFailures(failures);
    process.stderr.write(`${subject}: ${failedRequests} failed requests: ${kinds} (${what})\n`);
  }
  const broken = rows.some((row) => row.subject === tulleSubject.name && row.failedRequests > 0);
  return failed.length === 0 && !broken ? 0 : 1;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const report = reportOf(error);
  process.stderr.write(report.text);
  process.exit(report.status);
}
