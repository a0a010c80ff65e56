/** Looks at this machine for `judgeMachine`; makes namespaces that end with the command that made them, and nothing else. */
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, release } from 'node:os';
import { dirname } from 'node:path';
import { messageOf } from '#base/errors.ts';
import {
  type Machine,
  thisMachine,
  unshareFlags,
  whyNoNamespaces,
  whyNoTools,
} from '#lab/launcher/preflight.ts';
import { statePaths } from '#lab/launcher/state.ts';
import { openFilesMax } from '#net/netns/open-files.ts';
import { readRunningLab } from '../running-lab.ts';
import type { MachineFacts } from './machine.ts';

const CONSOLE_PORT = 20_001;
const MIB = 1024 * 1024;

/** What the lab, its node proxies and its pods are made of. */
const NETWORK_TRIAL = [
  'ip link add t0 type veth peer name t1',
  'ip link add t2 type bridge',
  `nft '${[
    'add table inet t',
    'add set inet t s { type ipv4_addr; flags interval; }',
    'add chain inet t o { type nat hook output priority -100; }',
    'add chain inet t p { type filter hook prerouting priority -150; }',
    'add chain inet t s { type nat hook postrouting priority 100; }',
    'add rule inet t o ip daddr @s meta l4proto tcp redirect to :15001',
    'add rule inet t p fib saddr type local ct mark set 0x1',
    'add rule inet t s masquerade',
  ].join('; ')}'`,
].join(' && ');

export async function machineFacts(machine: Machine = thisMachine()): Promise<MachineFacts> {
  const noTools = whyNoTools(machine);
  const noNamespaces = noTools === undefined ? whyNoNamespaces(machine) : undefined;
  const canTry = noTools === undefined && noNamespaces === undefined;
  return {
    system: process.platform,
    kernel: /^[\d.]+/.exec(release())?.[0] ?? release(),
    architecture: process.arch,
    noTools,
    noNamespaces,
    noNetwork: canTry ? whyNoNetwork(machine) : undefined,
    port: { number: CONSOLE_PORT, takenBy: await whoHas(CONSOLE_PORT) },
    memoryMiB: availableMiB(),
    processors: availableParallelism(),
    openFiles: openFilesMax(),
    state: stateOf(statePaths().directory),
    hasKubectl: machine.which('kubectl') !== null,
  };
}

function whyNoNetwork(machine: Machine): string | undefined {
  const unshare = machine.which('unshare') ?? 'unshare';
  const path = [machine.which('ip'), machine.which('nft')].map((each) =>
    dirname(each ?? '/sbin/x'),
  );
  const words = ['env', `PATH=${path.join(':')}:/usr/bin:/bin`, 'sh', '-c', NETWORK_TRIAL];
  const { status, stderr } = machine.tryRun([unshare, ...unshareFlags(machine.root), ...words]);
  return status === 0 ? undefined : stderr.split('\n')[0] || `exit status ${status}`;
}

async function whoHas(port: number): Promise<'lab' | 'other' | undefined> {
  const lab = readRunningLab();
  if (lab !== undefined && new URL(lab.consoleUrl).port === `${port}`) return 'lab';
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve('other'));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () =>
      server.close(() => resolve(undefined)),
    );
  });
}

function availableMiB(): number {
  const kib = Number(/^MemAvailable:\s+(\d+)/m.exec(textOf('/proc/meminfo'))?.[1] ?? 0);
  const limit = Number(textOf('/sys/fs/cgroup/memory.max'));
  const used = Number(textOf('/sys/fs/cgroup/memory.current'));
  const ofLimit = limit > 0 ? limit - used : Number.POSITIVE_INFINITY;
  return Math.floor(Math.min(kib * 1024, ofLimit) / MIB);
}

function stateOf(directory: string): MachineFacts['state'] {
  let above = directory;
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above);
  try {
    accessSync(above, constants.W_OK);
    const { bavail, bsize } = statfsSync(above);
    return { directory, freeMiB: Math.floor((bavail * bsize) / MIB) };
  } catch (error) {
    return { directory, freeMiB: 0, failure: messageOf(error) };
  }
}

/** Empty where there is no such file. */
function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
