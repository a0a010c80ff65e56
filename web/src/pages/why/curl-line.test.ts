import { describe, expect, test } from 'bun:test';
import { formatCurl, formatWhyCommand, parseCurl, shellWords } from './curl-line.ts';

test('shellWords takes quotes and backslashes as a shell does', () => {
  expect(shellWords(`curl -H 'a: "b"' "x \\"y\\"" z\\ w \\\n -I`)).toEqual([
    'curl',
    '-H',
    'a: "b"',
    'x "y"',
    'z w',
    '-I',
  ]);
});

describe('parseCurl', () => {
  test('parseCurl reads address, method and headers', () => {
    const line = `kubectl exec -n shop deploy/web -- curl -s -X delete -H 'X-Canary: true' -m 3 "http://products:8080/a?b=1"`;
    expect(parseCurl(line).request).toEqual({
      destination: { host: 'products', port: 8080 },
      method: 'DELETE',
      path: '/a?b=1',
      headers: { 'x-canary': 'true' },
    });
  });

  test('parseCurl of a body is a POST, of -I a HEAD', () => {
    expect(parseCurl("curl -d '{}' products").request?.method).toBe('POST');
    expect(parseCurl("curl -X PUT -d '{}' products").request?.method).toBe('PUT');
    expect(parseCurl('curl -I https://shop.example').request).toMatchObject({
      method: 'HEAD',
      protocol: 'https',
      destination: { port: 443 },
    });
  });

  const wrong: [line: string, problem: string][] = [
    ['wget x', 'The line has no curl in it'],
    ['curl -s', 'The line names no address'],
    ['curl ftp://x', 'ftp:// is not HTTP'],
    ['curl http://a:b:c', 'http://a:b:c is not an address'],
  ];
  for (const [line, problem] of wrong)
    test(`parseCurl of "${line}" says: ${problem}`, () =>
      expect(parseCurl(line).problem).toBe(problem));

  test('parseCurl reads back what formatCurl writes', () => {
    const request = {
      destination: { host: 'products', port: 8080 },
      method: 'PUT',
      path: "/it's?q=1 2",
      headers: { 'x-a': 'b c' },
    };
    expect(parseCurl(formatCurl(request)).request).toEqual({ ...request, path: "/it's?q=1%202" });
  });
});

test('formatWhyCommand is the line that asks the same', () => {
  const request = {
    source: { namespace: 'shop', serviceAccount: 'web' },
    destination: { host: 'products', port: 80 },
    path: '/a',
    headers: { 'x-canary': 'true' },
  };
  expect(formatWhyCommand(request)).toBe(
    "tulle why --from shop/web --to products:80 --path /a --header 'x-canary: true'",
  );
});
