/**
 * The lab's state directory and its one record, lab.json: who runs the lab, on which ports, since when. The record
 * is created exclusively, so of two starts one wins; a record whose process is gone is stale and swept.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { MeshError, messageOf } from '#base/errors.ts';
import { LAB_ERRORS } from '../errors.ts';
import { DISK_PROBE_BYTES, SOCKET_PATH_BYTES_MAX } from '../limits.ts';
import type { BalancedPort } from './balancers.ts';
import { isRunning } from './process-identity.ts';

export interface LabRecord {
  pid: number;
  start: string;
  phase: 'starting' | 'ready';
  consolePort: number;
  apiPort: number;
  kubeconfig: string;
  nodes: number;
  demo: boolean;
  startedAt: string;
  /** Where the host reaches Services of type LoadBalancer. */
  balancers?: BalancedPort[];
  /** The process that holds the namespace; it dies with the launcher, this is for the sweep after a kill -9. */
  inner?: { pid: number; start: string };
}

export interface StatePaths {
  directory: string;
  record: string;
  kubeconfig: string;
  log: string;
  apiSocket: string;
  consoleSocket: string;
}

type Environment = Record<string, string | undefined>;

export function statePaths(environment: Environment = process.env): StatePaths {
  const directory = stateDirectory(environment);
  return {
    directory,
    record: join(directory, 'lab.json'),
    kubeconfig: join(directory, 'kubeconfig'),
    log: join(directory, 'lab.log'),
    apiSocket: join(directory, 'api.sock'),
    consoleSocket: join(directory, 'console.sock'),
  };
}

function stateDirectory(environment: Environment): string {
  const { TULLE_HOME: home, XDG_RUNTIME_DIR: runtime } = environment;
  if (home !== undefined && home !== '') return join(home, 'lab');
  if (runtime !== undefined && runtime !== '' && existsSync(runtime))
    return join(runtime, 'tulle-lab');
  return join(environment.HOME || homedir(), '.tulle', 'lab');
}

/** Makes the directory, private to its owner, and proves that it takes data. */
export function prepareDirectory(paths: StatePaths): void {
  const { directory } = paths;
  if (Buffer.byteLength(paths.consoleSocket) > SOCKET_PATH_BYTES_MAX) {
    const message = `the state directory ${directory} has too long a path for unix sockets`;
    throw new MeshError('LAB_STATE_DIR', message, {
      side: 'self',
      hint: 'set TULLE_HOME to a shorter path',
    });
  }
  const probe = join(directory, '.probe');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    writeFileSync(probe, new Uint8Array(DISK_PROBE_BYTES));
    rmSync(probe);
  } catch (error) {
    throw storageError(directory, error);
  }
}

export function storageError(directory: string, error: unknown): MeshError {
  const code = (error as { code?: string }).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const message = `no space left for the lab's state in ${directory}`;
    return new MeshError('LAB_DISK_FULL', message, {
      side: 'self',
      hint: LAB_ERRORS.LAB_DISK_FULL,
      cause: error,
    });
  }
  const message = `cannot write the lab's state directory ${directory}: ${messageOf(error)}`;
  return new MeshError('LAB_STATE_DIR', message, { side: 'self', hint: LAB_ERRORS.LAB_STATE_DIR });
}

/** Undefined when there is none or it cannot be read as one. */
export function readRecord(paths: StatePaths): LabRecord | undefined {
  let text: string;
  try {
    text = readFileSync(paths.record, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const record = JSON.parse(text) as LabRecord;
    return typeof record.pid === 'number' ? record : undefined;
  } catch {
    // Cut off by a crash in the middle of a write: as good as none.
    return undefined;
  }
}

export function isAlive(record: LabRecord): boolean {
  return isRunning(record.pid, record.start);
}

/** Takes the lab for this process; throws LAB_RUNNING when another live process has it. */
export function claim(paths: StatePaths, record: LabRecord): void {
  for (let attempt = 0; attempt < 2; attempt++) {
    const existing = readRecord(paths);
    if (existing !== undefined && isAlive(existing)) throw alreadyRunning(existing);
    sweep(paths, existing);
    try {
      writeFileSync(paths.record, `${JSON.stringify(record, null, 2)}\n`, {
        flag: 'wx',
        mode: 0o600,
      });
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST')
        throw storageError(paths.directory, error);
    }
  }
  throw alreadyRunning(readRecord(paths) ?? record);
}

function alreadyRunning(record: LabRecord): MeshError {
  const message = `a lab is ${record.phase === 'ready' ? 'running' : 'starting'} already (process ${record.pid}, console http://127.0.0.1:${record.consolePort})`;
  return new MeshError('LAB_RUNNING', message, { side: 'self', hint: LAB_ERRORS.LAB_RUNNING });
}

export function updateRecord(paths: StatePaths, record: LabRecord): void {
  const next = `${paths.record}.next`;
  try {
    writeFileSync(next, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
    renameSync(next, paths.record);
  } catch (error) {
    throw storageError(paths.directory, error);
  }
}

/** Removes what a lab left in the directory (the log stays for reading) and ends a namespace that outlived it. */
export function sweep(paths: StatePaths, record: LabRecord | undefined): void {
  if (record?.inner !== undefined && isRunning(record.inner.pid, record.inner.start)) {
    try {
      process.kill(record.inner.pid, 'SIGKILL');
    } catch (error) {
      if ((error as { code?: string }).code !== 'ESRCH') throw storageError(paths.directory, error);
    }
  }
  if (!existsSync(paths.directory)) return;
  for (const name of readdirSync(paths.directory)) {
    if (name === 'lab.log') continue;
    rmSync(join(paths.directory, name), { recursive: true, force: true });
  }
}
