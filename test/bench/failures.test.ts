import { expect, test } from 'bun:test';
import { addFailures, failedIn, formatFailures, NO_FAILURES } from './failures.ts';
import { parseH2Load } from './h2load.ts';
import { parseWrk } from './wrk.ts';

const WRK = `  4 requests in 3.00s, 1.2KB read
  Socket errors: connect 1, read 7, write 2, timeout 3
  Non-2xx or 3xx responses: 4
Requests/sec: 1.33
`;

test('parseWrk: tells the kinds of failure apart', () => {
  expect(parseWrk(WRK).failures).toEqual({ connect: 1, read: 7, write: 2, timeout: 3, status: 4 });
});

test('parseWrk: a load without failures has none of any kind', () => {
  const { failures } = parseWrk('  4 requests in 3.00s, 1.2KB read\nRequests/sec: 1.33\n');
  expect(failures).toEqual({ connect: 0, read: 0, write: 0, timeout: 0, status: 0 });
});

test('parseH2Load: counts a failure once, by its kind', () => {
  const output =
    'finished in 1.00s, 9.00 req/s\nrequests: 9 total, 9 started, 9 done, 3 succeeded, 6 failed, 3 errored, 1 timeout\n';
  const log = ['1\t200\t10', '2\t503\t10', '3\t-1\t10'].join('\n');
  expect(parseH2Load(output, log).failures).toEqual({ status: 3, error: 2, timeout: 1 });
});

test('parseH2Load: the log knows of failures that the summary lacks', () => {
  const output =
    'requests: 2 total, 2 started, 2 done, 2 succeeded, 0 failed, 0 errored, 0 timeout\n';
  const { failures } = parseH2Load(output, '1\t503\t10\n2\t200\t10\n');
  expect(failures).toEqual({ status: 1, error: 0, timeout: 0 });
});

test('addFailures, failedIn, formatFailures: sums by kind, with a name for each', () => {
  const sum = addFailures(addFailures(NO_FAILURES, { connect: 0, read: 5 }), { read: 2 });
  expect(sum).toEqual({ connect: 0, read: 7 });
  expect(failedIn(sum)).toBe(7);
  expect(formatFailures(sum)).toBe('connect 0, read 7');
});
