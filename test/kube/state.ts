/**
 * The folder of one cluster (certificates, databases, logs, sockets) and its record: who runs it. Claimed by a rename,
 * so of two starts with one name one wins; a record whose process is gone is stale, and swept.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning, processStart } from '#lab/launcher/process-identity.ts';
import { clusterCgroups } from './cgroups.ts';

/** Kept short: the name is part of cgroups, namespaces and paths of unix sockets. */
const NAME = /^[a-z][a-z0-9-]{0,23}$/;

export interface ClusterRecord {
  name: string;
  /** The process that holds the cluster, and when it started. */
  pid: number;
  start: string;
  nodes: number;
  /** The cluster's folder in each cgroup hierarchy. */
  cgroups: string[];
}

export interface StatePaths {
  root: string;
  record: string;
  /** For programs on the host: https://127.0.0.1:PORT. */
  kubeconfig: string;
  /** For programs in the control plane's namespace. */
  insideKubeconfig: string;
  certificates: string;
  logs: string;
  control: string;
  /** What a node has of its own. */
  node(name: string): string;
}

export function statePaths(name: string): StatePaths {
  if (!NAME.test(name))
    throw new Error(`cluster name ${JSON.stringify(name)} does not match ${NAME}`);
  const root = join(stateRoot(), name);
  return {
    root,
    record: join(root, 'cluster.json'),
    kubeconfig: join(root, 'kubeconfig'),
    insideKubeconfig: join(root, 'admin.kubeconfig'),
    certificates: join(root, 'pki'),
    logs: join(root, 'log'),
    control: join(root, 'control.sock'),
    node: (node) => join(root, 'nodes', node),
  };
}

/** What its holder says; stays for reading when it could not start. */
export const hostLog = (name: string): string => join(stateRoot(), `${name}.log`);

/** The logs of the parts of one that could not start. */
export const failedLogs = (name: string): string => join(stateRoot(), `${name}.failed`);

export const stateRoot = (): string => join(tmpdir(), 'tulle-kube');

/** The network namespace of the control plane, below /run/netns. */
export const namespaceName = (name: string): string => `tulle-kube-${name}`;

export function readRecord(name: string): ClusterRecord | undefined {
  const { record } = statePaths(name);
  return existsSync(record)
    ? (JSON.parse(readFileSync(record, 'utf8')) as ClusterRecord)
    : undefined;
}

export function isAlive(record: ClusterRecord | undefined): record is ClusterRecord {
  return record !== undefined && isRunning(record.pid, record.start);
}

/** Takes the name for this process. Throws when somebody has it, also somebody dead: sweep first. */
export function claim(name: string, nodes: number): ClusterRecord {
  const paths = statePaths(name);
  const start = processStart(process.pid);
  if (start === undefined) throw new Error('cannot read the start time of this process');
  const record = { name, pid: process.pid, start, nodes, cgroups: clusterCgroups(name) };
  const next = `${paths.root}.new-${process.pid}`;
  mkdirSync(next, { recursive: true, mode: 0o700 });
  writeFileSync(join(next, 'cluster.json'), JSON.stringify(record satisfies ClusterRecord));
  try {
    renameSync(next, paths.root);
  } catch (error) {
    rmSync(next, { recursive: true });
    throw new Error(`a cluster named ${name} exists (${paths.root})`, { cause: error });
  }
  for (const folder of [paths.certificates, paths.logs]) mkdirSync(folder);
  return record;
}

/** Names of all clusters that have a folder, running or not. */
export function clusterNames(): string[] {
  if (!existsSync(stateRoot())) return [];
  const entries = readdirSync(stateRoot(), { withFileTypes: true });
  return entries
    .filter((each) => each.isDirectory() && NAME.test(each.name))
    .map((each) => each.name);
}
