/**
 * `bun test/bench/micro-routes.ts`: what finding a route costs in tables of 10, 100 and 10,000 routes, for the shapes that tables
 * have. Best of several runs; the column to look at is the ratio of the largest table to the smallest.
 */
import { systemClock } from '#base/clock.ts';
import { compileRoutes } from '#model/route/compile.ts';
import { HostTable } from '#model/route/host-table.ts';
import { matchRoutes } from '#model/route/match.ts';
import type { RequestView } from '#model/route/request-view.ts';
import type { Route, RouteMatch } from '#model/route/route-table.ts';

const RUNS = 9;
const LOOKUPS = 200_000;
const SIZES = [10, 100, 10_000] as const;
const ANY: RouteMatch = { headers: [], withoutHeaders: [], queryParams: [] };

function routeOf(index: number, match: Partial<RouteMatch>): Route {
  return {
    name: String(index),
    provenance: { kind: 'VirtualService', namespace: 'shop', name: 'p' },
    matches: [{ ...ANY, ...match }],
    action: { kind: 'respond', status: 200 },
    retries: { attempts: 0, on: [], statusCodes: [], backoffBaseMs: 25 },
  };
}

function viewOf(path: string, headers: Readonly<Record<string, string>> = {}): RequestView {
  return { method: 'GET', scheme: 'http', authority: 'p', path, getAll: (name) => headers[name] };
}

/** Routes by number, and requests for the last ones: in order they would be found last. */
const SHAPES: Record<string, [(at: number) => Partial<RouteMatch>, (at: number) => RequestView]> = {
  'exact path': [
    (at) => ({ path: { kind: 'exact', value: `/api/v1/items/${at + 10_000}` } }),
    (at) => viewOf(`/api/v1/items/${at + 10_000}`),
  ],
  'path prefix': [
    (at) => ({ path: { kind: 'path-prefix', value: `/api/v1/items/${at + 10_000}` } }),
    (at) => viewOf(`/api/v1/items/${at + 10_000}/detail?currency=EUR`),
  ],
  'path prefix and header': [
    (at) => ({
      path: { kind: 'prefix', value: '/api/' },
      headers: [{ name: 'x-tenant', match: { kind: 'exact', value: `t${at + 10_000}` } }],
    }),
    (at) => viewOf('/api/v1/items', { 'x-tenant': `t${at + 10_000}` }),
  ],
  'regex of a path': [
    (at) => ({ path: { kind: 'regex', value: `/api/v1/items/${at + 10_000}/[a-z]+` } }),
    (at) => viewOf(`/api/v1/items/${at + 10_000}/detail`),
  ],
};

/** Nanoseconds a look-up, the best of the runs. Sizes take turns, so that a busy moment hits all of them. */
function measure(lookUps: readonly ((turn: number) => unknown)[]): number[] {
  const best = lookUps.map(() => Number.POSITIVE_INFINITY);
  for (let run = 0; run < RUNS; run += 1) {
    lookUps.forEach((lookUp, index) => {
      const start = systemClock.now();
      for (let turn = 0; turn < LOOKUPS; turn += 1) {
        if (lookUp(turn) === undefined) throw new Error('a route was not found');
      }
      best[index] = Math.min(best[index], ((systemClock.now() - start) * 1e6) / LOOKUPS);
    });
  }
  return best;
}

function print(title: string, best: readonly number[]): void {
  const columns = best.map((value) => `${value.toFixed(0)} ns`.padStart(9));
  const ratio = (best[best.length - 1] / best[0]).toFixed(2);
  console.log(`${title.padEnd(26)}${columns.join('')}   ${ratio}x`);
}

console.log(`${'routes'.padEnd(26)}${SIZES.map((size) => String(size).padStart(9)).join('')}`);
for (const [title, [match, view]] of Object.entries(SHAPES)) {
  const lookUps = SIZES.map((size) => {
    const routes = Array.from({ length: size }, (_, at) => routeOf(at, match(at)));
    const compiled = compileRoutes(routes, (problem) => {
      throw new Error(problem);
    });
    // The same few requests over and over, as memory that is cold for each would be measured otherwise.
    const views = Array.from({ length: 8 }, (_, at) => view(size - 1 - at));
    return (turn: number) => matchRoutes(compiled, views[turn & 7]);
  });
  print(title, measure(lookUps));
}
const hosts = SIZES.map((size) => {
  const patterns = Array.from({ length: size }, (_, at) => ({
    pattern: at % 2 === 0 ? `shop${at + 10_000}.example.com` : `*.shop${at + 10_000}.example.com`,
    value: at,
  }));
  const table = new HostTable(patterns);
  return (turn: number) =>
    table.find(
      turn % 2 === 0 ? `shop${size + 9998}.example.com:8443` : `a.shop${size + 9999}.example.com`,
    );
});
print('virtual host', measure(hosts));
