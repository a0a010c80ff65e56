/** What is measured: a subject starts its processes for a case and the bench samples them by pid. */
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { inNamespace, type Star, type StarPod } from '../topology.ts';

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
  /** From a CA of their own at each call, in the order of the names. */
  certificates(names: readonly string[]): Promise<Certificates[]>;
  nextBaseId(): number;
  /** Ended after the case. */
  readonly children: Bun.Subprocess[];
}

export interface PairOptions {
  /** Captured pods that each process serves; the load uses one of them. Peers without shared proxies serve one. */
  pods: number;
}

/** What comes from the client and what goes to the origin: HTTP/1.1, HTTP/2 to HTTP/1.1, HTTP/2 all the way with gRPC. */
export type L7Protocol = 'h1' | 'h2' | 'grpc';

export interface L7Options {
  port: number;
  /** Size of the table; the last route takes all, the others none of the load's requests. */
  routes: number;
  protocol: L7Protocol;
}

export interface Subject {
  readonly name: string;
  /** Connections one process can hold; as many as the load wants where it is left out. */
  readonly connectionsMax?: number;
  /** A peer that is not is left out. */
  installed(): boolean;
  /** Who puts the capture rules in place, the same for all; undefined for none (`direct`). */
  readonly capture: 'own' | 'bench' | undefined;
  /** An HBONE pair: capture on port 15001 in the client namespace, 15008 in the server namespace. Pids to sample. */
  startL4?(context: BenchContext, options: PairOptions): Promise<number[]>;
  /** A plain HTTP proxy on 127.0.0.1:`port` before the origin. */
  startL7?(context: BenchContext, options: L7Options): Promise<number[]>;
  /** What serves all of these pods, which are of one node. Pids to sample. */
  startStar?(context: BenchContext, pods: readonly StarPod[]): Promise<number[]>;
  /** The whole way of a request from pod to pod, mTLS between them. */
  startPath?(context: BenchContext, star: Star): Promise<{ pids: number[]; url: string }>;
}

export interface StartOptions {
  name: string;
  command: readonly string[];
  /** Namespace in which `port` must accept before the subject counts as started. */
  namespace?: string;
  port: number;
  environment?: Record<string, string>;
  /** For processes that prepare much before they listen. */
  timeoutMs?: number;
}

const START_TIMEOUT_MS = 10_000;

/** Starts a process, waits until its port accepts. Output goes to NAME.log in the scratch directory. */
export async function startProcess(
  context: BenchContext,
  options: StartOptions,
): Promise<Bun.Subprocess> {
  const logFile = join(context.directory, `${options.name}.log`);
  const log = openSync(logFile, 'a');
  const child = Bun.spawn([...options.command], {
    stdin: 'ignore',
    stdout: log,
    stderr: log,
    env: { ...process.env, ...options.environment },
  });
  context.children.push(child);
  const deadline = systemClock.now() + (options.timeoutMs ?? START_TIMEOUT_MS);
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
  return child;
}

export function startL4(
  subject: Subject,
  context: BenchContext,
  options: PairOptions,
): Promise<number[]> {
  if (subject.startL4 === undefined) throw noPart(subject, 'the L4 cases');
  return subject.startL4(context, options);
}

/** Not a failure: the peer is left out of the case. */
export function noPart(subject: Subject, what: string): MeshError {
  return new MeshError('BENCH_NO_PART', `${subject.name} has no part in ${what}: left out`, {
    side: 'self',
    hint: 'name another peer in --against',
  });
}

export async function endAll(children: readonly Bun.Subprocess[]): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => child.exited));
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
