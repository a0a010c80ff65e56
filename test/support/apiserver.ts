/** A real API server on port 0 and a temporary directory, with an admin's fetch and the real kubectl pointed at it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSchemaProvider } from '#apiserver/crd/provider.ts';
import { plainSchemas, type SchemaProvider } from '#apiserver/schema-provider.ts';
import { type ApiserverOptions, adminKubeconfig, startApiserver } from '#apiserver/server.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';

export interface TestApiserver {
  url: string;
  /** Its temporary directory: state, keys, kubeconfig. */
  directory: string;
  adminToken: string;
  /** JSON in, JSON out, as the admin unless a token is given ('' = anonymous). */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<CallAnswer>;
  raw(path: string, init?: RequestInit): Promise<Response>;
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** Runs until killed or done; its standard output can be read as it comes. */
  startKubectl(args: readonly string[], options?: KubectlOptions): KubectlProcess;
  stop(): Promise<void>;
}

export type KubectlProcess = Bun.Subprocess<Blob, 'pipe', 'pipe'>;

export interface CallOptions {
  contentType?: string;
  accept?: string;
  token?: string;
}

export interface CallAnswer {
  code: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into arbitrary objects.
  body: any;
  headers: Headers;
}

export interface KubectlOptions {
  stdin?: string;
  env?: Record<string, string>;
}

export interface KubectlResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface TestApiserverOptions extends Partial<ApiserverOptions> {
  /** False: no schemas, which starts at once. */
  schemas?: boolean;
}

export async function startTestApiserver(
  options: TestApiserverOptions = {},
): Promise<TestApiserver> {
  const { schemas: withSchemas = true, ...rest } = options;
  const directory = mkdtempSync(join(tmpdir(), 'tulle-apiserver-'));
  const schemas: SchemaProvider = withSchemas ? createSchemaProvider() : plainSchemas;
  const server = await startApiserver(
    {
      dataDir: directory,
      listen: [{ address: '127.0.0.1', port: 0 }],
      serviceCidr: '198.19.0.0/17',
      names: [],
      kubeletUrlTemplate: 'unix:/nowhere/{node}',
      ...rest,
    },
    { clock: systemClock, random: systemRandom, log: silentLogger, schemas },
  );
  const url = `https://127.0.0.1:${server.addresses[0].port}`;
  const { adminToken, caCertificate: ca } = server.keys;
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(adminKubeconfig(server.keys, url)), { mode: 0o600 });
  const raw = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${adminToken}`, ...(init.headers as object) },
      tls: { ca },
    });
  const startKubectl = (args: readonly string[], { stdin = '', env = {} }: KubectlOptions = {}) =>
    Bun.spawn(['kubectl', `--kubeconfig=${kubeconfig}`, ...args], {
      env: { PATH: process.env.PATH ?? '', HOME: directory, ...env },
      stdin: new Blob([stdin]),
      stdout: 'pipe',
      stderr: 'pipe',
    });
  return {
    url,
    directory,
    adminToken,
    raw,
    async call(method, path, body, { contentType, accept, token } = {}) {
      const headers: Record<string, string> = {
        'content-type': contentType ?? 'application/json',
        accept: accept ?? 'application/json',
      };
      if (token !== '') headers.authorization = `Bearer ${token ?? adminToken}`;
      const answer = await fetch(`${url}${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        tls: { ca },
      });
      const text = await answer.text();
      const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false;
      return {
        code: answer.status,
        body: isJson ? JSON.parse(text) : text,
        headers: answer.headers,
      };
    },
    startKubectl,
    async kubectl(args, options) {
      const child = startKubectl(args, options);
      const [stdout, stderr, exitCode] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      return { exitCode, stdout, stderr };
    },
    async stop() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Polls until `check` gives something else than undefined; the test's own time limit ends it. */
export async function until<T>(check: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const value = await check();
    if (value !== undefined) return value;
    await Bun.sleep(10);
  }
}
