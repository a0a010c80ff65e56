/**
 * The cgroups of a cluster: `tulle-kube-NAME` below this process's own in every hierarchy (version 1) or at the top
 * of the one (version 2), and a child for the control plane and for each node. Every process of the cluster is in
 * there from its first instruction and cannot leave, so this is also how they are found to be ended.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';

const ROOT = '/sys/fs/cgroup';
/** How long processes may take to be gone after SIGKILL (an overlay mount may be flushed first). */
const END_MS = 20_000;
const STEP_MS = 20;

export const isVersion2 = (): boolean => existsSync(join(ROOT, 'cgroup.controllers'));

/** Puts itself into the folders up to `--`, then becomes the rest. */
const JOIN =
  'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"';

/** The command line that runs `words` in these cgroups, same process id. */
export function joining(folders: readonly string[], words: readonly string[]): string[] {
  return ['sh', '-c', JOIN, 'join', ...folders, '--', ...words];
}

/**
 * Where a cluster that this process starts has its folder in each hierarchy. Kept in its record: another process may be
 * in other cgroups itself.
 */
export function clusterCgroups(name: string): string[] {
  const folder = `tulle-kube-${name}`;
  if (isVersion2()) return [join(ROOT, folder)];
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  return lines.flatMap((line) => {
    const [, controllers, path] = line.split(':');
    if (controllers === '') return [];
    const mount = join(ROOT, controllers.replace(/^name=/, ''));
    if (!existsSync(mount)) return [];
    // In a container without a cgroup namespace the path is the host's, of which only the end is mounted.
    const own = existsSync(join(mount, path)) ? join(mount, path) : mount;
    return [join(own, folder)];
  });
}

/** Makes `child` in each of the cluster's cgroups and returns its folders. */
export function makeCgroups(parents: readonly string[], child: string): string[] {
  return parents.map((parent) => {
    for (const folder of [parent, join(parent, child)]) {
      mkdirSync(folder, { recursive: true });
      inheritCpuset(folder);
    }
    if (isVersion2()) for (const each of [ROOT, parent]) delegate(each);
    return join(parent, child);
  });
}

/** A cpuset of version 1 starts empty, and takes no process until it has processors and memory. */
function inheritCpuset(folder: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const path = join(folder, file);
    if (isVersion2() || !existsSync(path) || readFileSync(path, 'utf8').trim() !== '') continue;
    writeFileSync(path, readFileSync(join(dirname(folder), file)));
  }
}

function delegate(folder: string): void {
  const controllers = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(/\s+/);
  const text = controllers.map((controller) => `+${controller}`).join(' ');
  writeFileSync(join(folder, 'cgroup.subtree_control'), text);
}

/** Kills whatever runs in these cgroups or below, and removes them. Throws with what is left when it does not end. */
export async function endCgroups(folders: readonly string[]): Promise<void> {
  const deadline = systemClock.now() + END_MS;
  for (;;) {
    const left = folders.filter((folder) => existsSync(folder));
    if (left.length === 0) return;
    for (const folder of left) {
      for (const pid of processesBelow(folder)) kill(pid);
      removeBelow(folder);
    }
    if (systemClock.now() > deadline) {
      const pids = [...new Set(left.flatMap(processesBelow))];
      throw new Error(`cgroups left: ${left.join(' ')}, processes ${pids.join(' ') || 'none'}`);
    }
    await sleep(systemClock, STEP_MS);
  }
}

function foldersIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

export function processesBelow(folder: string): number[] {
  let text = '';
  try {
    text = readFileSync(join(folder, 'cgroup.procs'), 'utf8');
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  const own = text.split('\n').filter((line) => line !== '' && line !== '0');
  return [...own.map(Number), ...foldersIn(folder).flatMap(processesBelow)];
}

function removeBelow(folder: string): void {
  for (const child of foldersIn(folder)) removeBelow(child);
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'EBUSY' && code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error;
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ENOENT' || code === 'ENODEV';
}
