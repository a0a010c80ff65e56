import { describe, expect, test } from 'bun:test';
import { changeNameProblem, claimPath, matchNameProblem, valueProblem } from './header-names.ts';
import {
  exportToProblems,
  gatewayNameProblem,
  hostProblem,
  labelProblems,
  portProblem,
  scopedHostProblem,
  subnetProblem,
} from './names.ts';

const LONG = 'a'.repeat(64);

describe('names.ts takes and refuses', () => {
  const rows: [string, (text: string) => string | undefined, string[], string[]][] = [
    [
      'hosts',
      hostProblem,
      ['*', 'reviews', 'a.b.', '*.a.b', '*-x.a', '*x.a', '10.0.0.1', 'fd00::1', 'A.b'],
      [
        '',
        'a..b',
        'a.*.b',
        'foo.*',
        '-a.b',
        'a.1',
        `${LONG}.b`,
        'a_b.c',
        'a/b',
        `${'a.'.repeat(128)}a`,
      ],
    ],
    [
      'hosts of Gateways',
      (host) => scopedHostProblem(host, 'Gateway'),
      ['*', '*.a.b', 'ns/a.b', './a.b', '*/a.b', '*/*', 'ns/*', '1.2.3.4'],
      ['foo', '~/a.b', '/a.b', 'ns/', 'n_s/a.b', '*a.b', 'ns/a', 'a.*.b', 'a.b/c/d'],
    ],
    [
      'hosts of Sidecars',
      (host) => scopedHostProblem(host, 'Sidecar'),
      ['*/*', './*', '~/*', '~ns/a.b', 'ns/*.a.b', 'ns/a.b'],
      ['a.b', 'ns/a', 'ns/*a.b', '/', '~Invalid_NS/*', '1.2.3.4', 'ns/1.2.3.4'],
    ],
    [
      'names of Gateways',
      gatewayNameProblem,
      ['gateway', 'mesh', 'ns/gateway', 'gateway.ns.svc.cluster.local'],
      ['', '*/gateway', 'ns/', '/gateway', 'ns/a.b', 'a/b/c', 'gate_way'],
    ],
    [
      'subnets',
      subnetProblem,
      ['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', 'fd00::/64', '::1'],
      [
        '',
        '10.0.0',
        '10.0.0.0/33',
        '10.0.0.0/-1',
        '10.0.0.0/08',
        '10.0.0.0/8/8',
        'a/8',
        'fd00::/129',
      ],
    ],
    [
      'ports',
      (port) => portProblem(Number(port)),
      ['1', '80', '65535'],
      ['0', '-1', '65536', '1.5', 'x'],
    ],
    [
      'header names in matches',
      matchNameProblem,
      ['x-a', 'X_a', ':method', ':path', '@request.auth.claims.a', '@request.auth.claims[a][b]'],
      ['', ':unknown', 'a b', 'a:b', '@request.auth.claims', '@request.auth.claims[]'],
    ],
    [
      'header names to change in requests',
      (name) => changeNameProblem(name, 'authority'),
      ['x-a', 'host', ':authority', 'Host'],
      ['', ':path', 'a b', '""'],
    ],
    [
      'header names to change in responses',
      (name) => changeNameProblem(name, 'refused'),
      ['x-a'],
      ['', 'host', ':authority', ':status'],
    ],
    [
      'header values',
      valueProblem,
      [
        '',
        'text',
        '100%%',
        '%HOSTNAME%',
        'a %REQ(X)% b',
        '%DYNAMIC_METADATA(["a", "b"])%',
        'tab\tis fine',
      ],
      [
        '%',
        'abcd%oijasodifj',
        'abc%123',
        '%START_TIME%%',
        '%REQ(%',
        'a\nb',
        '\u0000',
        `${'a'.repeat(5000)}%`,
      ],
    ],
  ];
  test.each(rows)('%s', (_title, problem, taken, refused) => {
    expect(taken.filter((text) => problem(text) !== undefined)).toEqual([]);
    expect(refused.filter((text) => problem(text) === undefined)).toEqual([]);
  });

  test('labels', () => {
    expect(labelProblems({ app: 'web', 'a.b/c': '', x_y: '1.2' })).toEqual([]);
    expect(labelProblems({ '*': 'a' })).toHaveLength(1);
    expect(labelProblems({ a: '*' })).toHaveLength(1);
    expect(labelProblems({ '': 'a', [LONG]: 'b' })).toHaveLength(2);
  });

  /** [exportTo, problems in namespace shop] */
  const EXPORTS: [string[], number][] = [
    [[], 0],
    [['*'], 0],
    [['.', 'other'], 0],
    [['.', 'shop'], 1],
    [['a', 'a'], 1],
    [['*', 'other'], 1],
    [['~'], 1],
    [['a_b'], 1],
  ];
  test.each(EXPORTS)('exportTo %p', (exportTo, count) => {
    expect(exportToProblems(exportTo, 'shop')).toHaveLength(count);
  });
});

describe('header-names.ts reads', () => {
  test('claims from header names, either way of writing', () => {
    expect(claimPath('@request.auth.claims.a.b')).toEqual(['a', 'b']);
    expect(claimPath('@Request.Auth.Claims[https://x.y/a][b]')).toEqual(['https://x.y/a', 'b']);
    expect(claimPath('x-request.auth.claims.a')).toBeUndefined();
  });
});
