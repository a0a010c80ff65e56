/** What `tulle join` does: flags to options; the work is the node role's. */
import { hostname, networkInterfaces } from 'node:os';
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { nameFrom } from '#node/machine/entry.ts';
import { cleanMachine, type JoinOptions, joinMachine } from '#node/machine/join.ts';
import { clusterFor } from '../../cluster.ts';
import { UsageError } from '../../output/report.ts';
import { programPath, unitText } from './unit.ts';

export interface JoinFlags {
  namespace?: string;
  group?: string;
  serviceAccount?: string;
  label: string[];
  port: string[];
  name?: string;
  address?: string;
  interface?: string;
  network?: string;
  locality?: string;
  control?: string;
  systemNamespace: string;
  revision: string;
  clusterId: string;
  tokenFile?: string;
  rootFile?: string;
  stateDir: string;
  excludePort: string[];
  dns: boolean;
  keep?: boolean;
  clean?: boolean;
  printUnit?: boolean;
}

export async function join(flags: JoinFlags, command: Command): Promise<void> {
  if (flags.printUnit) {
    process.stdout.write(unitText(programPath(process.execPath), process.argv.slice(2)));
    return;
  }
  if (process.getuid?.() !== 0) {
    throw new UsageError('tulle join changes the network of this machine: run it as root');
  }
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  if (flags.clean) {
    say(cleanMachine() ? 'rules and routes are removed' : 'nothing was left behind');
    return;
  }
  const { tokenFile, rootFile } = flags;
  if ((tokenFile === undefined) !== (rootFile === undefined)) {
    throw new UsageError('--token-file and --root-file belong together');
  }
  const alone = tokenFile !== undefined && rootFile !== undefined;
  if (alone && flags.control === undefined) {
    throw new UsageError('without a kubeconfig nobody says where the control plane is: --control');
  }
  const cluster = alone ? undefined : clusterFor(command);
  const namespace = flags.namespace ?? cluster?.namespace;
  if (namespace === undefined) throw new UsageError('which namespace? -n NAME');
  const log = createLogger('join', { clock: systemClock, level: 'info', format: 'text' });
  const files = alone ? { token: tokenFile, root: rootFile } : undefined;
  const apiHost = cluster && hostOf(cluster.connection.server);
  const options = { ...joinOptions(flags, namespace), files, apiHost };
  await joinMachine({ client: cluster?.client, log, say }, options);
  // Connections that were kept for later must not hold up who waits for the end.
  process.exit(0);
}

export function joinOptions(flags: JoinFlags, namespace: string): JoinOptions {
  const { systemNamespace, revision, excludePort, keep = false } = flags;
  const { group, serviceAccount, network, locality, control, clusterId, dns } = flags;
  const name = flags.name ?? nameFrom(hostname());
  const service = revision === 'default' ? 'istiod' : `istiod-${revision}`;
  const pairs = flags.port.map((text) => pairOf('--port', text));
  return {
    namespace,
    name,
    group,
    serviceAccount,
    labels: Object.fromEntries(flags.label.map((text) => pairOf('--label', text))),
    ports: Object.fromEntries(pairs.map(([key, text]) => [key, portOf(`--port ${key}=`, text)])),
    address: flags.address ?? (flags.interface && addressOf(flags.interface)),
    network,
    locality,
    control,
    controlPlace: { namespace: systemNamespace, name: service },
    clusterId,
    directory: flags.stateDir,
    excludedPorts: excludePort.map((text) => portOf('--exclude-port ', text)),
    dns,
    keep,
  };
}

function pairOf(flag: string, text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`${flag} ${text}: want NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `said`: all of the flag that comes before the number. */
function portOf(said: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new UsageError(`${said}${text}: want a port, 1 to 65535`);
}

function hostOf(server: string): string {
  return new URL(server).hostname.replace(/^\[|\]$/g, '');
}

/** IPv4 first. */
function addressOf(device: string): string {
  const found = networkInterfaces()[device]?.filter(({ internal }) => !internal) ?? [];
  const [first] = [
    ...found.filter(({ family }) => family === 'IPv4'),
    ...found.filter(({ scopeid }) => scopeid === 0),
  ];
  if (first !== undefined) return first.address;
  const devices = Object.keys(networkInterfaces()).join(', ');
  throw new UsageError(
    `--interface ${device}: no such device with an address; here are ${devices}`,
  );
}
