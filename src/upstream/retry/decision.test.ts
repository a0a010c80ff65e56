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
    ['grpc deadline', status(200, { grpcStatus: 4 }), policy(['deadline-exceeded']), true],
    [
      'grpc resource-exhausted',
      status(200, { grpcStatus: 8 }),
      policy(['resource-exhausted']),
      true,
    ],
    ['overflow is never retried', { kind: 'overflow' }, policy(['5xx', 'reset']), false],
    ['attempts 0 disables', connect, policy(DEFAULT, { attempts: 0 }), false],
  ];
  test.each(rows)('%s', (_title, failure, retryPolicy, want) => {
    expect(retryDecision(failure, retryPolicy, 1).retry).toBe(want);
  });

  test('attempts counts retries, not tries, and the reason says that they are used', () => {
    expect(retryDecision(connect, policy(DEFAULT), 2).retry).toBe(true);
    expect(retryDecision(connect, policy(DEFAULT), 3)).toEqual({
      retry: false,
      reason: 'all 2 retries are used',
    });
  });

  test('the reason names the token that matched, or what was not named', () => {
    expect(retryDecision(connect, policy(DEFAULT), 1).reason).toBe(
      'retryOn connect-failure: connect failure',
    );
    expect(retryDecision(status(500), policy(DEFAULT), 1).reason).toBe(
      'retryOn does not name status 500',
    );
  });
});

test('retryDelayMs stays under an exponential bound capped at ten times the base', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.integer(), (retry, seed) => {
      const delay = retryDelayMs(25, retry, seededRandom(seed));
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThan(Math.min(25 * 2 ** (retry - 1), 250) + 1e-9);
    }),
  );
});

describe('RetryBudget', () => {
  test('allows three at least, then a fifth of the active requests', () => {
    const budget = new RetryBudget();
    expect([1, 1, 1, 1].map((active) => budget.acquire(active))).toEqual([true, true, true, false]);
    expect(budget.acquire(20)).toBe(true);
    expect(budget.acquire(20)).toBe(false);
    budget.release();
    expect(budget.acquire(20)).toBe(true);
  });

  test('maxRetries caps it', () => {
    const budget = new RetryBudget();
    budget.retriesMax = 1;
    expect([budget.acquire(100), budget.acquire(100)]).toEqual([true, false]);
  });
});
