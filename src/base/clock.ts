/**
 * The only place that reads time or starts timers; everything else is handed a `Clock`.
 * Tests hand in a `FakeClock` (test/support/fake-clock.ts) that runs the same suite.
 */

export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, fractional; only differences mean something. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  wallTime(): number;
  /** Runs `callback` once after `delayMs`. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` every `periodMs` until cancelled. */
  every(periodMs: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
  every(periodMs, callback) {
    const handle = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(handle) };
  },
};

/** Resolves after `delayMs` on the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}

/** Wall time as RFC 3339 with milliseconds, or whole seconds as Kubernetes writes it. */
export function rfc3339(clock: Clock, precision: 'ms' | 's' = 'ms'): string {
  const text = rfc3339At(clock.wallTime());
  return precision === 'ms' ? text : `${text.slice(0, 19)}Z`;
}

let lastWallTimeMs = Number.NaN;
let lastText = '';

/** A wall time that came from elsewhere (a certificate, an API object), with milliseconds. */
export function rfc3339At(wallTimeMs: number): string {
  // Log lines come many to a millisecond.
  if (wallTimeMs !== lastWallTimeMs) {
    lastText = new Date(wallTimeMs).toISOString();
    lastWallTimeMs = wallTimeMs;
  }
  return lastText;
}
