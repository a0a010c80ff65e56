/** Builds and unbuilds the wiring of plan.ts. Runs in the lab's own mount namespace, where /run is private. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MeshError, messageOf } from '#base/errors.ts';
import { LAB_ERRORS } from '../errors.ts';
import type { NodePlan } from './addresses.ts';
import { runCommand, runIp } from './commands.ts';
import {
  fabricLines,
  NODE_SETTINGS,
  nodeLines,
  type PodLink,
  podCreateLines,
  podInnerLines,
  podNodeLines,
  settingsScript,
} from './plan.ts';

/**
 * An empty /run (and /var/run where it is another directory) that only the lab sees. A state directory below it,
 * as XDG_RUNTIME_DIR is, shows through: this process still stands in it, so it can be bound by /proc/self/cwd.
 */
export async function privateRun(stateDirectory: string): Promise<void> {
  const separate = existsSync('/var/run') && realpathSync('/var/run') !== '/run';
  const script = [
    'set -e',
    'cd "$1"',
    'mount -t tmpfs -o mode=0755 tulle-lab /run',
    ...(separate ? ['mount -t tmpfs -o mode=0755 tulle-lab /var/run'] : []),
    'case $1 in /run/*) mkdir -p "$1"; mount --no-canonicalize --bind /proc/self/cwd "$1";; esac',
    'mkdir -p /run/netns /run/secrets /run/lock',
  ].join('\n');
  await runCommand(['sh', '-c', script, 'private-run', stateDirectory]);
  // Tools that look for /run/user/… or the resolver's stub find a place, as pods bind their own file over it.
  const link = '/etc/resolv.conf';
  if (existsSync('/etc') && !existsSync(link) && isLink(link)) {
    const target = resolve('/etc', readlinkSync(link));
    if (target.startsWith('/run/')) {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, '');
      chmodSync(target, 0o644);
    }
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

/** The bridge and everything that hangs on it; nodes are not configured yet. */
export function buildFabric(nodes: readonly NodePlan[]): Promise<void> {
  return building(async () => {
    await runIp(fabricLines(nodes));
  });
}

export function buildNodes(nodes: readonly NodePlan[]): Promise<void> {
  return building(async () => {
    await Promise.all(nodes.map((node) => buildNode(node, nodes)));
  });
}

async function building(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new MeshError('LAB_TOPOLOGY', `cannot build the lab's network: ${messageOf(error)}`, {
      side: 'self',
      hint: LAB_ERRORS.LAB_TOPOLOGY,
      cause: error,
    });
  }
}

async function buildNode(node: NodePlan, nodes: readonly NodePlan[]): Promise<void> {
  const { namespace } = node;
  await runCommand(['sh', '-c', settingsScript(NODE_SETTINGS)], { namespace });
  await runIp(nodeLines(node, nodes), namespace);
}

export async function buildPodNetwork(pod: PodLink, node: NodePlan): Promise<void> {
  await runIp(podCreateLines(pod, node));
  await Promise.all([
    runIp(podInnerLines(pod, node), pod.uid),
    runIp(podNodeLines(pod, node), node.namespace),
  ]);
}

/** The link goes with the namespace; both ends die with one. */
export async function removePodNetwork(pod: PodLink, node: NodePlan): Promise<void> {
  await runIp([`link del ${pod.link}`], node.namespace);
  await runIp([`netns del ${pod.uid}`]);
}
