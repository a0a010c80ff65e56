/** What is measured: a subject starts its processes for a case and the bench samples them by pid. */
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { inNamespace } from '../topology.ts';

export interface Certificates {
  principal: string;
  chainFile: string;
  keyFile: string;
  rootFile: string;
}

export interface BenchContext {
  /** Scratch directory of this run. */
  readonly directory: string;
  /** Where the origin (nginx, 100-byte answer) listens: in the server namespace and on loopback. */
  readonly originPort: number;
  certificates(): Promise<{ client: Certificates; server: Certificates }>;
  nextBaseId(): number;
  /** Ended after the case. */
  readonly children: Bun.Subprocess[];
}

export interface Subject {
  readonly name: string;
  /** Who puts the capture rules in place, the same for all; undefined for none (`direct`). */
  readonly capture: 'own' | 'bench' | undefined;
  /** An HBONE pair: capture on port 15001 in the client namespace, 15008 in the server namespace. Pids to sample. */
  startL4?(context: BenchContext): Promise<number[]>;
  /** A plain HTTP proxy on 127.0.0.1:`port` before the origin, with a table of `routes` routes. */
  startL7?(context: BenchContext, options: { port: number; routes: number }): Promise<number[]>;
}

export interface StartOptions {
  name: string;
  command: readonly string[];
  /** Namespace in which `port` must accept before the subject counts as started. */
  namespace?: string;
  port: number;
  environment?: Record<string, string>;
}

const START_TIMEOUT_MS = 10_000;

/** Starts a process, waits until its port accepts, returns its pid. Output goes to NAME.log in the scratch directory. */
export async function startProcess(context: BenchContext, options: StartOptions): Promise<number> {
  const logFile = join(context.directory, `${options.name}.log`);
  const log = openSync(logFile, 'a');
  const child = Bun.spawn([...options.command], {
    stdin: 'ignore',
    stdout: log,
    stderr: log,
    env: { ...process.env, ...options.environment },
  });
  context.children.push(child);
  const deadline = systemClock.now() + START_TIMEOUT_MS;
  while (!(await accepts(options))) {
    if (child.exitCode !== null || systemClock.now() > deadline) {
      const tail = readFileSync(logFile, 'utf8').split('\n').slice(-8).join('\n');
      throw new MeshError(
        'BENCH_SUBJECT_FAILED',
        `${options.name} did not listen on ${options.port}: ${tail}`,
        { side: 'self', hint: `read ${logFile}` },
      );
    }
    await sleep(systemClock, 50);
  }
  return child.pid;
}

/** True when the port is in LISTEN state in that namespace (ss, iproute2): no connection is made. */
async function accepts(options: StartOptions): Promise<boolean> {
  const list = ['ss', '-Hltn', `sport = :${options.port}`];
  const child = Bun.spawn(options.namespace ? inNamespace(options.namespace, list) : list, {
    stdout: 'pipe',
    stderr: 'ignore',
  });
  const [text] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  return text.trim() !== '';
}
