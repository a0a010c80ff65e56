/**
 * What one L7 proxy holds: idle, after loads, after bodies of 100 MB each way, its peak, and with idle keep-alive
 * connections. One process lives through all of it.
 */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import type { CaseOptions } from './cases.ts';
import { emptyRow, memoryOf, type Target } from './measure.ts';
import { originDirectory, startOrigin } from './origin.ts';
import { peakMiBOf, usageOf } from './process-usage.ts';
import type { BenchRow } from './report.ts';
import { holdHttp } from './stream-load.ts';
import { type BenchContext, noPart, type Subject } from './subjects/subject.ts';
import { runText } from './topology.ts';
import { runLoad } from './wrk.ts';

const NAME = 'l7-memory';
const PORT = 18_080;
const ROUTES = 100;
const BODY_BYTES = 100_000_000;
/** Bodies of that size at once. */
const BODIES = 4;

export async function runL7Memory(
  context: BenchContext,
  subject: Subject,
  { connections, seconds, idleConnections, settleMs }: CaseOptions,
): Promise<BenchRow[]> {
  if (subject.startL7 === undefined) throw noPart(subject, NAME);
  await startOrigin(context);
  const pids = await subject.startL7(context, { port: PORT, routes: ROUTES, protocol: 'h1' });
  if (pids.length === 0) throw noPart(subject, NAME);
  const target: Target = { case: NAME, subject, pids };
  const url = `http://127.0.0.1:${PORT}/`;
  const rows = [sample(target, 'idle', 0)];
  for (const count of connections) {
    await runLoad({ url, connections: count, seconds });
    rows.push(sample(target, 'after l7-h1', count));
  }
  const peak = () => Math.max(...pids.map(peakMiBOf));
  rows.push({ ...emptyRow(target, 0, 'peak of these loads'), rssMiB: peak() });
  const file = join(originDirectory(context), 'large');
  writeFileSync(file, '');
  truncateSync(file, BODY_BYTES);
  await inParallel(() => ['curl', '-sSf', '-o', '/dev/null', `${url}large`]);
  rows.push(sample(target, '100 MB down', BODIES));
  await inParallel(() => ['curl', '-sSf', '-H', 'Expect:', '-T', file, `${url}upload`]);
  rows.push(sample(target, '100 MB up', BODIES));
  rows.push({ ...emptyRow(target, 0, 'peak with bodies'), rssMiB: peak() });
  const { connectionsMax = idleConnections } = subject;
  const held = Math.min(idleConnections, connectionsMax);
  const release = await holdHttp(context, { port: PORT, count: held });
  await sleep(systemClock, settleMs);
  rows.push(sample(target, 'idle connections', held));
  await release();
  return rows;
}

async function inParallel(command: () => string[]): Promise<void> {
  const runs = Array.from({ length: BODIES }, () => runText(command()));
  await Promise.all(runs);
}

function sample(target: Target, load: string, connections: number): BenchRow {
  return { ...emptyRow(target, connections, load), ...memoryOf(target.pids, usageOf(target.pids)) };
}
