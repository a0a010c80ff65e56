import { describe, expect, test } from 'bun:test';
import { compileRoutes } from './compile.ts';
import { matchRoutes } from './match.ts';
import type { RequestView } from './request-view.ts';
import type { Route, TextMatch } from './route-table.ts';

const CLAIMS: Record<string, string | readonly string[]> = {
  sub: 'alice',
  'realm.roles': ['reader', 'writer'],
};
const GET: RequestView = {
  method: 'GET',
  scheme: 'http',
  authority: 'a',
  path: '/',
  getAll: () => undefined,
};
const VERIFIED: RequestView = { ...GET, claim: (path) => CLAIMS[path.join('.')] };

function takes(path: string[], match: TextMatch, negated: boolean, request: RequestView): boolean {
  const claims = [{ path, match, negated }];
  const route: Route = {
    name: 'r',
    provenance: { kind: 'VirtualService', namespace: 'shop', name: 'r' },
    matches: [{ headers: [], withoutHeaders: [], queryParams: [], claims }],
    action: { kind: 'respond', status: 200 },
    retries: { attempts: 0, on: [], statusCodes: [], backoffBaseMs: 25 },
  };
  const problems: string[] = [];
  const taken = matchRoutes(
    compileRoutes([route], (problem) => problems.push(problem)),
    request,
  );
  expect(problems).toEqual([]);
  return taken !== undefined;
}

describe('matchRoutes with claims', () => {
  const exact = (value: string): TextMatch => ({ kind: 'exact', value });
  /** [title, path, match, with a token, without] */
  const rows: [string, string[], TextMatch, boolean, boolean][] = [
    ['a string', ['sub'], exact('alice'), true, false],
    ['another string', ['sub'], exact('bob'), false, false],
    ['presence', ['sub'], { kind: 'present' }, true, false],
    ['presence of what is absent', ['email'], { kind: 'present' }, false, false],
    ['any of a list', ['realm', 'roles'], { kind: 'prefix', value: 'wri' }, true, false],
    ['none of a list', ['realm', 'roles'], exact('admin'), false, false],
  ];
  test.each(rows)('%s', (_title, path, match, verified, anonymous) => {
    expect(takes(path, match, false, VERIFIED)).toBe(verified);
    expect(takes(path, match, false, GET)).toBe(anonymous);
    expect(takes(path, match, true, VERIFIED)).toBe(!verified);
    expect(takes(path, match, true, GET)).toBe(!anonymous);
  });
});
