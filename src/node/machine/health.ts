/**
 * Says whether the machine's app is healthy, each time that changes: a probe again and again, with Kubernetes' thresholds. Without a
 * probe the app is as healthy as the machine is present.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { ProbeState, type ProbeTiming } from '#kube/probe/probe-state.ts';
import type { ProbeAnswer } from './probe.ts';

export interface HealthVerdict {
  readonly healthy: boolean;
  readonly reason: string;
  readonly message: string;
}

export interface HealthDeps {
  readonly clock: Clock;
  /** Undefined: there is no probe. Never rejects. */
  readonly probe: ((timeoutMs: number) => Promise<ProbeAnswer>) | undefined;
  onChange(verdict: HealthVerdict): void;
}

export class HealthChecks {
  readonly #deps: HealthDeps;
  readonly #timing: ProbeTiming;
  readonly #state: ProbeState;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  constructor(deps: HealthDeps, timing: ProbeTiming) {
    this.#deps = deps;
    this.#timing = timing;
    this.#state = new ProbeState(timing);
  }

  start(): void {
    const { clock, probe, onChange } = this.#deps;
    if (probe === undefined) {
      onChange({ healthy: true, reason: 'Joined', message: 'the machine is in the mesh' });
      return;
    }
    this.#timer = clock.after(this.#timing.initialDelayMs, () => void this.#look(probe));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(probe: NonNullable<HealthDeps['probe']>): Promise<void> {
    const { clock, onChange } = this.#deps;
    const { ok, detail } = await probe(this.#timing.timeoutMs);
    if (this.#stopped) return;
    if (this.#state.record(ok ? 'success' : 'failure')) {
      onChange(
        ok
          ? { healthy: true, reason: 'ProbeSucceeded', message: '' }
          : { healthy: false, reason: 'ProbeFailed', message: detail },
      );
    }
    this.#timer = clock.after(this.#timing.periodMs, () => void this.#look(probe));
  }
}
