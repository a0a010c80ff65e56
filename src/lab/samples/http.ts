/**
 * A small HTTP service that says who answered. It can be told to fail or to be slow:
 *
 *   /_sample/fail?status=500&count=3   the next three requests fail     /_sample/fail?for=10s   for ten seconds
 *   /_sample/fail?off                  back to normal                   /_sample/delay?ms=200   every answer waits
 */
import { type Clock, sleep, systemClock } from '#base/clock.ts';

type Environment = Record<string, string | undefined>;

export interface SampleState {
  failStatus: number;
  /** Requests that still fail. */
  failCount: number;
  /** On the clock; requests before it fail. */
  failUntil: number;
  delayMs: number;
}

export function newState(): SampleState {
  return { failStatus: 500, failCount: 0, failUntil: 0, delayMs: 0 };
}

/** Applies a `/_sample/…` request; undefined when there is no such command. */
export function control(state: SampleState, url: URL, nowMs: number): string | undefined {
  const { searchParams: query } = url;
  if (url.pathname === '/_sample/delay') {
    state.delayMs = Math.max(0, Number(query.get('ms') ?? 0) || 0);
    return `delay ${state.delayMs} ms\n`;
  }
  if (url.pathname !== '/_sample/fail')
    return url.pathname === '/_sample/ready' ? 'ready\n' : undefined;
  if (query.has('off')) {
    state.failCount = 0;
    state.failUntil = 0;
    return 'healthy\n';
  }
  const status = Number(query.get('status') ?? 500);
  state.failStatus = Number.isInteger(status) && status >= 200 && status <= 599 ? status : 500;
  const seconds = query.get('for');
  state.failUntil = seconds === null ? 0 : nowMs + durationMs(seconds);
  const count = query.get('count');
  state.failCount =
    seconds !== null ? 0 : count === null ? Number.POSITIVE_INFINITY : Number(count) || 0;
  const extent = seconds ?? (count === null ? 'until /_sample/fail?off' : `${count} requests`);
  return `failing with ${state.failStatus}: ${extent}\n`;
}

/** `500ms`, `10s`, `2m`; a bare number is seconds. */
export function durationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text);
  if (match === null) return 0;
  const unit = { ms: 1, s: 1_000, m: 60_000 }[match[2] ?? 's'] ?? 1_000;
  return Number(match[1]) * unit;
}

/** True when this request has to fail; counts it. */
export function fails(state: SampleState, nowMs: number): boolean {
  if (nowMs < state.failUntil) return true;
  if (state.failCount <= 0) return false;
  state.failCount--;
  return true;
}

export function runHttpSample(environment: Environment, clock: Clock = systemClock): void {
  const state = newState();
  const identity = {
    service: environment.SERVICE ?? environment.HOSTNAME ?? '',
    version: environment.VERSION ?? '',
    pod: environment.POD_NAME ?? environment.HOSTNAME ?? '',
    node: environment.NODE_NAME ?? '',
  };
  const server = Bun.serve({
    hostname: '0.0.0.0',
    port: Number(environment.PORT ?? 8080),
    async fetch(request, instance) {
      const url = new URL(request.url);
      const answer = url.pathname.startsWith('/_sample/')
        ? control(state, url, clock.now())
        : undefined;
      if (answer !== undefined) return new Response(answer);
      if (state.delayMs > 0) await sleep(clock, state.delayMs);
      const failed = fails(state, clock.now());
      const body = {
        ...identity,
        path: url.pathname + url.search,
        remoteAddress: instance.requestIP(request)?.address,
        ...(url.searchParams.has('headers')
          ? { headers: Object.fromEntries(request.headers) }
          : {}),
        ...(failed ? { failed: true } : {}),
      };
      return new Response(`${JSON.stringify(body)}\n`, {
        status: failed ? state.failStatus : 200,
        headers: { 'content-type': 'application/json' },
      });
    },
  });
  // Finish what is running, then go: a rolling update loses no request.
  process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)));
}
