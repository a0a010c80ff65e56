import { describe, expect, test } from 'bun:test';
import { TRIM_PAGES_PERIODS, TRIM_QUIET_CPU_MS, TRIM_WORK_CPU_MS } from './limits.ts';
import { type Trim, TrimPlan } from './trim.ts';

/** What the plan says at the end of periods that took as much CPU each; a trim costs 20 ms of its own. */
function verdicts(periods: readonly number[]): Trim[] {
  let cpuMs = 0;
  const plan = new TrimPlan();
  return periods.map((spent) => {
    cpuMs += spent;
    const trim = plan.next(cpuMs);
    if (trim !== 'nothing') {
      cpuMs += 20;
      plan.done(trim, cpuMs);
    }
    return trim;
  });
}

describe('TrimPlan', () => {
  test('trims once when it gets quiet after work, and not for its own cost', () => {
    expect(verdicts([TRIM_WORK_CPU_MS, 0, 0, 5, 5])).toEqual([
      'nothing',
      'all',
      'nothing',
      'nothing',
      'nothing',
    ]);
  });

  test('little by little is work too', () => {
    const periods = new Array(50).fill(TRIM_QUIET_CPU_MS);
    const trims = verdicts(periods).filter((trim) => trim === 'all').length;
    expect(trims).toBe(Math.floor((50 * TRIM_QUIET_CPU_MS) / TRIM_WORK_CPU_MS));
  });

  test('a proxy that does nothing is left alone', () => {
    expect(new Set(verdicts(new Array(20).fill(0)))).toEqual(new Set(['nothing']));
  });

  test('under load only pages, every so many periods, and all when it ends', () => {
    const busy = new Array(2 * TRIM_PAGES_PERIODS + 1).fill(900);
    const found = verdicts([...busy, 0]);
    expect(found.filter((trim) => trim === 'pages').length).toBe(2);
    expect(found.indexOf('pages')).toBe(TRIM_PAGES_PERIODS - 1);
    expect(found.at(-1)).toBe('all');
  });
});
