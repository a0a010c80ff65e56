/**
 * Gives memory back that work has left behind: garbage when the proxy is quiet (a collection takes time that a busy one
 * has not), pages of the program file now and then under load as well. docs/decisions/012-node-memory.md has the figures.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { releaseProgramPages } from '#net/netns/program-pages.ts';
import {
  TRIM_PAGES_PERIODS,
  TRIM_PERIOD_MS,
  TRIM_QUIET_CPU_MS,
  TRIM_WORK_CPU_MS,
} from './limits.ts';

export type Trim = 'nothing' | 'pages' | 'all';

/** Decides by CPU time, of all threads, as it is at the end of each period. */
export class TrimPlan {
  /** The start of the process is work as well. */
  #lastCpuMs = 0;
  #workMs = 0;
  #periods = 0;

  next(cpuMs: number): Trim {
    const spentMs = cpuMs - this.#lastCpuMs;
    this.#lastCpuMs = cpuMs;
    this.#workMs += spentMs;
    this.#periods += 1;
    if (this.#workMs < TRIM_WORK_CPU_MS) return 'nothing';
    if (spentMs <= TRIM_QUIET_CPU_MS) return 'all';
    return this.#periods >= TRIM_PAGES_PERIODS ? 'pages' : 'nothing';
  }

  /** What the trim itself took is no work. */
  done(trim: Trim, cpuMs: number): void {
    this.#lastCpuMs = cpuMs;
    this.#periods = 0;
    if (trim === 'all') this.#workMs = 0;
  }
}

export function startTrim(clock: Clock): Disposer {
  const plan = new TrimPlan();
  const timer = clock.every(TRIM_PERIOD_MS, () => {
    const trim = plan.next(cpuMs());
    if (trim === 'nothing') return;
    if (trim === 'all') Bun.gc(true);
    releaseProgramPages();
    plan.done(trim, cpuMs());
  });
  return () => timer.cancel();
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
