import { expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { HealthChecks, type HealthVerdict } from './health.ts';
import type { ProbeAnswer } from './probe.ts';

const TIMING = {
  initialDelayMs: 2_000,
  periodMs: 1_000,
  timeoutMs: 500,
  successThreshold: 1,
  failureThreshold: 2,
};

/** Probes that answer, one a period; gives what was said after each. */
async function verdictsOf(answers: readonly boolean[]): Promise<(string | undefined)[]> {
  const clock = new FakeClock();
  const left = [...answers];
  const said: HealthVerdict[] = [];
  const probe = async (): Promise<ProbeAnswer> => ({ ok: left.shift() === true, detail: 'down' });
  const checks = new HealthChecks({ clock, probe, onChange: (each) => said.push(each) }, TIMING);
  checks.start();
  const result: (string | undefined)[] = [];
  for (let index = 0; index < answers.length; index++) {
    clock.advance(index === 0 ? TIMING.initialDelayMs : TIMING.periodMs);
    // The probe's answer is a promise.
    await Promise.resolve();
    await Promise.resolve();
    result.push(said.splice(0).map(({ healthy, message }) => `${healthy} ${message}`)[0]);
  }
  checks.stop();
  expect(clock.pending).toBe(0);
  return result;
}

test.each([
  ['healthy at the first success', [true, true], ['true ', undefined]],
  ['unhealthy after as many failures as said', [false, false], [undefined, 'false down']],
  ['one failure is no change', [true, false, true], ['true ', undefined, undefined]],
  ['back again', [true, false, false, true], ['true ', undefined, 'false down', 'true ']],
])('HealthChecks: %s', async (_title, answers, want) => {
  expect(await verdictsOf(answers)).toEqual(want);
});

test('HealthChecks without a probe says healthy at once, and only that', () => {
  const clock = new FakeClock();
  const said: HealthVerdict[] = [];
  const deps = { clock, probe: undefined, onChange: (each: HealthVerdict) => said.push(each) };
  new HealthChecks(deps, TIMING).start();
  expect(said.map(({ healthy }) => healthy)).toEqual([true]);
  expect(clock.pending).toBe(0);
});
