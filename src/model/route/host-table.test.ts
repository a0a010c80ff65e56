import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { compileHosts } from './host-table.ts';

const tableOf = (patterns: readonly string[]) =>
  compileHosts(patterns.map((pattern) => ({ domains: [pattern] })));
const find = (patterns: readonly string[], authority: string) =>
  tableOf(patterns).find(authority)?.domains[0];

describe('HostTable', () => {
  const all = ['a.example.com', '*.example.com', '*.b.example.com', '*', '[2001:db8::1]'];
  /** [authority, pattern that takes it] */
  const rows: [string, string][] = [
    ['a.example.com', 'a.example.com'],
    ['A.Example.COM', 'a.example.com'],
    ['a.example.com:8080', 'a.example.com'],
    ['c.example.com', '*.example.com'],
    ['c.d.example.com:80', '*.example.com'],
    ['c.b.example.com', '*.b.example.com'],
    ['b.example.com', '*.example.com'],
    ['example.com', '*'],
    ['.example.com', '*'],
    ['', '*'],
    ['[2001:db8::1]:80', '[2001:db8::1]'],
    ['2001:db8::1', '[2001:db8::1]'],
    ['xample.com', '*'],
  ];
  test.each(rows)('%p is taken by %p', (authority, want) => {
    expect(find(all, authority)).toBe(want);
  });

  test('without a pattern for it a host is not found, and of equal patterns the first stays', () => {
    expect(find(['a.b', '*.c'], 'b')).toBeUndefined();
    const first = { domains: ['x.y', 'z'] };
    const table = compileHosts([first, { domains: ['X.Y', 'w'] }]);
    expect(table.find('x.y')).toBe(first);
    expect(table.find('w')?.domains).toEqual(['X.Y', 'w']);
  });

  test('find takes the exact name, else the longest suffix', () => {
    const label = fc.constantFrom('a', 'b', 'ab', 'B');
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
    const pattern = fc.oneof(
      name,
      name.map((suffix) => `*.${suffix}`),
      fc.constant('*'),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(pattern, { selector: (text) => text.toLowerCase() }),
        name,
        (patterns, host) => {
          const lower = host.toLowerCase();
          const taking = patterns.filter((text) => {
            const low = text.toLowerCase();
            return (
              low === lower ||
              (low[0] === '*' && lower.endsWith(low.slice(1)) && lower.length >= low.length)
            );
          });
          const exact = taking.find((text) => text[0] !== '*');
          const longest = taking.sort((left, right) => right.length - left.length)[0];
          expect(find(patterns, `${host}:80`)).toBe(exact ?? longest);
        },
      ),
    );
  });
});
