/** An outside ztunnel (a binary named by the variable ZTUNNEL; never built or fetched here) in a pod's namespace. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingFor } from '#test/support/lab.ts';
import { lineWith } from './apps.ts';

export const binary = process.env.ZTUNNEL ?? '';
/** Why the suites against it cannot run. Not a failure in CI: the binary is another project's and is never fetched here. */
export const missing =
  binary === '' ? 'ZTUNNEL names no ztunnel binary' : missingFor({ programs: ['ip'], root: true });
if (missing !== undefined) console.error(`SKIPPED: tests against an outside ztunnel (${missing})`);

export interface ZtunnelOptions {
  binary: string;
  /** Undefined: the host's namespace (shared mode). */
  netns: string | undefined;
  directory: string;
  rootPem: string;
  token: string;
  environment: Record<string, string>;
}

export interface ZtunnelProcess {
  /** Everything it printed so far. */
  readonly output: () => string;
  /** It says so; rejects with its output when it ends instead. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

export async function startZtunnel(options: ZtunnelOptions): Promise<ZtunnelProcess> {
  const { binary, netns, directory, rootPem, token } = options;
  const rootFile = join(directory, 'root.pem');
  const tokenFile = join(directory, 'token');
  writeFileSync(rootFile, rootPem);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const inside = netns === undefined ? [] : ['ip', 'netns', 'exec', netns];
  const child = Bun.spawn([...inside, binary, 'proxy', 'ztunnel'], {
    cwd: directory,
    stdout: 'pipe',
    stderr: 'pipe',
    env: {
      PATH: process.env.PATH ?? '',
      RUST_LOG: 'info,access=debug',
      CLUSTER_ID: 'Kubernetes',
      ISTIO_META_CLUSTER_ID: 'Kubernetes',
      XDS_ADDRESS: 'https://localhost:15012',
      CA_ADDRESS: 'https://localhost:15012',
      XDS_ROOT_CA: rootFile,
      CA_ROOT_CA: rootFile,
      AUTH_TOKEN: tokenFile,
      PACKET_MARK: '1337',
      ZTUNNEL_WORKER_THREADS: '1',
      ...options.environment,
    },
  });
  let output = '';
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  void collect(child.stdout);
  void collect(child.stderr);
  return {
    output: () => output,
    async ready() {
      const ended = child.exited.then(() => {
        throw new Error(output);
      });
      await Promise.race([lineWith(() => output, 'marking server ready'), ended]);
    },
    async stop() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
