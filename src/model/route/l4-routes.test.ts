import { expect, test } from 'bun:test';
import { compileL4Routes, type L4Request, matchL4 } from './l4-routes.ts';
import type { L4Match, L4Route } from './route-table.ts';

const route = (name: string, ...matches: Partial<L4Match>[]): L4Route => ({
  name,
  provenance: { kind: 'VirtualService', namespace: 'shop', name: 'p' },
  matches: matches.map((match) => ({
    sniHosts: [],
    destinationSubnets: [],
    sourceSubnets: [],
    ...match,
  })),
  destinations: [{ upstream: 'shop/p', host: 'p', port: 443, weight: 0 }],
});

/** [title, match, connection, taken] */
const rows: [string, Partial<L4Match>, L4Request, boolean][] = [
  ['no condition', {}, {}, true],
  ['exact name', { sniHosts: ['a.b'] }, { sni: 'A.b' }, true],
  ['another name', { sniHosts: ['a.b'] }, { sni: 'c.b' }, false],
  ['no name', { sniHosts: ['*'] }, {}, false],
  ['any name', { sniHosts: ['*'] }, { sni: 'x' }, true],
  ['a wildcard', { sniHosts: ['x', '*.b'] }, { sni: 'c.a.b' }, true],
  ['a wildcard needs something before it', { sniHosts: ['*.b'] }, { sni: 'b' }, false],
  ['destination', { destinationSubnets: ['10.0.0.0/8'] }, { destination: '10.1.1.1' }, true],
  ['other destination', { destinationSubnets: ['10.0.0.0/8'] }, { destination: '11.1.1.1' }, false],
  ['unknown destination', { destinationSubnets: ['0.0.0.0/0'] }, {}, false],
  ['source', { sourceSubnets: ['10.1.1.1'] }, { source: '10.1.1.1' }, true],
  ['AND', { sourceSubnets: ['10.1.1.1'], sniHosts: ['a'] }, { source: '10.1.1.1' }, false],
  [
    'an unreadable range takes nothing',
    { sourceSubnets: ['x', '0.0.0.0/0'] },
    { source: '1.1.1.1' },
    false,
  ],
];
test.each(rows)('matchL4: %s', (_title, match, connection, taken) => {
  const compiled = compileL4Routes([route('r', match)], () => undefined);
  expect(matchL4(compiled, connection) !== undefined).toBe(taken);
});

test('the first route wins, matches OR, a problem names object and route, a lone weight 0 counts', () => {
  const problems: string[] = [];
  const routes = [
    route('first', { sniHosts: ['a'] }, { sniHosts: ['b'] }),
    route('bad', { sourceSubnets: ['10/8'] }),
    route('last'),
  ];
  const compiled = compileL4Routes(routes, (problem) => problems.push(problem));
  expect(matchL4(compiled, { sni: 'b' })?.route.route.name).toBe('first');
  expect(matchL4(compiled, { sni: 'b' })?.reason).toBe('server name in b');
  expect(matchL4(compiled, { sni: 'c' })?.route.route.name).toBe('last');
  expect(matchL4(compiled, {})?.route.weightTotal).toBe(1);
  expect(problems).toEqual(['VirtualService shop/p, route bad: "10/8" is no address range']);
});
