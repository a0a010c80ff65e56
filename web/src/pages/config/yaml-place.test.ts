import { describe, expect, test } from 'bun:test';
import { keysBeside, lineOf, parseFieldPath, placeAt, scalarAt } from './yaml-place.ts';

const TEXT = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: products
spec:
  hosts:
    - products
  http:
    - match:
        - uri:
            prefix: /old
      redirect:
        uri: /new
    # the rest
    - route:
      - destination:
          host: products
        weight: 90
      - destination:
          host: products
          subset: canary
`;

describe('lineOf', () => {
  const rows: [path: string, line: number][] = [
    ['metadata.name', 4],
    ['spec.hosts[0]', 7],
    ['spec.http[0].match[0].uri.prefix', 11],
    ['spec.http[0].redirect', 12],
    ['spec.http[1].route[0].weight', 18],
    ['spec.http[1].route[1].destination.subset', 21],
    ['spec.http[1].timeout', 15],
    ['status', 1],
  ];
  for (const [path, line] of rows)
    test(`lineOf ${path} is ${line}`, () => expect(lineOf(TEXT, parseFieldPath(path))).toBe(line));
});

describe('placeAt', () => {
  /** The caret stands at |. */
  const at = (text: string) => placeAt(text.replace('|', ''), text.indexOf('|'));

  test('placeAt knows the object that a new key goes into', () => {
    expect(at('spec:\n  http:\n    - route:\n        - dest|')).toMatchObject({
      parent: ['spec', 'http', 0, 'route', 0],
      key: 'dest',
      isValue: false,
    });
  });

  test('placeAt on an empty line goes by how far it is indented', () => {
    const text = 'spec:\n  http:\n    - route:\n        - weight: 1\n';
    expect(at(`${text}      |`).parent).toEqual(['spec', 'http', 0]);
    expect(at(`${text}  |`).parent).toEqual(['spec']);
    expect(at(`${text}|`).parent).toEqual([]);
  });

  test('placeAt counts the items of a list, and those of a list within anew', () => {
    const text = 'a:\n- b:\n  - c: 1\n  - c: 2\n- b:\n  - |';
    expect(at(text).parent).toEqual(['a', 1, 'b', 0]);
  });

  test('placeAt behind a colon is a value', () => {
    expect(at('spec:\n  mtls:\n    mode: STR|')).toMatchObject({
      parent: ['spec', 'mtls'],
      key: 'mode',
      isValue: true,
      value: 'STR',
    });
  });

  test('placeAt forgets what was before a new document', () => {
    expect(at('spec:\n  a: 1\n---\nki|')).toMatchObject({ parent: [], key: 'ki' });
    expect(at('a:\n- b: 1\n---\na:\n- c|').parent).toEqual(['a', 0]);
  });
});

test('parseFieldPath reads names, indexes and quoted names', () => {
  expect(parseFieldPath('spec.http[0].headers["x.y"].exact')).toEqual([
    'spec',
    'http',
    0,
    'headers',
    'x.y',
    'exact',
  ]);
  expect(parseFieldPath('')).toEqual([]);
});

test('scalarAt reads a value, without quotes and comments', () => {
  expect(scalarAt(TEXT, ['metadata', 'name'])).toBe('products');
  expect(scalarAt(TEXT, ['metadata', 'namespace'])).toBe('');
  expect(scalarAt('kind: "Service" # of ours\n', ['kind'])).toBe('Service');
});

test('keysBeside are those of the same object, above and below the caret', () => {
  const text = 'spec:\n  http:\n    - match: 1\n      |\n      timeout: 2s\n    - route: 1\n';
  expect([...keysBeside(text.replace('|', ''), text.indexOf('|'))]).toEqual(['match', 'timeout']);
});
