import { describe, expect, test } from 'bun:test';
import {
  TRIM_BURST_CPU_MS,
  TRIM_BUSY_PERIODS,
  TRIM_BUSY_RESIDENT_BYTES,
  TRIM_CODE_FIRST_PERIODS,
  TRIM_CODE_PERIODS_MAX,
  TRIM_PAGES_CPU_MS,
  TRIM_QUIET_CPU_MS,
  TRIM_WORK_CPU_MS,
} from './limits.ts';
import { type Trim, TrimPlan } from './trim.ts';

/** What the plan says at the end of periods that took as much CPU each; a trim costs 20 ms of its own. */
function verdicts(periods: readonly number[], residentBytes = 0): Trim[] {
  let cpuMs = 500;
  const plan = new TrimPlan(cpuMs);
  return periods.map((spent) => {
    cpuMs += spent;
    const trim = plan.next(cpuMs, residentBytes);
    if (trim !== 'nothing') {
      cpuMs += 20;
      plan.done(trim, cpuMs);
    }
    return trim;
  });
}

const count = (trims: readonly Trim[], what: Trim) => trims.filter((trim) => trim === what).length;

describe('TrimPlan', () => {
  test('collects once it is quiet after the start, once after each work, and not for its own cost', () => {
    expect(verdicts([900, 5, 4, TRIM_WORK_CPU_MS, 0, 5, 4])).toEqual([
      'nothing',
      'garbage',
      'nothing',
      'nothing',
      'garbage',
      'nothing',
      'nothing',
    ]);
  });

  test('little by little is work too', () => {
    const trims = verdicts(new Array(21).fill(TRIM_QUIET_CPU_MS));
    expect(count(trims, 'garbage')).toBe(1 + (20 * TRIM_QUIET_CPU_MS) / TRIM_WORK_CPU_MS);
  });

  test('a proxy that does nothing gives its code back ever more rarely and is left alone else', () => {
    const ages = [30, 30 + 120, 30 + 120 + 480, 630 + TRIM_CODE_PERIODS_MAX];
    const trims = verdicts(new Array(ages[3]).fill(0));
    expect(trims[0]).toBe('garbage');
    expect(trims.flatMap((trim, index) => (trim === 'code' ? [index + 1] : []))).toEqual(ages);
    expect(count(trims, 'nothing')).toBe(trims.length - 1 - ages.length);
  });

  test('code stays as long as it is busy', () => {
    const busy = new Array(TRIM_CODE_FIRST_PERIODS).fill(900);
    const trims = verdicts([...busy, 0, 900, 0]);
    expect(trims.slice(-3)).toEqual(['code', 'nothing', 'pages']);
    expect(count(trims, 'code')).toBe(1);
  });

  test('a burst begins the series anew, once it has been quiet for as long as after the start', () => {
    const quiet = (periods: number) => new Array(periods).fill(0);
    const codeAt = (trims: readonly Trim[]) =>
      trims.flatMap((trim, index) => (trim === 'code' ? [index + 1] : []));
    // The start's at 30, the next would come at 150.
    const burst = [...quiet(40), TRIM_BURST_CPU_MS / 2, TRIM_BURST_CPU_MS / 2];
    expect(codeAt(verdicts([...burst, ...quiet(160)]))).toEqual([30, 72, 192]);
    const interrupted = [...burst, ...quiet(29), 900, ...quiet(160)];
    expect(codeAt(verdicts(interrupted))).toEqual([30, 102, 222]);
    const little = [...quiet(40), TRIM_BURST_CPU_MS - 1, ...quiet(160)];
    expect(codeAt(verdicts(little))).toEqual([30, 150]);
  });

  test('nothing under load, everything when it ends', () => {
    expect(verdicts([900, 900, 900, 0])).toEqual(['nothing', 'nothing', 'nothing', 'garbage']);
  });

  test('under load the pages alone, when they are more than is in use, and then not for some periods', () => {
    const busy = new Array(2 * TRIM_BUSY_PERIODS + 3).fill(900);
    expect(count(verdicts(busy, TRIM_BUSY_RESIDENT_BYTES), 'nothing')).toBe(busy.length);
    const trims = verdicts(busy, TRIM_BUSY_RESIDENT_BYTES + 1);
    const given = trims.flatMap((trim, index) => (trim === 'pages' ? [index] : []));
    expect(given).toEqual([0, TRIM_BUSY_PERIODS + 1, 2 * TRIM_BUSY_PERIODS + 2]);
    expect(count(trims, 'pages') + count(trims, 'nothing')).toBe(busy.length);
  });

  test('pages when enough can have come', () => {
    const half = TRIM_PAGES_CPU_MS / 2;
    expect(verdicts([0, half, half, half, half])).toEqual([
      'garbage',
      'nothing',
      'pages',
      'nothing',
      'pages',
    ]);
  });
});
