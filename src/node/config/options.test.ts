import { expect, test } from 'bun:test';
import { parseNodeOptions } from './options.ts';

test.each([
  [undefined, undefined],
  ['1', 0],
  ['5', 4000],
  ['10', 9000],
  ['11', 6000],
  ['30', 25_000],
])('a termination grace of %s s leaves %s ms to drain', (grace, want) => {
  const options = parseNodeOptions([], { TERMINATION_GRACE_PERIOD_SECONDS: grace });
  expect(options?.drainDeadlineMs).toBe(want);
});

test.each(['0', '-1', 'soon'])('a termination grace of %s is refused', (grace) => {
  const argv = [`--termination-grace-period-seconds=${grace}`];
  expect(() => parseNodeOptions(argv, {})).toThrow(
    expect.objectContaining({ code: 'NODE_OPTIONS' }),
  );
});
