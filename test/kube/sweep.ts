/**
 * Ends a cluster whose holder is gone, and removes all of it: processes, cgroups, namespace, folder. Always runs as a
 * process of its own under a lock, so that two sweeps, or a sweep and a start, do not meet.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { clusterCgroups, endCgroups } from './cgroups.ts';
import { run } from './command.ts';
import { removeNetwork } from './network.ts';
import { isAlive, readRecord, statePaths, stateRoot } from './state.ts';

const MAIN = join(import.meta.dir, 'main.ts');

/** False when the cluster is held by a living process and so was left alone. */
export async function sweep(name: string): Promise<boolean> {
  if (isAlive(readRecord(name))) return false;
  await removeCluster(name);
  return true;
}

/** For its holder, which is alive. */
export async function removeCluster(name: string): Promise<void> {
  await endCgroups(readRecord(name)?.cgroups ?? clusterCgroups(name));
  await removeNetwork(name);
  const { root } = statePaths(name);
  if (existsSync(root)) rmSync(root, { recursive: true });
}

/** The command line that sweeps under the lock. */
export function sweepCommand(name: string): string[] {
  mkdirSync(stateRoot(), { recursive: true, mode: 0o700 });
  // -o: what the sweep starts does not inherit the lock.
  return [
    'flock',
    '-o',
    join(stateRoot(), 'sweep.lock'),
    process.execPath,
    MAIN,
    'sweep',
    '--name',
    name,
  ];
}

/** Throws when the cluster is held by a living process. */
export async function sweepLocked(name: string): Promise<void> {
  const words = sweepCommand(name);
  const { code, stderr } = await run(words);
  if (code === 0) return;
  if (isAlive(readRecord(name))) throw new Error(`cluster ${name} runs already`);
  throw new Error(`${words.join(' ')}: exit ${code}: ${stderr.trim()}`);
}
