/**
 * A bare machine beside a cluster: a network namespace on the bridge of its nodes, that knows nothing of Kubernetes. It runs an HTTP app
 * on 8080 that is for the mesh and one on 9090 that is nobody's business but its administrator's.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { type CommandResult, ROOT, run } from './lab.ts';
import { TestNamespace } from './namespaces.ts';

/** Of labs and of test clusters alike: API server, name server, the way to everything. */
const FABRIC = '198.18.255.1';
export const API_SERVER = `https://${FABRIC}:6443`;

export interface MachinePlace {
  /** The command line that runs a command in the network that the nodes hang on. */
  readonly enter: (command: readonly string[]) => string[];
  readonly bridge: string;
  /** Its text; the server is API_SERVER. */
  readonly kubeconfig: string;
  /** Of 198.18.255.0/24. */
  readonly host: number;
  readonly nodes: number;
}

export interface JoinProcess {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** Everything it said so far. */
  output(): string;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export class BareMachine implements AsyncDisposable {
  readonly address: string;
  readonly namespace = new TestNamespace('machine');
  readonly #directory = mkdtempSync(joinPath(tmpdir(), 'tulle-machine-'));
  readonly #kubeconfig: string;
  readonly #children: Bun.Subprocess[] = [];

  constructor({ enter, bridge, kubeconfig, host, nodes }: MachinePlace) {
    this.address = `198.18.255.${host}`;
    const link = `machine${host}`;
    for (const words of [
      ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.namespace.name],
      ['link', 'set', link, 'master', bridge, 'up'],
    ]) {
      const done = Bun.spawnSync(enter(['ip', ...words]), { stderr: 'pipe' });
      if (!done.success) throw new Error(`ip ${words.join(' ')}: ${done.stderr}`);
    }
    const { namespace } = this;
    namespace.ip('address', 'add', `${this.address}/24`, 'dev', 'eth0');
    namespace.ip('link', 'set', 'eth0', 'up');
    namespace.ip('route', 'add', 'default', 'via', FABRIC);
    for (let node = 1; node <= nodes; node++) {
      namespace.ip('route', 'add', `198.18.${node}.0/24`, 'via', `198.18.255.${10 + node}`);
    }
    this.#kubeconfig = joinPath(this.#directory, 'kubeconfig');
    writeFileSync(this.#kubeconfig, kubeconfig, { mode: 0o600 });
    writeFileSync(joinPath(this.#directory, 'resolv.conf'), `nameserver ${FABRIC}\n`);
    for (const port of ['8080', '9090']) {
      this.#spawn(['role', 'sample', 'http'], { PORT: port, SERVICE: `machine-${port}` });
    }
  }

  join(...flags: string[]): JoinProcess {
    const state = joinPath(this.#directory, 'state');
    const common = ['--kubeconfig', this.#kubeconfig, '--state-dir', state];
    const child = this.#spawn(['join', ...common, ...flags], {});
    let text = '';
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) text += Buffer.from(chunk).toString();
    };
    void read(child.stdout);
    void read(child.stderr);
    return {
      pid: child.pid,
      exited: child.exited,
      output: () => text,
      kill: (signal) => child.kill(signal),
    };
  }

  /** Ends at once: `tulle join --clean`. */
  clean(): Promise<CommandResult> {
    return run(this.namespace.inside([joinPath(ROOT, 'tulle'), 'join', '--clean']));
  }

  /** What the URL answers a program on the machine; its name server is the lab's. */
  async curl(url: string): Promise<string> {
    const script = 'mount --bind "$1" /etc/resolv.conf && exec curl -s -m 3 -w "%{http_code}" "$2"';
    const resolvConf = joinPath(this.#directory, 'resolv.conf');
    const inside = ['unshare', '--mount', 'sh', '-c', script, 'curl', resolvConf, url];
    return (await run(this.namespace.inside(inside))).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#children.map((child) => child.exited));
    // The kernel closes sockets of a killed process a moment later.
    await sleep(systemClock, 50);
    this.namespace[Symbol.dispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #spawn(words: readonly string[], env: Record<string, string>) {
    const child = Bun.spawn(this.namespace.inside([joinPath(ROOT, 'tulle'), ...words]), {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, ...env },
    });
    this.#children.push(child);
    return child;
  }
}
