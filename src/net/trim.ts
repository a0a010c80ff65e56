/**
 * Gives memory back that work has left behind, when the proxy is quiet: garbage, compiled code, pages of the program file. Each
 * takes time that a busy one has not; pages alone it gives back now and then. docs/decisions/013-node-memory.md has the figures.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import {
  TRIM_BURST_CPU_MS,
  TRIM_BUSY_PERIODS,
  TRIM_BUSY_RESIDENT_BYTES,
  TRIM_CODE_FIRST_PERIODS,
  TRIM_CODE_GROWTH,
  TRIM_CODE_PERIODS_MAX,
  TRIM_PAGES_CPU_MS,
  TRIM_PERIOD_MS,
  TRIM_QUIET_CPU_MS,
  TRIM_WORK_CPU_MS,
} from './limits.ts';
import { programMappings, releaseProgramPages, residentFileBytes } from './netns/program-pages.ts';

/** Each gives back what the ones before it do. */
export type Trim = 'nothing' | 'pages' | 'garbage' | 'code';

/** Decides by CPU time, of all threads, and by what is resident of files, as they are at the end of each period. */
export class TrimPlan {
  #lastCpuMs: number;
  /** Since the last collection. The start of the process is work enough. */
  #workMs = TRIM_WORK_CPU_MS;
  /** Since pages were last given back. */
  #mappedMs = 0;
  #mappedPeriods = TRIM_BUSY_PERIODS;
  #codePeriods = 0;
  #codeAfter = TRIM_CODE_FIRST_PERIODS;
  /** In periods that were not quiet, since code was last given back. */
  #burstMs = 0;
  #quietPeriods = 0;

  constructor(cpuMs: number) {
    this.#lastCpuMs = cpuMs;
  }

  next(cpuMs: number, residentBytes: number): Trim {
    const spentMs = cpuMs - this.#lastCpuMs;
    this.#lastCpuMs = cpuMs;
    this.#workMs += spentMs;
    this.#mappedMs += spentMs;
    this.#codePeriods += 1;
    this.#mappedPeriods += 1;
    if (spentMs > TRIM_QUIET_CPU_MS) {
      this.#burstMs += spentMs;
      this.#quietPeriods = 0;
      // What is in use is mapped again at once, while connections wait: not often, and only when there is more than that.
      const worthIt = residentBytes > TRIM_BUSY_RESIDENT_BYTES;
      return worthIt && this.#mappedPeriods > TRIM_BUSY_PERIODS ? 'pages' : 'nothing';
    }
    this.#quietPeriods += 1;
    if (this.#codePeriods >= this.#codeAfter || this.#isAfterBurst) return 'code';
    if (this.#workMs >= TRIM_WORK_CPU_MS) return 'garbage';
    return this.#mappedMs >= TRIM_PAGES_CPU_MS ? 'pages' : 'nothing';
  }

  /** As after the start: pods were captured, or traffic has come and gone. */
  get #isAfterBurst(): boolean {
    return this.#burstMs >= TRIM_BURST_CPU_MS && this.#quietPeriods >= TRIM_CODE_FIRST_PERIODS;
  }

  /** What the trim itself took is no work. */
  done(trim: Trim, cpuMs: number): void {
    this.#lastCpuMs = cpuMs;
    this.#mappedMs = 0;
    this.#mappedPeriods = 0;
    if (trim === 'code') {
      const last = this.#isAfterBurst ? TRIM_CODE_FIRST_PERIODS : this.#codeAfter;
      this.#codeAfter = Math.min(last * TRIM_CODE_GROWTH, TRIM_CODE_PERIODS_MAX);
      this.#codePeriods = 0;
      this.#burstMs = 0;
    }
    if (trim !== 'pages') this.#workMs = 0;
  }
}

export function startTrim(clock: Clock): Disposer {
  const plan = new TrimPlan(cpuMs());
  programMappings();
  const timer = clock.every(TRIM_PERIOD_MS, () => {
    const trim = plan.next(cpuMs(), residentFileBytes());
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
