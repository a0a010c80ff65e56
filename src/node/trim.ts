/**
 * Gives memory back that work has left behind, when the proxy is quiet: garbage, compiled code, pages of the program file. Each
 * takes time that a busy one has not. docs/decisions/013-node-memory.md has the figures.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { releaseProgramPages } from '#net/netns/program-pages.ts';
import {
  TRIM_CODE_FIRST_PERIODS,
  TRIM_CODE_GROWTH,
  TRIM_CODE_PERIODS_MAX,
  TRIM_PAGES_CPU_MS,
  TRIM_PERIOD_MS,
  TRIM_QUIET_CPU_MS,
  TRIM_WORK_CPU_MS,
} from './limits.ts';

/** Each gives back what the ones before it do. */
export type Trim = 'nothing' | 'pages' | 'garbage' | 'code';

/** Decides by CPU time, of all threads, as it is at the end of each period. */
export class TrimPlan {
  #lastCpuMs: number;
  /** Since the last collection. The start of the process is work enough. */
  #workMs = TRIM_WORK_CPU_MS;
  /** Since pages were last given back. */
  #mappedMs = 0;
  #codePeriods = 0;
  #codeAfter = TRIM_CODE_FIRST_PERIODS;

  constructor(cpuMs: number) {
    this.#lastCpuMs = cpuMs;
  }

  next(cpuMs: number): Trim {
    const spentMs = cpuMs - this.#lastCpuMs;
    this.#lastCpuMs = cpuMs;
    this.#workMs += spentMs;
    this.#mappedMs += spentMs;
    this.#codePeriods += 1;
    // A busy process would fault in at once what it gave back, while connections wait.
    if (spentMs > TRIM_QUIET_CPU_MS) return 'nothing';
    if (this.#codePeriods >= this.#codeAfter) return 'code';
    if (this.#workMs >= TRIM_WORK_CPU_MS) return 'garbage';
    return this.#mappedMs >= TRIM_PAGES_CPU_MS ? 'pages' : 'nothing';
  }

  /** What the trim itself took is no work. */
  done(trim: Trim, cpuMs: number): void {
    this.#lastCpuMs = cpuMs;
    this.#mappedMs = 0;
    if (trim === 'code') {
      this.#codePeriods = 0;
      this.#codeAfter = Math.min(this.#codeAfter * TRIM_CODE_GROWTH, TRIM_CODE_PERIODS_MAX);
    }
    if (trim !== 'pages') this.#workMs = 0;
  }
}

export function startTrim(clock: Clock): Disposer {
  const plan = new TrimPlan(cpuMs());
  const timer = clock.every(TRIM_PERIOD_MS, () => {
    const trim = plan.next(cpuMs());
    if (trim === 'nothing') return;
    if (trim === 'garbage') Bun.gc(true);
    // Collects garbage as well.
    if (trim === 'code') Bun.shrink();
    releaseProgramPages();
    plan.done(trim, cpuMs());
  });
  return () => timer.cancel();
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
