/**
 * A real lab for end-to-end tests: started by the launcher script as a user would, in a state directory and on
 * ports of its own, ended with the test. Also enters the lab's namespaces to look at the wire.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';

export const ROOT = join(import.meta.dir, '../..');
const TULLE = join(ROOT, 'tulle');

export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

export async function run(
  command: readonly string[],
  options: { env?: Record<string, string>; input?: string; cwd?: string } = {},
): Promise<CommandResult> {
  const child = Bun.spawn([...command], {
    stdin: options.input === undefined ? 'ignore' : new TextEncoder().encode(options.input),
    stdout: 'pipe',
    stderr: 'pipe',
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

export interface TestLab {
  readonly home: string;
  readonly kubeconfig: string;
  readonly consoleUrl: string;
  /** What `lab up` printed. */
  readonly output: string;
  tulle(...args: string[]): Promise<CommandResult>;
  kubectl(...args: string[]): Promise<CommandResult>;
  /** kubectl apply -f - */
  apply(manifest: string): Promise<CommandResult>;
  /** The lab's processes, by their ids on the host, whose command line contains the words; root only. */
  processes(words: string, environment?: string): number[];
  /** Runs a command in a node's network namespace, seen from the host. */
  onNode(node: string, command: readonly string[]): string[];
  /** Runs a command in the network that the nodes hang on, with this process's own files. */
  onFabric(command: readonly string[]): string[];
  /** Path of a pod's network namespace, as this process reaches it; root only. */
  podNamespace(uid: string): string;
  down(): Promise<CommandResult>;
}

/** Runs `labUp` and fails with everything it printed when it does not come up. */
export async function startLab(
  args: readonly string[],
  options: { asUser?: string } = {},
): Promise<TestLab> {
  const home = mkdtempSync(join(tmpdir(), 'tulle-e2e-'));
  if (options.asUser) await run(['chown', options.asUser, home]);
  const prefix = options.asUser
    ? [
        'setpriv',
        '--reuid',
        options.asUser,
        '--regid',
        options.asUser,
        '--init-groups',
        '--reset-env',
      ]
    : [];
  const environment = ['env', `TULLE_HOME=${home}`, 'KUBECONFIG='];
  const tulle = (...words: string[]) => run([...prefix, ...environment, TULLE, ...words]);
  const up = await tulle('lab', 'up', '--detach', '--console-port', '0', ...args);
  if (up.status !== 0) {
    await tulle('lab', 'down');
    throw new Error(
      `lab up ended with ${up.status}\n${up.stderr}\n${up.stdout}\n${tailOf(join(home, 'lab', 'lab.log'))}`,
    );
  }
  const status = JSON.parse((await tulle('lab', 'status', '-o', 'json')).stdout) as {
    kubeconfig: string;
    consoleUrl: string;
  };
  const record = JSON.parse(readFileSync(join(home, 'lab', 'lab.json'), 'utf8')) as {
    inner: { pid: number };
  };
  const kubectl = (...words: string[]) =>
    run(['kubectl', '--kubeconfig', status.kubeconfig, ...words], { env: { HOME: home } });
  return {
    home,
    kubeconfig: status.kubeconfig,
    consoleUrl: status.consoleUrl,
    output: up.stdout,
    tulle,
    kubectl,
    apply: (manifest) =>
      run(['kubectl', '--kubeconfig', status.kubeconfig, 'apply', '-f', '-'], {
        input: manifest,
        env: { HOME: home },
      }),
    processes: (words, environment) =>
      descendants(record.inner.pid).filter(
        (pid) =>
          procText(pid, 'cmdline').includes(words) &&
          (environment === undefined || procText(pid, 'environ').includes(environment)),
      ),
    podNamespace: (uid) => `/proc/${record.inner.pid}/root/run/netns/${uid}`,
    onFabric: (command) => ['nsenter', '-t', String(record.inner.pid), '--net', ...command],
    onNode: (node, command) => [
      'nsenter',
      '-t',
      String(record.inner.pid),
      '--mount',
      '--net',
      'nsenter',
      `--net=/run/netns/${node}`,
      ...command,
    ],
    async down() {
      const result = await tulle('lab', 'down');
      rmSync(home, { recursive: true, force: true });
      return result;
    },
  };
}

function descendants(pid: number): number[] {
  const children = procText(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Words are separated by spaces; empty when the process is gone. */
function procText(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8').replaceAll('\0', ' ');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as { code?: string }).code ?? '')) return '';
    throw error;
  }
}

function tailOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(-40).join('\n');
  } catch (error) {
    return `no log: ${String(error)}`;
  }
}

/** Far more than anything takes on a quiet machine: one that is busy fails no test, and who waits in vain is told for what. */
const PATIENCE_MS = 60_000;

/** Polls until `probe` gives something other than undefined; the error names what was awaited. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const deadline = systemClock.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (systemClock.now() > deadline)
      throw new Error(`gave up waiting for ${what} after ${timeoutMs} ms`);
    await sleep(systemClock, 100);
  }
}

/**
 * Whether the programs and rights that a suite needs are here. In CI a missing one is an error; elsewhere the
 * suite is skipped and says so.
 */
export function missingFor(needs: {
  programs: readonly string[];
  root?: boolean;
  /** Instead of the usual folders. */
  path?: string;
}): string | undefined {
  const path = needs.path ?? `${process.env.PATH}:/usr/sbin:/sbin`;
  const missing = needs.programs.filter((program) => Bun.which(program, { PATH: path }) === null);
  const reasons = missing.map((program) => `${program} is not installed`);
  if (needs.root && process.getuid?.() !== 0) reasons.push('root is needed');
  if (reasons.length === 0) return undefined;
  const reason = reasons.join(', ');
  if (process.env.CI) throw new Error(`this suite cannot run in CI: ${reason}`);
  process.stderr.write(`SKIPPED, ${reason}\n`);
  return reason;
}
