import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { seededRandom } from '#base/random.ts';
import type { RetryPolicy } from '#model/route/route-table.ts';
import { retryDelayMs } from './backoff.ts';
import { RetryBudget } from './budget.ts';
import { retryDecision, type TryFailure } from './decision.ts';

const policy = (on: string[], part: Partial<RetryPolicy> = {}): RetryPolicy => ({
  attempts: 2,
  on,
  statusCodes: [],
  backoffBaseMs: 25,
  ...part,
});
/** Istio's default list. */
const DEFAULT = [
  'connect-failure',
  'refused-stream',
  'unavailable',
  'cancelled',
  'retriable-status-codes',
];
const status = (code: number, part: object = {}): TryFailure => ({
  kind: 'status',
  status: code,
  ...part,
});
const connect: TryFailure = { kind: 'connect-failure' };
const refused: TryFailure = { kind: 'refused-stream' };
const reset: TryFailure = { kind: 'reset', requestStarted: true };
const early: TryFailure = { kind: 'reset', requestStarted: false };
/** The first try of a request that nobody sent before. */
const FIRST = { tries: 1, before: 1 };
const timeout: TryFailure = { kind: 'per-try-timeout' };

describe('retryDecision', () => {
  /** [title, failure, policy, retry] */
  const rows: [string, TryFailure, RetryPolicy, boolean][] = [
    ['default list: connect failure', connect, policy(DEFAULT), true],
    ['default list: refused stream', refused, policy(DEFAULT), true],
    ['default list: plain 503 has no codes to match', status(503), policy(DEFAULT), false],
    ['default list: 500', status(500), policy(DEFAULT), false],
    ['default list: reset of a started request', reset, policy(DEFAULT), false],
    ['default list: per-try timeout', timeout, policy(DEFAULT), false],
    ['default list: grpc unavailable', status(200, { grpcStatus: 14 }), policy(DEFAULT), true],
    ['default list: grpc internal', status(200, { grpcStatus: 13 }), policy(DEFAULT), false],
    ['listed status code', status(503), policy(DEFAULT, { statusCodes: [503] }), true],
    ['5xx: 500', status(500), policy(['5xx']), true],
    ['5xx: 499', status(499), policy(['5xx']), false],
    ['5xx: connect failure', connect, policy(['5xx']), true],
    ['5xx: per-try timeout', timeout, policy(['5xx']), true],
    ['5xx: reset', reset, policy(['5xx']), true],
    ['gateway-error: 502', status(502), policy(['gateway-error']), true],
    ['gateway-error: 500', status(500), policy(['gateway-error']), false],
    ['gateway-error: reset', reset, policy(['gateway-error']), true],
    ['reset: reset', reset, policy(['reset']), true],
    ['reset: status 503', status(503), policy(['reset']), false],
    ['reset-before-request: not started', early, policy(['reset-before-request']), true],
    ['reset-before-request: started', reset, policy(['reset-before-request']), false],
    ['connect-failure: refused stream', refused, policy(['connect-failure']), false],
    ['retriable-4xx: 409', status(409), policy(['retriable-4xx']), true],
    ['retriable-4xx: 404', status(404), policy(['retriable-4xx']), false],
    [
      'rate limited needs its own token',
      status(503, { rateLimited: true }),
      policy(['5xx']),
      false,
    ],
    ['rate limited', status(429, { rateLimited: true }), policy(['envoy-ratelimited']), true],
    ['overloaded is never retried', status(503, { overloaded: true }), policy(['5xx']), false],
    ['grpc deadline', status(200, { grpcStatus: 4 }), policy(['deadline-exceeded']), true],
    [
      'grpc resource-exhausted',
      status(200, { grpcStatus: 8 }),
      policy(['resource-exhausted']),
      true,
    ],
    ['overflow is never retried', { kind: 'overflow' }, policy(['5xx', 'reset']), false],
    [
      'retriable-headers: named',
      status(200, { header: 'x-retry' }),
      policy(['retriable-headers']),
      true,
    ],
    ['retriable-headers: not there', status(200), policy(['retriable-headers']), false],
    [
      'retriable-headers: token missing',
      status(200, { header: 'x-retry' }),
      policy(['5xx']),
      false,
    ],
    ['5xx ends at 599', status(600), policy(['5xx']), false],
    ['attempts 0 disables', connect, policy(DEFAULT, { attempts: 0 }), false],
  ];
  test.each(rows)('%s', (_title, failure, retryPolicy, want) => {
    expect(retryDecision(failure, retryPolicy, FIRST).retry).toBe(want);
  });

  test('attempts counts retries, not tries, and the reason says that they are used', () => {
    expect(retryDecision(connect, policy(DEFAULT), { tries: 2, before: 1 }).retry).toBe(true);
    expect(retryDecision(connect, policy(DEFAULT), { tries: 3, before: 1 })).toEqual({
      retry: false,
      reason: 'all 2 retries are used',
      flag: 'URX',
    });
  });

  /** [title, failure, before, retry] */
  const hops: [string, TryFailure, number, boolean][] = [
    ['a status of a first time', status(503), 1, true],
    ['a status of a request that is repeated before us', status(503), 2, false],
    ['a reset of one', reset, 2, false],
    ['a timeout of one', timeout, 2, false],
    ['a connect failure of one: nobody saw it', connect, 2, true],
    ['a refused stream of one', refused, 2, true],
    ['a reset before the request of one', early, 2, true],
    ['a status after one try behind us', status(503, { attempts: 1 }), 1, true],
    ['a status after three tries behind us', status(503, { attempts: 3 }), 1, false],
    ['a status with a count that is no number', status(503, { attempts: Number.NaN }), 1, true],
  ];
  test.each(hops)('along a path of proxies: %s', (_title, failure, before, want) => {
    const retryPolicy = policy(['5xx', 'reset', ...DEFAULT]);
    expect(retryDecision(failure, retryPolicy, { tries: 1, before }).retry).toBe(want);
  });

  test('the reason names the token that matched, or what was not named', () => {
    expect(retryDecision(connect, policy(DEFAULT), FIRST).reason).toBe(
      'retryOn connect-failure: connect failure',
    );
    expect(retryDecision(status(500), policy(DEFAULT), FIRST).reason).toBe(
      'retryOn does not name status 500',
    );
  });
});

test('retryDelayMs stays under an exponential bound capped at ten times the base', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.integer(), (retry, seed) => {
      const delay = retryDelayMs({ baseMs: 25, maxMs: undefined, retry }, seededRandom(seed));
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThan(Math.min(25 * 2 ** (retry - 1), 250) + 1e-9);
    }),
  );
});

test('retryDelayMs keeps to the given ceiling', () => {
  const random = { ...seededRandom(1), fraction: () => 1 - 1e-9 };
  expect(Math.round(retryDelayMs({ baseMs: 25, maxMs: 60, retry: 9 }, random))).toBe(60);
});

describe('RetryBudget', () => {
  const made = (policy?: Parameters<RetryBudget['configure']>[0], retriesMax?: number) => {
    const budget = new RetryBudget();
    budget.configure(policy, retriesMax);
    return budget;
  };
  const taken = (budget: RetryBudget, active: number, nowMs = 0) => {
    let count = 0;
    while (count < 1000 && budget.acquire(active, nowMs)) count += 1;
    return count;
  };

  test('allows three at least, then a fifth of the active requests', () => {
    const budget = made();
    expect([taken(budget, 1), taken(budget, 20), taken(budget, 100)]).toEqual([3, 1, 16]);
    budget.release();
    expect(taken(budget, 100)).toBe(1);
  });

  test('maxRetries caps it', () => {
    expect(taken(made(undefined, 1), 100)).toBe(1);
  });

  test('the policy sets share and minimum', () => {
    const policy = { percent: 50, minRetryConcurrency: 1, intervalMs: 0 };
    expect([taken(made(policy), 1), taken(made(policy), 10)]).toEqual([1, 5]);
  });

  test('with an interval the requests of that time count', () => {
    const budget = made({ percent: 10, minRetryConcurrency: 0, intervalMs: 1000 });
    expect(budget.countsRequests).toBe(true);
    for (let count = 0; count < 100; count += 1) budget.request(1000 + count);
    expect(taken(budget, 1, 1500)).toBe(10);
    expect(taken(budget, 1, 2600)).toBe(0);
    for (let count = 0; count < 10; count += 1) budget.release();
    expect(taken(budget, 1, 2600)).toBe(10);
    for (let count = 0; count < 10; count += 1) budget.release();
    expect(taken(budget, 1, 9000)).toBe(0);
  });
});
