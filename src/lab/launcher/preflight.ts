/** Can this machine and this user run the lab? Each "no" is one sentence with its remedy. */
import { existsSync, readFileSync } from 'node:fs';
import { MeshError } from '#base/errors.ts';
import { LAB_ERRORS } from '../errors.ts';
import { pathWithSbin } from '../program.ts';

/** Tool → Debian package. */
const TOOLS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  hostname: 'hostname',
};

export interface Machine {
  root: boolean;
  which(tool: string): string | null;
  /** Text of a file under /proc/sys, trimmed; undefined when there is none. */
  sysctl(path: string): string | undefined;
  /** Exit status and stderr. */
  tryRun(command: string[]): { status: number; stderr: string };
}

/** Flags of unshare(1) that make the lab's namespaces. */
export function unshareFlags(root: boolean): string[] {
  const user = root ? [] : ['--user', '--map-root-user'];
  return [...user, '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
}

export function checkMachine(machine: Machine): void {
  const why = whyNoTools(machine) ?? whyNoNamespaces(machine);
  if (why !== undefined) throw why;
}

export function whyNoTools(machine: Machine): MeshError | undefined {
  const missing = Object.keys(TOOLS).filter((tool) => machine.which(tool) === null);
  if (missing.length === 0) return undefined;
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]))].join(' ');
  return new MeshError(
    'LAB_TOOL_MISSING',
    `the lab needs ${missing.join(', ')}, not found on this machine`,
    {
      side: 'self',
      hint: `${machine.root ? '' : 'sudo '}apt-get install ${packages}`,
    },
  );
}

export function whyNoNamespaces(machine: Machine): MeshError | undefined {
  const unshare = machine.which('unshare') ?? 'unshare';
  const attempt = machine.tryRun([unshare, ...unshareFlags(machine.root), 'true']);
  return attempt.status === 0 ? undefined : noNamespaces(machine, attempt.stderr);
}

function noNamespaces(machine: Machine, stderr: string): MeshError {
  const fail = (message: string, hint: string) =>
    new MeshError('LAB_NO_NAMESPACES', message, { side: 'self', hint });
  if (machine.root) {
    const message = `root may not make namespaces here (${stderr}), so this is a container without CAP_SYS_ADMIN`;
    return fail(message, 'start the container with --privileged, or run the lab on the host');
  }
  const start = 'this user may not make network namespaces:';
  if (machine.sysctl('kernel/unprivileged_userns_clone') === '0')
    return fail(
      `${start} the kernel forbids it`,
      'sudo sysctl -w kernel.unprivileged_userns_clone=1, or run the lab as root',
    );
  if (machine.sysctl('user/max_user_namespaces') === '0')
    return fail(
      `${start} their number is limited to 0`,
      'sudo sysctl -w user.max_user_namespaces=10000, or run the lab as root',
    );
  if (machine.sysctl('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return fail(
      `${start} AppArmor restricts them`,
      'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run the lab as root',
    );
  return fail(`${start} ${stderr}`, LAB_ERRORS.LAB_NO_NAMESPACES);
}

export function thisMachine(): Machine {
  const PATH = pathWithSbin(process.env.PATH);
  return {
    root: process.getuid?.() === 0,
    which: (tool) => Bun.which(tool, { PATH }),
    sysctl(path) {
      const file = `/proc/sys/${path}`;
      return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
    },
    tryRun(command) {
      const result = Bun.spawnSync(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
      return { status: result.exitCode, stderr: result.stderr.toString().trim() };
    },
  };
}
