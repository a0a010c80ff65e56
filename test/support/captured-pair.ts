/**
 * Two captured pods in network namespaces of their own, a client and a server, and node proxies as processes from one static
 * file: for what happens when those are replaced. Needs root.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { Redirection } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { createTestCa } from './certificates.ts';
import { ROOT } from './lab.ts';
import { join, TestNamespace } from './namespaces.ts';

const CLIENT_IP = '198.18.250.2';
const SERVER_IP = '198.18.250.3';
export const SERVICE_IP = '198.18.251.1';
const PORTS = [8080, 8081, 8082];

export interface Program {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** Everything that it has written to both outputs. */
  output(): string;
  /** Resolves with the output once it contains the words; rejects when the program ends before. */
  says(words: string): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

export class CapturedPair implements AsyncDisposable {
  readonly client: TestNamespace;
  readonly server: TestNamespace;
  readonly #directory: string;
  readonly #redirections: Redirection[];
  readonly #programs: Program[] = [];

  private constructor(directory: string) {
    this.#directory = directory;
    this.client = new TestNamespace('client');
    this.server = new TestNamespace('server');
    join(
      { namespace: this.client, device: 'eth0', addresses: [`${CLIENT_IP}/24`] },
      { namespace: this.server, device: 'eth0', addresses: [`${SERVER_IP}/24`] },
    );
    this.client.ip('route', 'add', 'default', 'via', SERVER_IP);
    this.server.ip('route', 'add', 'default', 'via', CLIENT_IP);
    this.#redirections = [this.client, this.server].map(({ handle }) => new Redirection(handle));
    for (const redirection of this.#redirections) redirection.apply(DEFAULT_RULES);
  }

  static async make(): Promise<CapturedPair> {
    const pair = new CapturedPair(mkdtempSync(joinPath(tmpdir(), 'tulle-pair-')));
    await pair.#writeMesh();
    return pair;
  }

  get meshFile(): string {
    return joinPath(this.#directory, 'mesh.json');
  }

  /** The proxy of both pods; resolves when it is ready. */
  async startNode(environment: Record<string, string> = {}): Promise<Program> {
    const ports = ['admin', 'metrics', 'readiness'].flatMap((name) => [`--${name}-port`, '0']);
    const main = joinPath(ROOT, 'src/cli/main.ts');
    const words = [process.execPath, main, 'role', 'node', '--static', this.meshFile, ...ports];
    const node = this.start(words, environment);
    await node.says('ready admin=');
    return node;
  }

  start(words: readonly string[], environment: Record<string, string> = {}): Program {
    const child = Bun.spawn([...words], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, ...environment },
    });
    let text = '';
    const waiting = new Set<() => void>();
    const read = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        text += decoder.decode(chunk, { stream: true });
        for (const look of waiting) look();
      }
    };
    const over = Promise.all([read(child.stdout), read(child.stderr)]).then(() => child.exited);
    const program: Program = {
      pid: child.pid,
      exited: over,
      output: () => text,
      says(wanted) {
        const said = Promise.withResolvers<string>();
        const look = () => {
          if (!text.includes(wanted)) return;
          waiting.delete(look);
          said.resolve(text);
        };
        waiting.add(look);
        look();
        over.then((status) =>
          said.reject(new Error(`ended with ${status}, said:\n${text.slice(-4000)}`)),
        );
        return said.promise;
      },
      kill: (signal) => child.kill(signal),
    };
    this.#programs.push(program);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) program.kill('SIGKILL');
    await Promise.all(this.#programs.map(({ exited }) => exited));
    for (const redirection of this.#redirections) redirection.close();
    this.client[Symbol.dispose]();
    this.server[Symbol.dispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #writeMesh(): Promise<void> {
    const authority = await createTestCa();
    const service = 'shop/product.shop.svc.cluster.local';
    const mappings = PORTS.map((port) => ({ servicePort: port, targetPort: port }));
    const workload = (name: string, address: string) => ({
      namespace: 'shop',
      name,
      serviceAccount: name,
      addresses: [address],
      protocol: 'hbone',
    });
    const pod = async (name: string, netns: string) => {
      const identity = await authority.issue(`spiffe://cluster.local/ns/shop/sa/${name}`);
      const file = (kind: string, text: string) => {
        const path = joinPath(this.#directory, `${name}.${kind}`);
        writeFileSync(path, text, { mode: 0o600 });
        return path;
      };
      return {
        namespace: 'shop',
        name,
        serviceAccount: name,
        netns,
        listenAddress: '::',
        certificateFile: file('pem', identity.certificateChain),
        keyFile: file('key', identity.privateKey),
        rootFile: file('root', identity.trustBundle),
      };
    };
    const mesh = {
      workloads: [
        workload('web', CLIENT_IP),
        { ...workload('product', SERVER_IP), services: { [service]: mappings } },
      ],
      services: [
        {
          namespace: 'shop',
          name: 'product',
          addresses: [{ network: '', address: SERVICE_IP }],
          ports: mappings,
        },
      ],
      pods: [await pod('web', this.client.path), await pod('product', this.server.path)],
    };
    writeFileSync(this.meshFile, JSON.stringify(mesh));
  }
}
