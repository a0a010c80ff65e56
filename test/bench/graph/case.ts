/**
 * The graph case: what a mesh of 2,000 workloads and 20,000 edges costs the control plane. CPU of booking a second of every edge, and of telling it to somebody who
 * follows the whole graph; how long the API takes and how long it holds the control loop; memory; and what a day takes on disk.
 */
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { memoryEnvironment } from '#base/memory-environment.ts';
import type { CaseOptions } from '../cases.ts';
import { emptyRow } from '../measure.ts';
import type { BenchRow } from '../report.ts';
import { type BenchContext, noPart, type Subject } from '../subjects/subject.ts';
import type { HostReport } from './host.ts';
import { type StoredReport, storedBytes } from './stored.ts';
import { LARGE_MESH, SMALL_MESH } from './synthetic.ts';

const NAME = 'graph';
const HOST = join(import.meta.dir, 'host.ts');
const STORED = join(import.meta.dir, 'stored.ts');
/** Short runs show that it works: a small mesh, an hour. */
const FULL_PODS = 100;
const MIB = 1024 * 1024;
const CONTROL_MEMORY = Object.fromEntries(
  memoryEnvironment('control').map(({ name, value }) => [name, value]),
);

export async function runGraph(
  _context: BenchContext,
  subject: Subject,
  options: CaseOptions,
): Promise<BenchRow[]> {
  if (subject.name !== 'tulle') throw noPart(subject, NAME);
  const isFull = options.pods >= FULL_PODS;
  const host = await printed<HostReport>([
    HOST,
    isFull ? 'large' : 'small',
    String(options.seconds),
  ]);
  const stored = isFull ? await printed<StoredReport>([STORED]) : storedBytes(SMALL_MESH, 1);
  const { edges } = isFull ? LARGE_MESH : SMALL_MESH;
  const row = (load: string, figures: Partial<BenchRow>): BenchRow => ({
    ...emptyRow({ case: NAME, subject, pids: [] }, 0, load),
    ...figures,
  });
  const { onceMs, eachSecondMs, firstMs, loopHeldMs, rssMiB, privateMiB } = host;
  return [
    row(`ingest, ${edges} edges/s`, {
      requestsPerSecond: edges,
      cpuMicrosPerRequest: host.ingestMicrosPerEdge,
      rssMiB,
      privateMiB,
    }),
    row('ingest, the graph followed', {
      requestsPerSecond: edges,
      cpuMicrosPerRequest: host.followedMicrosPerEdge,
      bytesPerPush: host.deltaBytes,
    }),
    row('API, the whole graph, asked once', {
      p50Ms: onceMs.p50,
      p95Ms: onceMs.p95,
      p99Ms: onceMs.p99,
      bytesPerPush: host.packedBytes,
    }),
    row('API, asked each second', {
      p50Ms: eachSecondMs.p50,
      p95Ms: eachSecondMs.p95,
      p99Ms: eachSecondMs.p99,
    }),
    row('API, a view that nobody had open', {
      p50Ms: firstMs.p50,
      p95Ms: firstMs.p95,
      p99Ms: firstMs.p99,
    }),
    row('control loop held', {
      p50Ms: loopHeldMs.p50,
      p95Ms: loopHeldMs.p95,
      p99Ms: loopHeldMs.p99,
    }),
    row(`store, ${stored.hours} h`, { storedMiB: stored.bytes / MIB }),
  ];
}

async function printed<Report>(command: readonly string[]): Promise<Report> {
  const child = Bun.spawn([process.execPath, ...command], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
    // Garbage is collected as in a control plane.
    env: { ...process.env, ...CONTROL_MEMORY },
  });
  const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
  if (code !== 0)
    throw new MeshError('BENCH_SUBJECT_FAILED', `${command[0]} ended with status ${code}`, {
      side: 'self',
      hint: 'its own words stand above',
    });
  return JSON.parse(text) as Report;
}
