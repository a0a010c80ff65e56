/**
 * One long-running program of a cluster: started in its cgroups with its log, stopped, killed, started again. A part
 * that ends by itself is remembered with how.
 */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { joining } from './cgroups.ts';
import { environment } from './preflight.ts';

/** How long a part may take to end after SIGTERM before it is killed. */
const STOP_MS = 15_000;
const LAST_LINES = 5;

export interface PartOptions {
  name: string;
  /** The command line, namespaces entered by its first words. */
  words: readonly string[];
  cgroups: readonly string[];
  logs: string;
  /** The first word is a program that waits for its only child, which is the part (`nsenter` into a PID namespace). */
  wrapped?: boolean;
}

export interface PartStatus {
  name: string;
  state: 'running' | 'stopped' | 'failed';
  pid?: number;
  log: string;
}

export class Part {
  readonly #options: PartOptions;
  #child: Bun.Subprocess | undefined;
  #wanted = false;

  constructor(options: PartOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get logPath(): string {
    return join(this.#options.logs, `${this.#options.name.replace('/', '-')}.log`);
  }

  get status(): PartStatus {
    const running =
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
    const state = running ? 'running' : this.#wanted ? 'failed' : 'stopped';
    return { name: this.name, state, log: this.logPath, ...(running && { pid: this.pid }) };
  }

  /** Process id as the host counts. */
  get pid(): number | undefined {
    const outer = this.#child?.pid;
    if (outer === undefined || this.#options.wrapped !== true) return outer;
    const path = `/proc/${outer}/task/${outer}/children`;
    const [inner] = existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ') : [];
    return inner ? Number(inner) : undefined;
  }

  start(): void {
    if (this.status.state === 'running') throw new Error(`${this.name} runs already`);
    const log = openSync(this.logPath, 'a');
    this.#wanted = true;
    this.#child = Bun.spawn(joining(this.#options.cgroups, this.#options.words), {
      stdin: 'ignore',
      stdout: log,
      stderr: log,
      env: environment(),
      // Signals of a terminal reach whoever started the cluster, not its parts.
      detached: true,
    });
    closeSync(log);
  }

  /** SIGTERM, then SIGKILL for one that does not listen. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#wanted = false;
    const child = this.#child;
    if (child === undefined || this.status.state !== 'running') return;
    this.#signal(signal);
    const late = systemClock.after(STOP_MS, () => this.#signal('SIGKILL'));
    await child.exited;
    late.cancel();
  }

  #signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    const { pid } = this;
    if (pid !== undefined && this.#child?.exitCode === null) process.kill(pid, signal);
  }

  /** Waits until `ready` says so. Throws with the end of the log when the part ends before, or when time is over. */
  async until(
    ready: () => Promise<boolean>,
    { timeoutMs, stepMs = 50 }: { timeoutMs: number; stepMs?: number },
  ): Promise<void> {
    const deadline = systemClock.now() + timeoutMs;
    while (!(await ready())) {
      if (this.status.state !== 'running')
        throw new Error(`${this.name} ended: ${this.#lastLines()}`);
      if (systemClock.now() > deadline)
        throw new Error(`${this.name} is not ready after ${timeoutMs} ms: ${this.#lastLines()}`);
      await sleep(systemClock, stepMs);
    }
  }

  #lastLines(): string {
    const lines = readFileSync(this.logPath, 'utf8').trim().split('\n');
    return `${lines.slice(-LAST_LINES).join(' | ')} (log: ${this.logPath})`;
  }
}
