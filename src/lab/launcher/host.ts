/**
 * The launcher's side of a running lab: the record, the relays, and the child that holds the namespaces. The
 * child's standard input is a pipe that only this process holds: when this process ends, however it ends, the pipe
 * closes, pid 1 of the pid namespace exits, and the kernel takes every process, namespace, mount and rule with it.
 *
 *   launcher ──stdin pipe──> unshare ──> sh (pid 1) ──> runner ──> pods
 */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { assert } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import { isMeshError, MeshError } from '#base/errors.ts';
import { LAB_ERRORS } from '../errors.ts';
import { type LabEvent, type ReadyEvent, type RunnerOptions, readEvents } from '../events.ts';
import { START_TIMEOUT_MS } from '../limits.ts';
import { pathWithSbin, programCommand } from '../program.ts';
import { Balancers } from './balancers.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { unshareFlags } from './preflight.ts';
import { processStart } from './process-identity.ts';
import { type Relay, startRelay } from './relay.ts';
import {
  claim,
  type LabRecord,
  type StatePaths,
  storageError,
  sweep,
  updateRecord,
} from './state.ts';

export interface LabOptions {
  demo: boolean;
  /** False: a plain cluster without the mesh's parts. */
  mesh: boolean;
  files: string[];
  nodes: number;
  consolePort: number;
  apiPort: number;
  /** How the user calls this program, for printed commands. */
  program: string;
}

/** Runs as pid 1: `cat` ends when the launcher's end of the pipe closes, whatever state the runner is in. */
const INIT_SCRIPT = `exec 3<&0
"$@" </dev/null 3<&- &
runner=$!
{ cat <&3 >/dev/null; kill -9 "$runner"; } >/dev/null 2>&1 &
exec 3<&-
wait "$runner"`;

export interface HostDeps {
  clock: Clock;
  paths: StatePaths;
  onEvent: (event: LabEvent) => void;
}

export class LabHost {
  readonly #deps: HostDeps;
  readonly #options: LabOptions;
  readonly #relays: Relay[] = [];
  readonly #balancers = new Balancers(() => this.#showBalancers());
  readonly #ready = Promise.withResolvers<ReadyEvent>();
  #record: LabRecord | undefined;
  #child: Bun.Subprocess<'pipe', 'pipe', number> | undefined;
  #stopping = false;
  /** Resolves when the lab is gone: undefined after `stop`, else why it went. */
  readonly closed: Promise<MeshError | undefined>;
  readonly #closed = Promise.withResolvers<MeshError | undefined>();

  constructor(deps: HostDeps, options: LabOptions) {
    this.#deps = deps;
    this.#options = options;
    this.closed = this.#closed.promise;
    // A stop may come before `start` waits for it.
    this.#ready.promise.catch(() => undefined);
  }

  /** Resolves when everything in the lab is ready; on failure nothing is left. */
  async start(): Promise<ReadyEvent> {
    const { paths, clock } = this.#deps;
    const start = processStart(process.pid);
    assert(start !== undefined, 'this process is in /proc');
    this.#record = {
      pid: process.pid,
      start,
      phase: 'starting',
      consolePort: this.#options.consolePort,
      apiPort: this.#options.apiPort,
      kubeconfig: paths.kubeconfig,
      nodes: this.#options.nodes,
      demo: this.#options.demo,
      startedAt: rfc3339(clock),
    };
    claim(paths, this.#record);
    const timer = clock.after(START_TIMEOUT_MS, () => this.#ready.reject(this.#timeout()));
    try {
      await this.#listen();
      this.#spawn();
      const ready = await this.#ready.promise;
      updateRecord(paths, this.#record);
      return ready;
    } catch (error) {
      await this.stop();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** Ends the lab; resolves when the kernel has taken everything. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      await this.closed;
      return;
    }
    this.#stopping = true;
    for (const relay of this.#relays) relay.close();
    this.#balancers.close();
    const child = this.#child;
    if (child !== undefined) {
      await child.stdin.end();
      await child.exited;
    }
    sweep(this.#deps.paths, undefined);
    this.#closed.resolve(undefined);
    this.#ready.reject(stopped());
  }

  async #listen(): Promise<void> {
    const { paths } = this.#deps;
    const record = this.#record as LabRecord;
    const open = async (what: string, port: number, path: string) => {
      try {
        const relay = await startRelay({ host: '127.0.0.1', port }, () => ({ path }));
        this.#relays.push(relay);
        return relay.port;
      } catch (error) {
        throw portError(what, port, error);
      }
    };
    record.consolePort = await open('console', record.consolePort, paths.consoleSocket);
    record.apiPort = await open('API', record.apiPort, paths.apiSocket);
    updateRecord(paths, record);
  }

  #spawn(): void {
    const { paths } = this.#deps;
    const { nodes, demo, mesh, files, program } = this.#options;
    const runner: RunnerOptions = {
      nodes,
      demo,
      mesh,
      files,
      program,
      apiSocket: paths.apiSocket,
      consoleSocket: paths.consoleSocket,
      stateDirectory: paths.directory,
    };
    const inner = [...programCommand(), 'role', 'lab-inner', JSON.stringify(runner)];
    const root = process.getuid?.() === 0;
    let log: number;
    try {
      log = openSync(paths.log, 'w', 0o600);
    } catch (error) {
      throw storageError(paths.directory, error);
    }
    const child = Bun.spawn(
      ['unshare', ...unshareFlags(root), 'sh', '-c', INIT_SCRIPT, 'tulle-lab', ...inner],
      {
        stdin: 'pipe',
        stdout: 'pipe',
        stderr: log,
        // Ctrl-C reaches the launcher alone, which then takes the lab down in order.
        detached: true,
        cwd: paths.directory,
        env: { ...process.env, PATH: pathWithSbin(process.env.PATH) },
      },
    );
    closeSync(log);
    this.#child = child;
    const start = processStart(child.pid);
    if (start !== undefined) {
      (this.#record as LabRecord).inner = { pid: child.pid, start };
      updateRecord(paths, this.#record as LabRecord);
    }
    const text: string[] = [];
    const reading = readEvents(child.stdout, {
      onEvent: (event) => this.#receive(event),
      onText: (line) => void text.push(line),
    });
    void Promise.all([reading, child.exited]).then(
      () => this.#onExit(text),
      (error: unknown) => this.#onExit([String(error)]),
    );
  }

  #receive(event: LabEvent): void {
    const { paths, onEvent } = this.#deps;
    const record = this.#record as LabRecord;
    const apiServer = `https://127.0.0.1:${record.apiPort}`;
    if (event.event === 'api') {
      const { certificateAuthority, token, namespace } = event;
      const config = kubeconfigText({ server: apiServer, certificateAuthority, token, namespace });
      try {
        writeFileSync(paths.kubeconfig, config, { mode: 0o600 });
      } catch (error) {
        this.#ready.reject(storageError(paths.directory, error));
      }
      return;
    }
    if (event.event === 'failed') {
      const { code, message, hint } = event;
      this.#ready.reject(restoredError(code, message, hint));
      return;
    }
    if (event.event === 'ready') {
      const consoleUrl = `http://127.0.0.1:${record.consolePort}`;
      const whole: ReadyEvent = { ...event, consoleUrl, apiServer, kubeconfig: paths.kubeconfig };
      record.phase = 'ready';
      this.#ready.resolve(whole);
      onEvent(whole);
      return;
    }
    if (event.event === 'balancer') {
      this.#balancers.apply(event);
      return;
    }
    onEvent(event);
  }

  #showBalancers(): void {
    if (this.#stopping || this.#record === undefined) return;
    this.#record.balancers = this.#balancers.ports;
    try {
      updateRecord(this.#deps.paths, this.#record);
    } catch (error) {
      // A full disk: the relays work, `tulle lab status` does not show them.
      if (!isMeshError(error)) throw error;
    }
  }

  #onExit(text: string[]): void {
    if (this.#stopping) return;
    const { paths } = this.#deps;
    const last = text
      .filter((line) => line.trim() !== '')
      .slice(-3)
      .join('; ');
    const message = `the lab's runner ended unexpectedly${last === '' ? '' : `: ${last}`} (log: ${paths.log})`;
    const error = new MeshError('LAB_START_FAILED', message, {
      side: 'self',
      hint: LAB_ERRORS.LAB_START_FAILED,
    });
    this.#ready.reject(error);
    this.#stopping = true;
    for (const relay of this.#relays) relay.close();
    this.#balancers.close();
    sweep(paths, undefined);
    this.#closed.resolve(error);
  }

  #timeout(): MeshError {
    const message = `the lab was not ready after ${START_TIMEOUT_MS / 1000} s (log: ${this.#deps.paths.log})`;
    return new MeshError('LAB_START_FAILED', message, {
      side: 'self',
      hint: LAB_ERRORS.LAB_START_FAILED,
    });
  }
}

/** Who starts it hears this; one that was ready ends without. */
function stopped(): MeshError {
  return new MeshError('LAB_STOPPED', 'the lab was stopped before it was ready', {
    side: 'self',
    hint: LAB_ERRORS.LAB_STOPPED,
  });
}

/** An error of the other process, with its own code. */
export function restoredError(code: string, message: string, hint: string): MeshError {
  return new MeshError(code, message, { side: 'self', hint });
}

function portError(what: string, port: number, error: unknown): MeshError {
  const code = (error as { code?: string }).code;
  const flag = what === 'console' ? '--console-port' : '--api-port';
  const reason =
    code === 'EADDRINUSE'
      ? 'is taken'
      : code === 'EACCES'
        ? 'needs root'
        : `cannot be opened (${String(code)})`;
  const message = `port ${port} of 127.0.0.1, for the ${what}, ${reason}`;
  return new MeshError('LAB_PORT_TAKEN', message, {
    side: 'self',
    hint: `choose another with ${flag} PORT (0 = any free one)`,
  });
}
