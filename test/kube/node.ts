/**
 * One node: namespaces and cgroups of its own, in them containerd, kubelet and kube-proxy. Killing its first process is the
 * loss of the node with all its pods; starting it again is a machine that boots with its old disk.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { both, nodeAddress, nodeAddress6, nodeName, podsCidr, podsCidr6 } from './addresses.ts';
import { endCgroups, isVersion2, joining, makeCgroups } from './cgroups.ts';
import { type CommandInput, type CommandResult, must, run } from './command.ts';
import { proxyConfig } from './kube-proxy.ts';
import { joinNode } from './network.ts';
import { type CniMain, cniConfig, containerdConfig, kubeletConfig } from './node-config.ts';
import type { HostOptions } from './options.ts';
import { Part } from './parts.ts';
import type { Programs } from './program.ts';
import type { StatePaths } from './state.ts';

const START_MS = 30_000;
/** Where Debian's containernetworking-plugins puts them; a node has its own copy, to which others may be added. */
const PLUGINS = '/usr/lib/cni';
const CTR = ['ctr', '-a', '/run/containerd/containerd.sock', '-n', 'k8s.io'];

export interface NodeDeps {
  paths: StatePaths;
  programs: Programs;
  options: HostOptions;
  /** The cluster's. */
  cgroups: readonly string[];
}

export class Node {
  readonly name: string;
  readonly #deps: NodeDeps;
  readonly #index: number;
  readonly #folder: string;
  readonly #cgroups: string[];
  readonly #init: Part;
  #parts: Part[] = [];

  constructor(deps: NodeDeps, index: number) {
    this.name = nodeName(index);
    this.#deps = deps;
    this.#index = index;
    this.#folder = deps.paths.node(this.name);
    this.#cgroups = makeCgroups(deps.cgroups, this.name);
    this.#init = new Part({
      name: this.name,
      words: [
        ...['unshare', '-C', '-m', '-n', '-p', '-u', '--fork', '--kill-child'],
        ...['env', ...(isVersion2() ? ['CGROUP2=1'] : [])],
        ...['bash', join(import.meta.dir, 'node-init.sh'), this.name, this.#folder],
      ],
      cgroups: this.#cgroups,
      logs: deps.paths.logs,
      wrapped: true,
    });
  }

  /** The node itself first, then its programs. */
  get parts(): readonly Part[] {
    return [this.#init, ...this.#parts];
  }

  /** Up to a container runtime with the images; the API server need not be there yet. */
  async boot(): Promise<void> {
    const { paths, options } = this.#deps;
    const pidFile = join(this.#folder, 'init.pid');
    rmSync(pidFile, { force: true });
    // A machine that boots has no cgroups yet: the kubelet would spend three seconds on each container of the life before.
    await endCgroups(this.#cgroups);
    makeCgroups(this.#deps.cgroups, this.name);
    this.#writeFiles();
    this.#init.start();
    await this.#init.until(async () => existsSync(pidFile), { timeoutMs: START_MS, stepMs: 20 });
    await joinNode(options, { index: this.#index, count: options.nodes, pid: this.pid });
    const part = (name: string, words: string[]) =>
      new Part({
        name: `${this.name}/${name}`,
        words: [...this.#enter(), ...words],
        cgroups: this.#cgroups,
        logs: paths.logs,
        wrapped: true,
      });
    const { kube, images } = this.#deps.programs;
    const containerd = part('containerd', [
      'containerd',
      '-c',
      join(this.#folder, 'containerd.toml'),
    ]);
    const kubelet = part('kubelet', [
      ...[kube, 'kubelet', `--config=${join(this.#folder, 'kubelet.json')}`],
      `--kubeconfig=${join(paths.root, `${this.name}.kubeconfig`)}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.#addresses().join(',')}`,
      '--root-dir=/var/lib/kubelet',
      '--v=2',
    ]);
    const config = proxyConfig({ paths, options, folder: this.#folder });
    const proxy = part('kube-proxy', [
      ...[kube, 'kube-proxy', `--config=${config}`, `--hostname-override=${this.name}`],
    ]);
    this.#parts = [containerd, kubelet, proxy];
    containerd.start();
    const answers = async () => (await this.run([...CTR, 'version'])).code === 0;
    await containerd.until(answers, { timeoutMs: START_MS });
    await Promise.all(images.map((archive) => this.loadImage(archive)));
  }

  /** kubelet and kube-proxy, once the API server is ready. */
  join(): void {
    for (const part of this.#parts) if (part.status.state !== 'running') part.start();
  }

  get pid(): number {
    return nodePid(this.#deps.paths, this.name);
  }

  async loadImage(archive: string): Promise<void> {
    // Read here: the node's own /run hides what the host has there.
    await must([...this.#inside(), ...CTR, 'images', 'import', '-'], { input: { file: archive } });
  }

  run(words: readonly string[], options?: CommandInput): Promise<CommandResult> {
    return run([...this.#inside(), ...words], options);
  }

  #enter(): string[] {
    return enterNode(this.pid);
  }

  #inside(): string[] {
    return joining(this.#cgroups, this.#enter());
  }

  /** The one that it is known by first. */
  #addresses(): string[] {
    const { options } = this.#deps;
    const addresses = both(options, nodeAddress(this.#index), nodeAddress6(this.#index));
    return options.families === 'dual-ipv6-first' ? addresses.reverse() : addresses;
  }

  #writeFiles(): void {
    const { paths, options } = this.#deps;
    const write = (name: string, content: string) => {
      const path = join(this.#folder, name);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, content);
    };
    const subnets = both(options, podsCidr(this.#index), podsCidr6(this.#index));
    const main: CniMain = { type: options.cni, subnets };
    // What is mounted at /etc/cni/net.d and /opt/cni/bin. A machine that boots again has what was changed there.
    if (!existsSync(join(this.#folder, 'own'))) {
      write('own/etc/cni/net.d/10-tulle-test.conflist', cniConfig(main));
      cpSync(PLUGINS, join(this.#folder, 'own/opt/cni/bin'), { recursive: true });
    }
    write('containerd.toml', containerdConfig());
    const file = (name: string) => join(paths.certificates, name);
    write(
      'kubelet.json',
      kubeletConfig({
        authority: file('ca.crt'),
        certificate: file(`${this.name}.crt`),
        key: file(`${this.name}.key`),
      }),
    );
  }
}

/** A node's first process, as the host counts. */
export function nodePid(paths: StatePaths, node: string): number {
  return Number(readFileSync(join(paths.node(node), 'init.pid'), 'utf8'));
}

/** The words that enter every namespace of a node. */
export const enterNode = (pid: number): string[] => [
  ...['nsenter', '-t', String(pid), '-m', '-n', '-p', '-u', '-C', '--'],
];
