/** Thresholds of one probe: pure. The result changes after so many equal answers in a row (kubelet prober/worker.go). */
import type { Probe } from '#kube/client/kinds.ts';

export type ProbeResult = 'success' | 'failure';

export interface ProbeTiming {
  initialDelayMs: number;
  periodMs: number;
  timeoutMs: number;
  successThreshold: number;
  failureThreshold: number;
}

export function probeTiming(probe: Probe): ProbeTiming {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
    timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
    successThreshold: Math.max(1, probe.successThreshold ?? 1),
    failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
  };
}

export class ProbeState {
  readonly #timing: Pick<ProbeTiming, 'successThreshold' | 'failureThreshold'>;
  #result: ProbeResult | undefined;
  #last: ProbeResult | undefined;
  #inARow = 0;

  constructor(timing: Pick<ProbeTiming, 'successThreshold' | 'failureThreshold'>) {
    this.#timing = timing;
  }

  /** Undefined until the first threshold is reached. */
  get result(): ProbeResult | undefined {
    return this.#result;
  }

  /** True when the result changed. */
  record(answer: ProbeResult): boolean {
    this.#inARow = answer === this.#last ? this.#inARow + 1 : 1;
    this.#last = answer;
    const { successThreshold, failureThreshold } = this.#timing;
    const needed = answer === 'success' ? successThreshold : failureThreshold;
    if (this.#inARow < needed || this.#result === answer) return false;
    this.#result = answer;
    return true;
  }
}

/** A port number, or the name of one of the container's ports. */
export function probePort(
  port: number | string,
  ports: readonly { name?: string; containerPort: number }[],
): number | undefined {
  if (typeof port === 'number') return port;
  return ports.find((entry) => entry.name === port)?.containerPort;
}
