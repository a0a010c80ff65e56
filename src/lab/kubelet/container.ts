/**
 * One container of a pod: runs its process, probes it, runs it again by the restart policy.
 *
 *   waiting ──start──> running ──exit──> terminated (policy says no)
 *      ^                          └────> waiting (back-off) ──> running …
 */
import { type Clock, rfc3339, type Timer } from '#base/clock.ts';
import type { Container, Probe } from '#kube/client/kinds.ts';
import { ProbeState, probeTiming } from '#kube/probe/probe-state.ts';
import type { EventNote } from './events.ts';
import { ContainerLog } from './logs.ts';
import type { ContainerView } from './pod-status.ts';
import type { ProbeAnswer } from './prober.ts';
import { MOUNT_FAILED_STATUS, type RunningProcess } from './process.ts';
import { type RestartPolicy, restartDelayMs, restarts, restartsInARow } from './restart.ts';

export interface ContainerDeps {
  clock: Clock;
  /** Throws `StartRefusal` when it cannot be started now. */
  start(log: ContainerLog): RunningProcess;
  probe(probe: Probe, pid: number, timeoutMs: number): Promise<ProbeAnswer>;
  onChange(): void;
  note(note: EventNote): void;
}

export interface ContainerOptions {
  container: Container;
  restartPolicy: RestartPolicy;
  /** A part of the mesh itself: its back-off is short. */
  system: boolean;
  graceMs: number;
}

/** Why a container cannot start: becomes the waiting reason; it is tried again. */
export class StartRefusal extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export class ContainerRunner {
  readonly #deps: ContainerDeps;
  readonly #options: ContainerOptions;
  readonly #done = Promise.withResolvers<number>();
  #process: RunningProcess | undefined;
  #timers: Timer[] = [];
  #restartTimer: Timer | undefined;
  #stopping = false;
  #ended = false;
  #inARow = 0;
  #runs = 0;
  log: ContainerLog;
  previousLog: ContainerLog | undefined;
  view: ContainerView;

  constructor(deps: ContainerDeps, options: ContainerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.log = new ContainerLog(() => deps.clock.wallTime());
    const { name, image } = options.container;
    const state = { waiting: { reason: 'ContainerCreating' } };
    this.view = { name, image, restartCount: 0, ready: false, started: false, state };
  }

  /** The exit status, once it will not run again. */
  get done(): Promise<number> {
    return this.#done.promise;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(): void {
    if (this.#stopping || this.#ended) return;
    const { clock } = this.#deps;
    if (this.#runs > 0) {
      this.previousLog = this.log;
      this.log = new ContainerLog(() => clock.wallTime());
    }
    let running: RunningProcess;
    try {
      running = this.#deps.start(this.log);
    } catch (error) {
      if (!(error instanceof StartRefusal)) throw error;
      this.#refused(error);
      return;
    }
    const startedAt = rfc3339(clock, 's');
    const begin = clock.now();
    if (this.#runs++ > 0) this.view.restartCount++;
    this.#process = running;
    this.view.containerId = `tulle://${running.pid}-${this.#runs}`;
    this.view.state = { running: { startedAt } };
    this.#deps.note({
      type: 'Normal',
      reason: 'Started',
      message: `Started container ${this.view.name}`,
    });
    this.#startProbes(running);
    this.#deps.onChange();
    void running.exited.then((status) =>
      this.#onExit(status, { startedAt, ranMs: clock.now() - begin }),
    );
  }

  /** TERM to all of it, KILL after the grace; resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#restartTimer?.cancel();
    this.#cancelProbes();
    const running = this.#process;
    if (running === undefined) {
      this.#end(0);
      return;
    }
    await this.#terminate(running, graceMs);
  }

  async #terminate(running: RunningProcess, graceMs: number): Promise<void> {
    running.signal('SIGTERM');
    const timer = this.#deps.clock.after(graceMs, () => running.signal('SIGKILL'));
    await running.exited;
    timer.cancel();
    // What the process left behind in its group goes too.
    running.signal('SIGKILL');
  }

  #refused({ reason, message }: StartRefusal): void {
    const image = reason === 'ErrImagePull' && this.#inARow > 0;
    this.view.state = { waiting: { reason: image ? 'ImagePullBackOff' : reason, message } };
    this.#deps.note({
      type: 'Warning',
      reason: reason === 'ErrImagePull' ? 'Failed' : 'FailedStart',
      message,
    });
    const delayMs = Math.max(1_000, restartDelayMs(this.#inARow++, this.#options.system));
    this.#restartTimer = this.#deps.clock.after(delayMs, () => this.start());
    this.#deps.onChange();
  }

  #onExit(status: number, run: { startedAt: string; ranMs: number }): void {
    const { clock } = this.#deps;
    this.#cancelProbes();
    this.#process?.signal('SIGKILL');
    this.#process = undefined;
    this.view.ready = false;
    this.view.started = false;
    const terminated = {
      exitCode: status,
      reason: exitReason(status),
      startedAt: run.startedAt,
      finishedAt: rfc3339(clock, 's'),
    };
    const again = !this.#stopping && restarts(this.#options.restartPolicy, status);
    if (!again) {
      this.view.state = { terminated };
      this.#end(status);
      this.#deps.onChange();
      return;
    }
    this.view.lastState = { terminated };
    this.#inARow = restartsInARow(this.#inARow, run.ranMs);
    const delayMs = restartDelayMs(this.#inARow++, this.#options.system);
    if (delayMs === 0) {
      this.start();
      return;
    }
    const message = `back-off ${delayMs / 1000}s restarting failed container=${this.view.name}`;
    this.view.state = { waiting: { reason: 'CrashLoopBackOff', message } };
    this.#deps.note({
      type: 'Warning',
      reason: 'BackOff',
      message: `Back-off restarting failed container ${this.view.name}`,
    });
    this.#restartTimer = clock.after(delayMs, () => this.start());
    this.#deps.onChange();
  }

  #end(status: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done.resolve(status);
  }

  /** Readiness and liveness begin once the startup probe has succeeded. */
  #startProbes(running: RunningProcess): void {
    const { startupProbe, livenessProbe, readinessProbe } = this.#options.container;
    const begin = () => {
      this.view.started = true;
      if (livenessProbe !== undefined) this.#every('Liveness', livenessProbe, running);
      if (readinessProbe === undefined) this.view.ready = true;
      else this.#every('Readiness', readinessProbe, running);
    };
    if (startupProbe === undefined) begin();
    else this.#every('Startup', startupProbe, running, begin);
  }

  #every(
    kind: 'Startup' | 'Liveness' | 'Readiness',
    probe: Probe,
    running: RunningProcess,
    onSuccess?: () => void,
  ): void {
    const { clock, onChange } = this.#deps;
    const timing = probeTiming(probe);
    const state = new ProbeState(timing);
    const begin = clock.now();
    let everReady = false;
    const isEarly = () => clock.now() - begin < EARLY_MS;
    const isCurrent = () => this.#process === running && !this.#stopping;
    const again = (delayMs: number) => this.#timers.push(clock.after(delayMs, () => void round()));
    const round = async () => {
      if (!isCurrent()) return;
      const answer = await this.#deps.probe(probe, running.pid, timing.timeoutMs);
      if (!isCurrent()) return;
      // Not ready yet is no news while it starts.
      if (!answer.ok && (kind !== 'Readiness' || everReady || !isEarly()))
        this.#deps.note({
          type: 'Warning',
          reason: 'Unhealthy',
          message: `${kind} probe failed: ${answer.detail}`,
        });
      const changed = state.record(answer.ok ? 'success' : 'failure');
      if (changed && kind === 'Readiness') {
        this.view.ready = state.result === 'success';
        onChange();
      } else if (changed && state.result === 'failure') {
        this.#restartUnhealthy(kind, running);
        return;
      } else if (changed && onSuccess !== undefined) {
        onSuccess();
        onChange();
        return;
      }
      // Until it is first ready a container is asked more often than its period: kubectl wait and rollouts are quick.
      everReady ||= answer.ok;
      const early = kind === 'Readiness' && !everReady && isEarly();
      again(early ? Math.min(timing.periodMs, EARLY_PERIOD_MS) : timing.periodMs);
    };
    again(timing.initialDelayMs);
  }

  #restartUnhealthy(kind: string, running: RunningProcess): void {
    const { name } = this.view;
    const message = `Container ${name} failed ${kind.toLowerCase()} probe, will be restarted`;
    this.#deps.note({ type: 'Normal', reason: 'Killing', message });
    void this.#terminate(running, this.#options.graceMs);
  }

  #cancelProbes(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }
}

/** The kubelet, too, does not wait a whole period for the first readiness after a start (1.27, prober worker). */
const EARLY_PERIOD_MS = 100;
/** What is not ready by then has a problem that does not pass in a moment. */
const EARLY_MS = 10_000;

function exitReason(status: number): string {
  if (status === 0) return 'Completed';
  return status === MOUNT_FAILED_STATUS ? 'ContainerCannotRun' : 'Error';
}
