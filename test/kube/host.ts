/**
 * The process that holds one cluster: starts its parts in order, keeps them as its children, answers on a unix socket,
 * gives load balancers their addresses. When whoever started it goes away before it was let go, or on SIGTERM, it takes
 * everything down; when it is killed itself, the guardian does.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { RestClient } from '#kube/client/rest-client.ts';
import { both, CONTROL_PLANE, podsCidr, podsCidr6 } from './addresses.ts';
import { writeCertificates, writeKubeconfig } from './certificates.ts';
import { makeCgroups } from './cgroups.ts';
import * as controlPlane from './control-plane.ts';
import { applyDnsObjects, dnsServer } from './dns.ts';
import { balanceServices } from './load-balancers.ts';
import { inControlPlane, makeControlPlaneNetwork, namespacePath } from './network.ts';
import { Node } from './node.ts';
import type { HostOptions } from './options.ts';
import { Part, type PartStatus } from './parts.ts';
import { buildPrograms, type Programs } from './program.ts';
import { claim, failedLogs, type StatePaths, statePaths } from './state.ts';
import { removeCluster, sweepCommand, sweepLocked } from './sweep.ts';

const START_MS = 60_000;
const NODE_READY_MS = 60_000;

interface NodeObject {
  status?: { conditions?: { type: string; status: string; lastHeartbeatTime: string }[] };
}

export class ClusterHost {
  readonly #options: HostOptions;
  readonly #progress: (text: string) => void;
  readonly #nodes: Node[] = [];
  readonly #controlPlane: Part[] = [];
  #paths!: StatePaths;
  #cgroups: readonly string[] = [];
  #programs!: Programs;
  #client!: KubeClient;
  #guardian: Bun.Subprocess | undefined;
  #stopBalancing: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: HostOptions, progress: (text: string) => void) {
    this.#options = options;
    this.#progress = progress;
  }

  async start(): Promise<void> {
    const { name, nodes } = this.#options;
    this.#programs = await buildPrograms(this.#progress);
    await sweepLocked(name);
    this.#paths = statePaths(name);
    this.#cgroups = claim(name, nodes).cgroups;
    this.#guardian = startGuardian(name);
    await Promise.all([
      writeCertificates(this.#paths, nodes),
      makeControlPlaneNetwork(this.#options),
    ]);
    this.#progress('certificates and network made');
    const deps = {
      paths: this.#paths,
      programs: this.#programs,
      options: this.#options,
      cgroups: this.#cgroups,
    };
    for (let index = 1; index <= nodes; index++) this.#nodes.push(new Node(deps, index));
    const booting = this.#nodes.map((node) => node.boot());
    await Promise.all([this.#startApi(), ...booting]);
    await Promise.all([this.#untilPodsCanBeMade(), nodes > 0 ? this.#startServices() : undefined]);
  }

  async #startApi(): Promise<void> {
    const { kube, app } = this.#programs;
    const add = (words: string[]) =>
      this.#add(words[0], [...inControlPlane(this.#options.name), kube, ...words]);
    add(controlPlane.etcd(this.#paths)).start();
    const api = add(controlPlane.apiServer(this.#paths, this.#options));
    api.start();
    const target = `${CONTROL_PLANE}:${controlPlane.API_PORT}`;
    const relay = this.#add('relay', [
      app,
      'relay',
      '127.0.0.1:0',
      namespacePath(this.#options.name),
      target,
    ]);
    relay.start();
    await this.#connect(relay);
    await api.until(() => this.#isReady(), { timeoutMs: START_MS });
    this.#progress('API server ready');
    add(controlPlane.controllerManager(this.#paths, this.#options)).start();
    if (this.#options.nodes > 0) add(controlPlane.scheduler(this.#paths)).start();
  }

  /** A pod needs the service account of its namespace, which the controller manager makes. */
  async #untilPodsCanBeMade(): Promise<void> {
    const account = { namespace: 'default', name: 'default' };
    const exists = async () => (await this.#get(RESOURCES.serviceAccounts, account)) !== undefined;
    await this.#part('kube-controller-manager').until(exists, { timeoutMs: START_MS });
    this.#progress('controllers work');
  }

  /** Writes the host's kubeconfig as soon as the relay has its port. */
  async #connect(relay: Part): Promise<void> {
    let port = '';
    const listens = async () => {
      port = /^127\.0\.0\.1:(\d+)$/m.exec(readFileSync(relay.logPath, 'utf8'))?.[1] ?? '';
      return port !== '';
    };
    await relay.until(listens, { timeoutMs: START_MS, stepMs: 10 });
    const { kubeconfig, certificates } = this.#paths;
    const admin = JSON.parse(readFileSync(join(certificates, 'admin.json'), 'utf8'));
    writeKubeconfig(kubeconfig, { server: `https://127.0.0.1:${port}`, ...admin });
    this.#client = new RestClient(
      { fetch: (url, init) => fetch(url, init) },
      loadKubeconfig(kubeconfig),
    );
  }

  async #startServices(): Promise<void> {
    const { name } = this.#options;
    const add = (words: string[]) =>
      this.#add(words[0], [...inControlPlane(name), this.#programs.kube, ...words]);
    const joining = this.#nodes.map((node) => this.#joinNode(node));
    await applyDnsObjects(this.#client);
    add(dnsServer(this.#paths)).start();
    this.#stopBalancing = balanceServices(this.#client, (error) => console.error(error));
    await Promise.all(joining);
    // It asks for the node whose eyes it has, and would wait long for one that is not there yet.
    add(controlPlane.controlPlaneProxy(this.#paths, this.#options)).start();
    this.#progress('nodes ready');
  }

  async #joinNode(node: Node): Promise<void> {
    // The API has whole seconds.
    const sinceMs = Math.floor(systemClock.wallTime() / 1000) * 1000;
    node.join();
    await this.#untilReady(node, sinceMs);
  }

  /** What was reported before `sinceMs` (wall time) is of a node's life before this one. */
  async #untilReady(node: Node, sinceMs: number): Promise<void> {
    const [init] = node.parts;
    const isReady = async () => {
      const object = (await this.#get(RESOURCES.nodes, { name: node.name })) as
        | NodeObject
        | undefined;
      const ready = object?.status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' && Date.parse(ready.lastHeartbeatTime) >= sinceMs;
    };
    await init.until(isReady, { timeoutMs: NODE_READY_MS, stepMs: 100 });
    const index = this.#nodes.indexOf(node) + 1;
    const cidrs = both(this.#options, podsCidr(index), podsCidr6(index));
    const spec = { podCIDR: cidrs[0], podCIDRs: cidrs };
    const patch = { type: 'merge', body: { spec } } as const;
    await this.#client.patch(RESOURCES.nodes, { name: node.name }, patch);
  }

  #add(name: string, words: string[]): Part {
    const cgroups = makeCgroups(this.#cgroups, 'control-plane');
    const part = new Part({ name, words, cgroups, logs: this.#paths.logs });
    this.#controlPlane.push(part);
    return part;
  }

  async #isReady(): Promise<boolean> {
    return this.#client.request('GET', '/readyz').then(
      () => true,
      () => false,
    );
  }

  /** Undefined also while the API server does not answer. */
  #get(...args: Parameters<KubeClient['get']>): Promise<unknown> {
    return this.#client.get(...args).catch(() => undefined);
  }

  get parts(): PartStatus[] {
    const parts = [...this.#controlPlane, ...this.#nodes.flatMap((node) => node.parts)];
    return parts.map((part) => part.status);
  }

  async stopPart(name: string): Promise<void> {
    await this.#part(name).stop();
  }

  async killPart(name: string): Promise<void> {
    await this.#part(name).kill();
  }

  /** A node comes back with all its programs, and is awaited. */
  async startPart(name: string): Promise<void> {
    const node = this.#nodes.find((each) => each.name === name);
    if (node === undefined) {
      this.#part(name).start();
      return;
    }
    await node.boot();
    await this.#joinNode(node);
  }

  #part(name: string): Part {
    const parts = [...this.#controlPlane, ...this.#nodes.flatMap((node) => node.parts)];
    const part = parts.find((each) => each.name === name);
    if (part === undefined)
      throw new Error(`no part ${name}; there are ${parts.map((each) => each.name).join(', ')}`);
    return part;
  }

  async loadImage(archive: string): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.loadImage(archive)));
  }

  node(name: string): Node {
    const node = this.#nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Saves the logs of a start that failed from what `stop` removes. */
  keepLogs(): void {
    // One that was ended meanwhile did not fail.
    if (this.#guardian === undefined || this.#stopping !== undefined) return;
    const kept = failedLogs(this.#options.name);
    rmSync(kept, { recursive: true, force: true });
    cpSync(this.#paths.logs, kept, { recursive: true });
  }

  /** Takes everything down; resolves when nothing is left. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#stopBalancing?.();
    if (this.#guardian === undefined) return;
    await removeCluster(this.#options.name);
    // Last: until here it would have finished the work.
    this.#guardian.kill('SIGKILL');
    await this.#guardian.exited;
  }
}

/** Sweeps when this process dies: reads from a pipe whose other end nobody else has. */
function startGuardian(name: string): Bun.Subprocess {
  const script = 'cat >/dev/null; exec "$@"';
  return Bun.spawn(['sh', '-c', script, 'guardian', ...sweepCommand(name)], {
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    // In a session of its own: what ends this process's group does not end it.
    detached: true,
  });
}
