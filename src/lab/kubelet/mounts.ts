/** Which mounts a container sees, as an fstab for one `mount -a`: pure but for the look at the machine's files. */
import type { Container } from '#kube/client/kinds.ts';

export interface MountPlanInput {
  container: Container;
  /** Directory on the lab's tmpfs for each volume. */
  volumeDirectory(name: string): string | undefined;
  resolvConf: string;
  hosts: string;
  /** What is at a path of the machine now. */
  kindOf(path: string): 'file' | 'directory' | undefined;
}

export type MountPlan = { fstab: string } | { problem: string };

/** Everything below is the pod's own: nothing that is made there touches the machine's disk. */
const PRIVATE = ['/run/'];

export function planMounts(input: MountPlanInput): MountPlan {
  const { container, kindOf } = input;
  const lines = ['tmpfs /run/secrets tmpfs mode=0755 0 0'];
  for (const [source, target] of [
    [input.resolvConf, '/etc/resolv.conf'],
    [input.hosts, '/etc/hosts'],
  ]) {
    if (kindOf(target) === 'file') lines.push(bind(source, target, []));
  }
  const mounts = [...(container.volumeMounts ?? [])].sort(
    (left, right) => left.mountPath.length - right.mountPath.length,
  );
  for (const mount of mounts) {
    const directory = input.volumeDirectory(mount.name);
    if (directory === undefined)
      return { problem: `volumeMounts: there is no volume "${mount.name}"` };
    const source = mount.subPath ? `${directory}/${mount.subPath}` : directory;
    const target = realPath(mount.mountPath);
    const there = kindOf(target);
    const inside = PRIVATE.some((prefix) => target.startsWith(prefix));
    if (there === undefined && !inside)
      return {
        problem: `cannot mount "${mount.name}" at ${mount.mountPath}: the directory does not exist on this machine, and the lab makes none outside /run`,
      };
    const kind = kindOf(source) ?? 'directory';
    const options = [
      ...(inside ? [kind === 'file' ? 'x-mount.mkdir' : 'x-mount.mkdir=0755'] : []),
      ...(mount.readOnly === true ? ['ro'] : []),
    ];
    lines.push(bind(source, target, options));
  }
  return { fstab: `${lines.join('\n')}\n` };
}

/** /var/run is /run on every current distribution; on the others the lab put a tmpfs of its own there. */
function realPath(path: string): string {
  return path.startsWith('/var/run/') ? path.slice('/var'.length) : path;
}

function bind(source: string, target: string, options: readonly string[]): string {
  return `${fstabField(source)} ${fstabField(target)} none ${['bind', ...options].join(',')} 0 0`;
}

/** fstab(5): blanks and backslashes are octal. */
function fstabField(path: string): string {
  return path.replace(
    /[\\\s]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
