/**
 * Starts processes inside a pod: its network namespace, a mount namespace with the pod's files, a host name. Each
 * is a session of its own, so that a signal reaches the whole tree.
 */
import type { ContainerLog } from './logs.ts';

export interface Sandbox {
  /** Network namespace under /run/netns: the pod's, or its node's for hostNetwork. */
  namespace: string;
  hostname: string;
}

export interface ProcessPlan {
  sandbox: Sandbox;
  fstab: string;
  argv: readonly string[];
  environment: Readonly<Record<string, string>>;
  workingDirectory: string | undefined;
}

/** Exit status of the shell below when the mounts cannot be made; above what programs use for themselves. */
export const MOUNT_FAILED_STATUS = 125;

const ENTER = `mount -a -T "$1" || exit ${MOUNT_FAILED_STATUS}
hostname "$2"
cd "$3" || exit ${MOUNT_FAILED_STATUS}
shift 3
exec "$@"`;

export interface RunningProcess {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** To the whole process group; harmless when it is gone. */
  signal(signal: NodeJS.Signals): void;
}

export function startProcess(plan: ProcessPlan, log: ContainerLog): RunningProcess {
  const { sandbox, fstab, argv, environment, workingDirectory } = plan;
  const enter = ['nsenter', `--net=/run/netns/${sandbox.namespace}`];
  // Slave: a network namespace that is unmounted later must not live on in this pod's copy.
  const unshare = ['unshare', '--mount', '--uts', '--propagation', 'slave'];
  const shell = ['sh', '-c', ENTER, 'pod', fstab, sandbox.hostname, workingDirectory ?? '/'];
  const child = Bun.spawn([...enter, ...unshare, ...shell, ...argv], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: environment,
    cwd: '/',
    detached: true,
  });
  const output = Promise.all([
    readInto(child.stdout, (text) => log.append('stdout', text)),
    readInto(child.stderr, (text) => log.append('stderr', text)),
  ]);
  // The log is whole once the pipes are closed, but a grandchild that keeps them open must not hold the exit back.
  void output.finally(() => log.end());
  return {
    pid: child.pid,
    exited: child.exited,
    signal: (signal) => signalGroup(child.pid, signal),
  };
}

export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error;
  }
}

async function readInto(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) onText(decoder.decode(chunk, { stream: true }));
}

/** Words that run a command inside a running container: its network, mounts and host name. */
export function enterContainer(pid: number, command: readonly string[]): string[] {
  return ['nsenter', '--target', String(pid), '--net', '--mount', '--uts', '--', ...command];
}
