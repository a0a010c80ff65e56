/**
 * A real Kubernetes cluster for tests, in namespaces of its own. `startCluster` holds one for as long as this process
 * lives; `openCluster` speaks to one that runs, whoever started it. README.md in this folder says how it is made.
 */
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { isRunning } from '#lab/launcher/process-identity.ts';
import { joining, makeCgroups } from './cgroups.ts';
import { type CommandInput, type CommandResult, run } from './command.ts';
import { DETACH, type HostEvent } from './host-events.ts';
import { inControlPlane } from './network.ts';
import { enterNode, nodePid } from './node.ts';
import { type ClusterOptions, withDefaults } from './options.ts';
import type { PartStatus } from './parts.ts';
import { environment, whyNoCluster, whyTooMany } from './preflight.ts';
import {
  type ClusterRecord,
  failedLogs,
  hostLog,
  isAlive,
  readRecord,
  statePaths,
  stateRoot,
} from './state.ts';
import { sweepLocked } from './sweep.ts';

export type { CommandInput, CommandResult } from './command.ts';
export { APP_IMAGE } from './images.ts';
export type { ClusterOptions } from './options.ts';
export type { PartStatus } from './parts.ts';
export { missingCluster, whyNoCluster } from './preflight.ts';

const MAIN = join(import.meta.dir, 'main.ts');
/** How long the holder may take to be gone after it was told. */
const DOWN_MS = 60_000;
const STEP_MS = 20;
/** Over websockets one exec in some hundreds came back empty from containerd 1.6; SPDY has no such case. */
const KUBECTL = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' };

export class KubeCluster implements AsyncDisposable {
  readonly name: string;
  /** For programs on the host: the API server behind a relay on a loopback port. */
  readonly kubeconfig: string;
  /** For programs in the control plane's namespace (`inControlPlane`). */
  readonly insideKubeconfig: string;
  /** One file a part. */
  readonly logs: string;
  readonly #record: ClusterRecord;

  constructor(record: ClusterRecord) {
    const { kubeconfig, insideKubeconfig, logs } = statePaths(record.name);
    this.name = record.name;
    this.kubeconfig = kubeconfig;
    this.insideKubeconfig = insideKubeconfig;
    this.logs = logs;
    this.#record = record;
  }

  /** kubectl in the control plane's network namespace, as cluster-admin. */
  kubectl(args: readonly string[], options: CommandInput = {}): Promise<CommandResult> {
    return this.inControlPlane(['kubectl', ...args], options);
  }

  /** From there nodes, pods, Services and load balancers can be reached. KUBECONFIG is set. */
  inControlPlane(words: readonly string[], options: CommandInput = {}): Promise<CommandResult> {
    const env = { KUBECONFIG: this.insideKubeconfig, ...KUBECTL, ...options.env };
    return run(this.controlPlaneCommand(words), { ...options, env });
  }

  controlPlaneCommand(words: readonly string[]): string[] {
    return [...inControlPlane(this.name), ...words];
  }

  /** In all namespaces and cgroups of a node (`n1`, `n2`). */
  inNode(node: string, words: readonly string[], options?: CommandInput): Promise<CommandResult> {
    return run(this.nodeCommand(node, words), options);
  }

  nodeCommand(node: string, words: readonly string[]): string[] {
    const pid = nodePid(statePaths(this.name), node);
    return joining(makeCgroups(this.#record.cgroups, node), [...enterNode(pid), ...words]);
  }

  /** A docker or OCI archive, onto every node. Pods name it with imagePullPolicy Never or IfNotPresent. */
  async loadImage(archive: string): Promise<void> {
    await this.#order('POST', `/images?archive=${encodeURIComponent(resolve(archive))}`);
  }

  async parts(): Promise<PartStatus[]> {
    return (await this.#order('GET', '/parts')) as PartStatus[];
  }

  /**
   * `etcd`, `kube-apiserver`, …, `n1/kubelet`, or `n1` for a whole node: SIGTERM, and SIGKILL if that takes long.
   * A node's programs end with it, its pods too.
   */
  async stopPart(part: string): Promise<void> {
    await this.#order('POST', `/parts/stop?name=${part}`);
  }

  async killPart(part: string): Promise<void> {
    await this.#order('POST', `/parts/kill?name=${part}`);
  }

  /** Resolves when the process runs; for a node, when it is Ready. */
  async startPart(part: string): Promise<void> {
    await this.#order('POST', `/parts/start?name=${part}`);
  }

  /** Resolves when nothing of it is left. */
  async down(): Promise<void> {
    await stopCluster(this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  async #order(method: string, path: string): Promise<unknown> {
    const unix = statePaths(this.name).control;
    const response = await fetch(`http://cluster${path}`, {
      method,
      unix,
      timeout: false,
    } as RequestInit);
    if (!response.ok) throw new Error(`cluster ${this.name}: ${await response.text()}`);
    return response.json();
  }
}

export interface StartOptions extends ClusterOptions {
  /** It shall live on when this process has ended, until `down`. */
  detached?: boolean;
  progress?: (text: string) => void;
}

/** Resolves when every node is Ready. */
export async function startCluster(options: StartOptions): Promise<KubeCluster> {
  const why = whyNoCluster() ?? whyTooMany();
  if (why !== undefined) throw new Error(why);
  const { detached = false, progress = () => undefined, ...rest } = options;
  const { name } = rest;
  statePaths(name);
  if (isAlive(readRecord(name))) throw new Error(`cluster ${name} runs already`);
  mkdirSync(stateRoot(), { recursive: true, mode: 0o700 });
  const log = openSync(hostLog(name), 'w');
  const host = Bun.spawn([process.execPath, MAIN, 'host', JSON.stringify(withDefaults(rest))], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: log,
    env: environment(),
    // A terminal's Ctrl-C ends the starter; the holder then hears of it and takes the cluster down in order.
    detached: true,
  });
  closeSync(log);
  await untilReady(host.stdout, progress, name);
  if (detached) {
    host.stdin.write(`${DETACH}\n`);
    await host.stdin.end();
  }
  host.unref();
  return openCluster(name);
}

async function untilReady(
  output: ReadableStream<Uint8Array>,
  progress: (text: string) => void,
  name: string,
): Promise<void> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const event = JSON.parse(line) as HostEvent;
      if (event.event === 'ready') return;
      if (event.event === 'failed') throw new Error(`cluster ${name}: ${event.message}`);
      progress(event.text);
    }
  }
  throw new Error(`the process that holds cluster ${name} ended (log: ${hostLog(name)})`);
}

/** One that runs. */
export function openCluster(name: string): KubeCluster {
  const record = readRecord(name);
  if (!isAlive(record)) throw new Error(`no cluster ${name} runs`);
  return new KubeCluster(record);
}

/** Ends it, or what is left of it. False when there was nothing. */
export async function stopCluster(name: string): Promise<boolean> {
  const record = readRecord(name);
  if (isAlive(record)) {
    process.kill(record.pid, 'SIGTERM');
    const deadline = systemClock.now() + DOWN_MS;
    while (isRunning(record.pid, record.start) && systemClock.now() < deadline)
      await sleep(systemClock, STEP_MS);
    if (isRunning(record.pid, record.start)) process.kill(record.pid, 'SIGKILL');
  }
  await sweepLocked(name);
  for (const path of [hostLog(name), failedLogs(name)])
    rmSync(path, { recursive: true, force: true });
  return record !== undefined;
}
