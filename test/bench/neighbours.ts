/**
 * What a quiet pod sees next to a noisy one: four captured pods of one node proxy, quiet and noisy clients with a server each.
 * The row is the quiet pod's; the load says what the noisy one does meanwhile. `direct`, without any proxy, shows what the machine
 * alone leaves it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HttpTarget, measureHttp } from './measure.ts';
import { startOrigin } from './origin.ts';
import type { BenchRow } from './report.ts';
import { type BenchContext, noPart, type Subject } from './subjects/subject.ts';
import { rebuildStar } from './topology.ts';
import { runLoad } from './wrk.ts';

const CASE = 'l4-neighbours';
const [QUIET, NOISY, QUIET_SERVER, NOISY_SERVER] = [0, 1, 2, 3];
/** A pod that asks one thing after the other. */
const QUIET_CONNECTIONS = 2;
const LARGE_BYTES = 64 << 20;
const LARGE_PATH = 'large';

interface Noise {
  load: string;
  path: string;
  connections: number;
  headers?: Record<string, string>;
}

const NOISES: readonly (Noise | undefined)[] = [
  undefined,
  { load: 'next to 1 bulk', path: LARGE_PATH, connections: 1 },
  { load: 'next to 64 bulk', path: LARGE_PATH, connections: 64 },
  { load: 'next to churn', path: '', connections: 256, headers: { Connection: 'close' } },
  { load: 'next to 256 busy', path: '', connections: 256 },
];

export async function runNeighbours(
  context: BenchContext,
  subject: Subject,
  { seconds }: { seconds: number },
): Promise<BenchRow[]> {
  if (subject.startStar === undefined) throw noPart(subject, CASE);
  const pods = await rebuildStar(['quiet', 'noisy', 'quiet-server', 'noisy-server']);
  for (const { name } of [pods[QUIET_SERVER], pods[NOISY_SERVER]]) {
    const directory = join(context.directory, `origin-${name}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, LARGE_PATH), Buffer.alloc(LARGE_BYTES));
    await startOrigin(context, name);
  }
  const pids = await subject.startStar(context, pods);
  const urlOf = (index: number) => `http://${pods[index].address}:${context.originPort}/`;
  const namespace = pods[QUIET].name;
  const target = { case: CASE, subject, pids, url: urlOf(QUIET_SERVER), namespace };
  const rows: BenchRow[] = [];
  for (const noise of NOISES) {
    const running = noise && {
      ...noise,
      url: urlOf(NOISY_SERVER) + noise.path,
      namespace: pods[NOISY].name,
    };
    rows.push(await measureBeside(target, running, seconds));
  }
  return rows;
}

/** The noise lasts longer than the measurement and its warm-up. */
async function measureBeside(
  target: HttpTarget,
  noise: (Noise & { url: string; namespace: string }) | undefined,
  seconds: number,
): Promise<BenchRow> {
  const background = noise && runLoad({ ...noise, seconds: seconds + 3 });
  const load = noise?.load ?? 'alone';
  const row = await measureHttp(target, { connections: QUIET_CONNECTIONS, seconds, load });
  await background;
  // The process worked for both: its CPU is nobody's in particular.
  return { ...row, cpuMicrosPerRequest: null };
}
