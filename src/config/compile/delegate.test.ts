import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { compileRoutes } from '#model/route/compile.ts';
import { matchRoutes } from '#model/route/match.ts';
import type { RequestView } from '#model/route/request-view.ts';
import { service, virtualService } from '#test/support/compile-fixtures.ts';
import { mergeRule } from './delegate.ts';
import { buildRouteTable } from './route-table.ts';
import { waypointProxy } from './source-condition.ts';
import { compileVirtualServices } from './virtual-service.ts';
import type {
  HttpMatchSpec,
  HttpRouteSpec,
  StringMatchSpec,
  VirtualServiceSpec,
} from './virtual-service-kinds.ts';

const A = service('a');
const TO_A = [{ destination: { host: 'a' } }];

function merged(root: HttpMatchSpec, leaf: HttpMatchSpec): HttpMatchSpec[] | string {
  const result = mergeRule({ match: [root] }, { match: [leaf], route: TO_A });
  return 'conflict' in result ? result.conflict : (result.rule.match as HttpMatchSpec[]);
}

describe('mergeRule', () => {
  const uri = (match: StringMatchSpec): HttpMatchSpec => ({ uri: match });
  /** [title, root, leaf, conflict or undefined] */
  const rows: [string, HttpMatchSpec, HttpMatchSpec, string | undefined][] = [
    ['nothing and something', {}, uri({ exact: '/a' }), undefined],
    ['something and nothing', uri({ exact: '/a' }), {}, undefined],
    ['a prefix and a longer one', uri({ prefix: '/a' }), uri({ prefix: '/a/b' }), undefined],
    ['a prefix and an exact path below', uri({ prefix: '/a' }), uri({ exact: '/ab' }), undefined],
    ['a prefix and a shorter one', uri({ prefix: '/a/b' }), uri({ prefix: '/a' }), 'uri'],
    ['a prefix and a path elsewhere', uri({ prefix: '/a' }), uri({ exact: '/b' }), 'uri'],
    ['one path', uri({ exact: '/a' }), uri({ exact: '/a' }), undefined],
    ['two paths', uri({ exact: '/a' }), uri({ exact: '/b' }), 'uri'],
    ['a path and a prefix', uri({ exact: '/a' }), uri({ prefix: '/a' }), 'uri'],
    ['a regex of the root', uri({ regex: '/a' }), uri({ exact: '/a' }), 'uri'],
    ['a regex of the delegate', uri({ prefix: '/a' }), uri({ regex: '/a.*' }), 'uri'],
    ['a regex and no condition', {}, uri({ regex: '/a.*' }), undefined],
    [
      'presence and a value',
      { headers: { a: {} } },
      { headers: { a: { exact: 'x' } } },
      'headers[a]',
    ],
    [
      'different headers',
      { headers: { a: { exact: 'x' } } },
      { headers: { b: { exact: 'y' } } },
      undefined,
    ],
    [
      'what excludes less',
      { withoutHeaders: { a: { prefix: 'x' } } },
      { withoutHeaders: { a: { exact: 'xy' } } },
      'withoutHeaders[a]',
    ],
    [
      'query parameters',
      { queryParams: { q: { exact: '1' } } },
      { queryParams: { q: { exact: '2' } } },
      'queryParams[q]',
    ],
    ['letter case', { ignoreUriCase: true }, {}, 'ignoreUriCase'],
    ['ports', { port: 80 }, { port: 81 }, 'port'],
    ['a port and none', { port: 80 }, {}, undefined],
    ['namespaces', { sourceNamespace: 'x' }, { sourceNamespace: 'y' }, 'sourceNamespace'],
    ['a namespace and none', { sourceNamespace: 'x' }, {}, 'sourceNamespace'],
    ['labels', { sourceLabels: { a: '1' } }, { sourceLabels: { a: '2' } }, 'sourceLabels[a]'],
    ['more labels', { sourceLabels: { a: '1' } }, { sourceLabels: { b: '2' } }, undefined],
    ['gateways', { gateways: ['x'] }, { gateways: ['x', 'y'] }, 'gateways'],
    ['fewer gateways', { gateways: ['x', 'y'] }, { gateways: ['y'] }, undefined],
    ['methods', { method: { exact: 'GET' } }, { method: { exact: 'PUT' } }, 'method'],
  ];
  test.each(rows)('judges %s', (_title, root, leaf, conflict) => {
    const result = merged(root, leaf);
    if (conflict === undefined) expect(result).toHaveLength(1);
    else expect(result).toBe(`match 0 is not within a match of the root: ${conflict}`);
  });

  test('joins names and maps, and pairs each match with each that holds it', () => {
    const result = mergeRule(
      {
        name: 'root',
        match: [
          { name: 'r1', uri: { prefix: '/' }, headers: { a: { exact: '1' } } },
          { name: 'r2', uri: { prefix: '/x' } },
          { uri: { prefix: '/other' } },
        ],
      },
      { name: 'leaf', match: [{ name: 'l', uri: { exact: '/x/y' }, headers: { b: {} } }] },
    );
    expect(result).toMatchObject({
      rule: {
        name: 'root-leaf',
        match: [
          { name: 'r1-l', uri: { exact: '/x/y' }, headers: { a: { exact: '1' }, b: {} } },
          { name: 'r2-l', uri: { exact: '/x/y' }, headers: { b: {} } },
        ],
      },
    });
  });

  /** Each is taken from the root where the delegate has none. */
  const INHERITED: HttpRouteSpec = {
    rewrite: { uri: '/r' },
    timeout: '1s',
    retries: { attempts: 1 },
    fault: { abort: { httpStatus: 500, percentage: { value: 1 } } },
    mirror: { host: 'm' },
    mirrorPercentage: { value: 1 },
    corsPolicy: { allowOrigin: ['x'] },
    headers: { request: { remove: ['x'] } },
  };
  test.each(Object.keys(INHERITED) as (keyof HttpRouteSpec)[])('inherits %s', (field) => {
    const own = { [field]: {} } as HttpRouteSpec;
    const taken = mergeRule({ ...INHERITED, delegate: { name: 'x' } }, { route: TO_A });
    const kept = mergeRule({ ...INHERITED, delegate: { name: 'x' } }, { route: TO_A, ...own });
    expect(taken).toMatchObject({ rule: { [field]: INHERITED[field] } });
    expect('rule' in kept && kept.rule[field]).toEqual({} as never);
    expect('rule' in taken && taken.rule.delegate).toBeUndefined();
  });

  test('never lets a delegate take what its root does not', () => {
    const words = fc.constantFrom('', '/', '/a', '/ab', '/a/b', '/b', 'x', 'xy');
    const text = fc.oneof(
      fc.record({ exact: words }),
      fc.record({ prefix: words.filter((word) => word !== '') }),
      fc.constant({}),
      fc.constant({ regex: '.*a.*' }),
    );
    const named = fc.dictionary(fc.constantFrom('h', 'i'), text, { maxKeys: 2 });
    const match: fc.Arbitrary<HttpMatchSpec> = fc.record(
      { uri: text, method: text, headers: named, withoutHeaders: named, queryParams: named },
      { requiredKeys: [] },
    );
    // One condition alone, so that pairs of them meet often.
    const value = fc.constantFrom({ exact: 'x' }, { exact: 'xy' }, { prefix: 'x' }, {});
    const single = fc
      .constantFrom('headers', 'withoutHeaders', 'queryParams')
      .chain((field) => value.map((each): HttpMatchSpec => ({ [field]: { h: each } })));
    const matches = fc.array(fc.oneof(match, single), { minLength: 1, maxLength: 2 });
    const request = fc.record({
      path: words.map((word) => `/${word}`),
      query: fc.constantFrom('', '?h=x', '?h=xy&i=/a'),
      method: words,
      headers: fc.dictionary(fc.constantFrom('h', 'i'), words, { maxKeys: 2 }),
    });
    fc.assert(
      fc.property(matches, matches, request, (root, leaf, each) => {
        const result = mergeRule({ match: root, delegate: {} }, { match: leaf });
        if ('conflict' in result) return;
        const view: RequestView = {
          method: each.method,
          scheme: 'http',
          authority: 'a',
          path: each.path + each.query,
          getAll: (name) => each.headers[name],
        };
        if (takes(result.rule.match ?? [], view)) {
          expect(takes(root, view)).toBe(true);
          expect(takes(leaf, view)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function takes(match: HttpRouteSpec['match'], view: RequestView): boolean {
  const { table, findings } = build({
    'shop/root': { hosts: ['a'], http: [{ match, route: TO_A }] },
  });
  const problems = findings.filter(({ level }) => level === 'error').map(({ message }) => message);
  const routes = compileRoutes(table.ports[0].routes, (problem) => problems.push(problem));
  expect(problems).toEqual([]);
  return matchRoutes(routes, view) !== undefined;
}

function build(objects: Record<string, VirtualServiceSpec>, defaultExportTo?: string[]) {
  const all = Object.entries(objects).map(([key, spec]) => {
    const [namespace, name] = key.split('/');
    return virtualService(spec, { namespace, name });
  });
  const compiled = compileVirtualServices(all, { domain: 'cluster.local', defaultExportTo });
  const { table, findings } = buildRouteTable({
    service: A,
    virtualServices: compiled.virtualServices,
    resolve: (hostname) => (hostname === A.hostname ? A : undefined),
    subsets: () => new Set(),
    proxy: waypointProxy('shop'),
  });
  return { table, findings: [...compiled.findings, ...findings] };
}

describe('mergeDelegates', () => {
  const root: VirtualServiceSpec = {
    hosts: ['a'],
    http: [
      { match: [{ uri: { prefix: '/x' } }], delegate: { name: 'leaf', namespace: 'other' } },
      { name: 'rest', route: TO_A },
    ],
  };
  const leaf: VirtualServiceSpec = {
    http: [
      {
        name: 'one',
        match: [{ uri: { prefix: '/x/1' } }],
        route: [{ destination: { host: 'b' } }],
      },
      { match: [{ uri: { prefix: '/y' } }], route: TO_A },
      { route: [{ destination: { host: 'a.shop.svc.cluster.local' } }] },
    ],
  };
  const routesOf = (objects: Record<string, VirtualServiceSpec>, defaults?: string[]) => {
    const { table, findings } = build(objects, defaults);
    return { names: table.ports[0].routes.map(({ name }) => name), table, findings };
  };

  test('puts the rules of the delegate in the place of the one that delegates', () => {
    const { table, names, findings } = routesOf({ 'shop/root': root, 'other/leaf': leaf });
    expect(names).toEqual(['one', 'root.0', 'rest']);
    const [one, two] = table.ports[0].routes;
    expect(one).toMatchObject({
      matches: [{ path: { kind: 'prefix', value: '/x/1' } }],
      provenance: { kind: 'VirtualService', namespace: 'shop', name: 'root', rule: 'one' },
      // A short name in the delegate means a service of the delegate's namespace.
      action: { destinations: [{ host: 'b.other.svc.cluster.local' }] },
    });
    expect(two).toMatchObject({
      matches: [{ path: { kind: 'prefix', value: '/x' } }],
      provenance: { rule: '0: other/leaf 2' },
    });
    expect(findings).toMatchObject([
      {
        code: 'IST0109',
        resource: 'VirtualService shop/root',
        path: 'spec.http[0].delegate',
        message:
          'rule 1 of VirtualService other/leaf is dropped: match 0 is not within a match of the root: uri',
      },
      { code: 'IST0101' },
    ]);
  });

  /** [title, objects beside the root, what is said] */
  const MISSING: [string, Record<string, VirtualServiceSpec>, string][] = [
    ['does not exist', {}, 'does not exist'],
    ['has hosts', { 'other/leaf': { ...leaf, hosts: ['x.y'] } }, 'has hosts'],
    ['is private', { 'other/leaf': { ...leaf, exportTo: ['.'] } }, 'is not exported'],
  ];
  test.each(MISSING)('goes on to the next rule when the delegate %s', (_title, more, said) => {
    const { names, findings } = routesOf({ 'shop/root': root, ...more });
    expect(names).toEqual(['rest']);
    expect(findings).toMatchObject([{ code: 'IST0101', path: 'spec.http[0].delegate' }]);
    expect(findings[0].message).toContain(said);
  });

  test('knows the default export', () => {
    const objects = { 'shop/root': root, 'other/leaf': leaf };
    expect(routesOf(objects, ['.']).names).toEqual(['rest']);
    expect(routesOf(objects, ['shop']).names).toHaveLength(3);
  });
});
