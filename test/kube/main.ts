#!/usr/bin/env bun
/** Test clusters by hand: `bun test/kube/main.ts up --name NAME`. */
import { systemClock } from '#base/clock.ts';
import { openCluster, startCluster, stopCluster, whyNoCluster } from './cluster.ts';
import { runHost } from './host-main.ts';
import { type ClusterOptions, FAMILIES, type Families } from './options.ts';
import { buildPrograms } from './program.ts';
import { clusterNames, isAlive, readRecord } from './state.ts';
import { sweep } from './sweep.ts';

const USAGE = `usage: bun test/kube/main.ts COMMAND [--name NAME] …        (NAME is "test" if not given)
  up [--nodes 0|1|2] [--proxy nftables|iptables] [--cni ptp|bridge] [--families ipv4|dual|dual-ipv6-first]
                            start a cluster that stays until "down"
  down                      end it; nothing is left
  status                    its parts, where its kubeconfig and logs are; without --name: all clusters
  kubectl ARGUMENT…         kubectl as cluster-admin in the control plane's network namespace
  inside COMMAND…           any program there: it reaches nodes, pods, Services, load balancers
  node n1 COMMAND…          a program in all namespaces of a node
  load ARCHIVE.tar          put an image onto every node
  stop|start|kill PART      a part by its name in "status", or a whole node
  build                     only build and cache what clusters need
--name and the flags of "up" come before other arguments.`;

type Flags = Record<string, string>;

const CHOICES: Record<string, readonly string[]> = {
  nodes: ['0', '1', '2'],
  proxy: ['nftables', 'iptables'],
  cni: ['ptp', 'bridge'],
  families: FAMILIES,
};

/** Flags up to the first word that is none. */
function parse(words: string[]): { flags: Flags; rest: string[] } {
  const flags: Flags = {};
  const rest = [...words];
  while (rest[0]?.startsWith('--')) {
    const [flag] = rest.splice(0, 1);
    if (flag === '--') break;
    const [name, inline] = flag.slice(2).split('=');
    const value = inline ?? rest.shift();
    const choices = CHOICES[name];
    if (value === undefined || (name !== 'name' && choices?.includes(value) !== true))
      fail(`${flag}: ${choices?.join(', ') ?? 'unknown, or without a value'}\n${USAGE}`);
    flags[name] = value;
  }
  return { flags, rest };
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

async function up(flags: Flags, name: string): Promise<number> {
  const begin = systemClock.now();
  const progress = (text: string) => {
    const seconds = ((systemClock.now() - begin) / 1000).toFixed(1);
    process.stderr.write(`${seconds.padStart(6)} s  ${text}\n`);
  };
  const options: ClusterOptions = { name, nodes: Number(flags.nodes ?? 2) as 0 | 1 | 2 };
  if (flags.proxy !== undefined) options.proxy = flags.proxy as 'nftables' | 'iptables';
  if (flags.cni !== undefined) options.cni = flags.cni as 'ptp' | 'bridge';
  if (flags.families !== undefined) options.families = flags.families as Families;
  const cluster = await startCluster({ ...options, detached: true, progress });
  progress('ready');
  console.log(`kubeconfig ${cluster.kubeconfig}\nlogs       ${cluster.logs}`);
  return 0;
}

async function build(): Promise<number> {
  const why = whyNoCluster();
  if (why !== undefined) throw new Error(why);
  await buildPrograms((text) => process.stderr.write(`${text}\n`));
  return 0;
}

async function status(name: string | undefined): Promise<number> {
  if (name === undefined) {
    for (const each of clusterNames())
      console.log(`${each} ${isAlive(readRecord(each)) ? 'running' : 'dead: take it down'}`);
    return 0;
  }
  const cluster = openCluster(name);
  console.log(`kubeconfig ${cluster.kubeconfig}\nlogs       ${cluster.logs}`);
  for (const part of await cluster.parts())
    console.log(`${part.name.padEnd(26)}${part.state.padEnd(9)}${part.pid ?? ''}`);
  return 0;
}

async function foreground(words: string[], env: Record<string, string> = {}): Promise<number> {
  const child = Bun.spawn(words, {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  return child.exited;
}

async function main(words: string[]): Promise<number> {
  const [command = '', ...others] = words;
  if (command === 'host') return runHost(JSON.parse(others[0]));
  const { flags, rest } = parse(others);
  const name = flags.name ?? 'test';
  const inside = (argv: string[]) => {
    const cluster = openCluster(name);
    const env = {
      KUBECONFIG: cluster.insideKubeconfig,
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false',
    };
    return foreground(cluster.controlPlaneCommand(argv), env);
  };
  const commands: Record<string, () => Promise<number>> = {
    up: () => up(flags, name),
    down: async () => {
      if (!(await stopCluster(name))) process.stderr.write(`no cluster ${name}\n`);
      return 0;
    },
    status: () => status(flags.name),
    kubectl: () => inside(['kubectl', ...rest]),
    inside: () => inside(rest),
    node: () =>
      foreground(openCluster(name).nodeCommand(rest[0], rest.slice(rest[1] === '--' ? 2 : 1))),
    load: () =>
      openCluster(name)
        .loadImage(rest[0])
        .then(() => 0),
    stop: () =>
      openCluster(name)
        .stopPart(rest[0])
        .then(() => 0),
    start: () =>
      openCluster(name)
        .startPart(rest[0])
        .then(() => 0),
    kill: () =>
      openCluster(name)
        .killPart(rest[0])
        .then(() => 0),
    build,
    sweep: async () => ((await sweep(name)) ? 0 : 1),
  };
  const chosen = commands[command];
  if (chosen === undefined) fail(USAGE);
  return chosen();
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
