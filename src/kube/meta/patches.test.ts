import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { applyJsonPatch, PatchError } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { cloneJson, equalJson, isJsonObject } from './object.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

describe('applyJsonPatch', () => {
  const rows: { title: string; spec: string; doc: unknown; patch: unknown; want: unknown }[] = [
    {
      title: 'adds a member',
      spec: 'RFC 6902 A.1',
      doc: { foo: 'bar' },
      patch: [{ op: 'add', path: '/baz', value: 1 }],
      want: { foo: 'bar', baz: 1 },
    },
    {
      title: 'inserts into an array',
      spec: 'RFC 6902 A.2',
      doc: { foo: ['a', 'c'] },
      patch: [{ op: 'add', path: '/foo/1', value: 'b' }],
      want: { foo: ['a', 'b', 'c'] },
    },
    {
      title: 'appends with -',
      spec: 'RFC 6902 A.16',
      doc: { foo: ['a'] },
      patch: [{ op: 'add', path: '/foo/-', value: ['b'] }],
      want: { foo: ['a', ['b']] },
    },
    {
      title: 'removes a member',
      spec: 'RFC 6902 A.3',
      doc: { a: 1, b: 2 },
      patch: [{ op: 'remove', path: '/a' }],
      want: { b: 2 },
    },
    {
      title: 'removes an item',
      spec: 'RFC 6902 A.4',
      doc: { a: [1, 2, 3] },
      patch: [{ op: 'remove', path: '/a/1' }],
      want: { a: [1, 3] },
    },
    {
      title: 'replaces',
      spec: 'RFC 6902 A.5',
      doc: { a: 1 },
      patch: [{ op: 'replace', path: '/a', value: null }],
      want: { a: null },
    },
    {
      title: 'moves',
      spec: 'RFC 6902 A.6',
      doc: { a: { b: 1 }, c: {} },
      patch: [{ op: 'move', from: '/a/b', path: '/c/d' }],
      want: { a: {}, c: { d: 1 } },
    },
    {
      title: 'copies',
      spec: 'RFC 6902 §4.5',
      doc: { a: [1] },
      patch: [
        { op: 'copy', from: '/a', path: '/b' },
        { op: 'add', path: '/b/-', value: 2 },
      ],
      want: { a: [1], b: [1, 2] },
    },
    {
      title: 'tests',
      spec: 'RFC 6902 A.8',
      doc: { a: { y: 1, x: 2 } },
      patch: [{ op: 'test', path: '/a', value: { x: 2, y: 1 } }],
      want: { a: { y: 1, x: 2 } },
    },
    {
      title: 'reads ~1 and ~0',
      spec: 'RFC 6901 §4',
      doc: { 'a/b': 1, 'm~n': 2 },
      patch: [
        { op: 'replace', path: '/a~1b', value: 3 },
        { op: 'remove', path: '/m~0n' },
      ],
      want: { 'a/b': 3 },
    },
    {
      title: 'replaces the whole',
      spec: 'RFC 6901 §5',
      doc: { a: 1 },
      patch: [{ op: 'replace', path: '', value: { b: 2 } }],
      want: { b: 2 },
    },
  ];
  for (const { title, spec, doc, patch, want } of rows)
    test(`${title} (${spec})`, () => {
      const before = cloneJson(doc);
      expect(applyJsonPatch(doc, patch)).toEqual(want);
      expect(doc).toEqual(before);
    });

  const refused: { title: string; patch: unknown; reason: 'invalid' | 'mismatch' }[] = [
    { title: 'no array', patch: {}, reason: 'invalid' },
    { title: 'an unknown operation', patch: [{ op: 'merge', path: '/a' }], reason: 'invalid' },
    { title: 'a missing value', patch: [{ op: 'add', path: '/a' }], reason: 'invalid' },
    { title: 'a missing path', patch: [{ op: 'remove' }], reason: 'invalid' },
    {
      title: 'a pointer without its slash',
      patch: [{ op: 'remove', path: 'a' }],
      reason: 'invalid',
    },
    { title: 'a failed test', patch: [{ op: 'test', path: '/a', value: 2 }], reason: 'mismatch' },
    {
      title: 'removal of what is not there',
      patch: [{ op: 'remove', path: '/x' }],
      reason: 'mismatch',
    },
    {
      title: 'replacement of what is not there',
      patch: [{ op: 'replace', path: '/x', value: 1 }],
      reason: 'mismatch',
    },
    {
      title: 'an add below what is not there',
      patch: [{ op: 'add', path: '/x/y', value: 1 }],
      reason: 'mismatch',
    },
    {
      title: 'an index with a leading zero',
      patch: [{ op: 'remove', path: '/list/01' }],
      reason: 'mismatch',
    },
    {
      title: 'an index past the end',
      patch: [{ op: 'add', path: '/list/3', value: 1 }],
      reason: 'mismatch',
    },
    {
      title: 'a move into itself',
      patch: [{ op: 'move', from: '/list', path: '/list/0' }],
      reason: 'mismatch',
    },
    {
      title: 'an inherited member',
      patch: [{ op: 'test', path: '/toString', value: 1 }],
      reason: 'mismatch',
    },
  ];
  for (const { title, patch, reason } of refused)
    test(`refuses ${title}`, () => {
      try {
        applyJsonPatch({ a: 1, list: [1, 2] }, patch);
      } catch (error) {
        expect(error).toBeInstanceOf(PatchError);
        expect((error as PatchError).reason).toBe(reason);
        return;
      }
      throw new Error('the patch was applied');
    });
});

describe('applyMergePatch', () => {
  // RFC 7386, appendix A.
  const rows: [target: unknown, patch: unknown, want: unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, want] of rows)
    test(`${JSON.stringify(target)} with ${JSON.stringify(patch)}`, () => {
      expect(applyMergePatch(target, patch)).toEqual(want);
    });

  test('twice is once', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (target, patch) => {
        const once = applyMergePatch(target, patch);
        expect(equalJson(applyMergePatch(once, patch), once)).toBe(true);
      }),
    );
  });
});

describe('applyStrategicMerge', () => {
  const pod = {
    spec: {
      containers: [
        { name: 'a', image: '1', env: [{ name: 'X', value: '1' }] },
        { name: 'b', image: '2' },
      ],
    },
  };
  const rows: { title: string; target: object; patch: object; want: object }[] = [
    {
      title: 'merges containers by name',
      target: pod,
      patch: { spec: { containers: [{ name: 'b', image: '3' }] } },
      want: { spec: { containers: [pod.spec.containers[0], { name: 'b', image: '3' }] } },
    },
    {
      title: 'merges env inside them, and adds',
      target: pod,
      patch: {
        spec: {
          containers: [
            { name: 'a', env: [{ name: 'Y', value: '2' }] },
            { name: 'c', image: '9' },
          ],
        },
      },
      want: {
        spec: {
          containers: [
            {
              name: 'a',
              image: '1',
              env: [
                { name: 'X', value: '1' },
                { name: 'Y', value: '2' },
              ],
            },
            { name: 'b', image: '2' },
            { name: 'c', image: '9' },
          ],
        },
      },
    },
    {
      title: '$patch: delete removes an item',
      target: pod,
      patch: { spec: { containers: [{ name: 'a', $patch: 'delete' }] } },
      want: { spec: { containers: [{ name: 'b', image: '2' }] } },
    },
    {
      title: '$patch: replace replaces a list',
      target: pod,
      patch: { spec: { containers: [{ $patch: 'replace' }, { name: 'z', image: '0' }] } },
      want: { spec: { containers: [{ name: 'z', image: '0' }] } },
    },
    {
      title: '$patch: replace replaces an object',
      target: { spec: { strategy: { type: 'A', x: 1 } } },
      patch: { spec: { strategy: { $patch: 'replace', type: 'B' } } },
      want: { spec: { strategy: { type: 'B' } } },
    },
    {
      title: '$retainKeys drops the others',
      target: { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
      patch: { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
      want: { spec: { strategy: { type: 'Recreate' } } },
    },
    {
      title: '$setElementOrder orders',
      target: pod,
      patch: { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
      want: { spec: { containers: [pod.spec.containers[1], pod.spec.containers[0]] } },
    },
    {
      title: '$deleteFromPrimitiveList removes values',
      target: { metadata: { finalizers: ['a', 'b'] } },
      patch: { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
      want: { metadata: { finalizers: ['b'] } },
    },
    {
      title: 'finalizers merge as a set',
      target: { metadata: { finalizers: ['a'] } },
      patch: { metadata: { finalizers: ['a', 'c'] } },
      want: { metadata: { finalizers: ['a', 'c'] } },
    },
    {
      title: 'service ports merge by port, container ports by containerPort',
      target: { spec: { ports: [{ port: 80, name: 'x' }] } },
      patch: { spec: { ports: [{ port: 80, name: 'y' }, { port: 81 }] } },
      want: { spec: { ports: [{ port: 80, name: 'y' }, { port: 81 }] } },
    },
    {
      title: 'lists without a merge key are replaced',
      target: { spec: { args: ['a', 'b'], tolerations: [{ key: 'x' }] } },
      patch: { spec: { args: ['c'], tolerations: [] } },
      want: { spec: { args: ['c'], tolerations: [] } },
    },
    {
      title: 'null removes',
      target: { data: { a: '1', b: '2' } },
      patch: { data: { a: null } },
      want: { data: { b: '2' } },
    },
    {
      title: 'conditions merge by type',
      target: { status: { conditions: [{ type: 'A', status: 'False', reason: 'x' }] } },
      patch: {
        status: {
          conditions: [
            { type: 'B', status: 'True' },
            { type: 'A', status: 'True' },
          ],
        },
      },
      want: {
        status: {
          conditions: [
            { type: 'A', status: 'True', reason: 'x' },
            { type: 'B', status: 'True' },
          ],
        },
      },
    },
  ];
  for (const { title, target, patch, want } of rows)
    test(title, () => {
      const before = cloneJson(target);
      expect(applyStrategicMerge(target, patch)).toEqual(want);
      expect(target).toEqual(before);
    });

  for (const [title, patch] of [
    ['an item without its merge key', { spec: { containers: [{ image: 'x' }] } }],
    ['an unknown directive', { spec: { $patch: 'burn' } }],
    ['what is no object', [1]],
  ] as const)
    test(`refuses ${title}`, () => {
      expect(() => applyStrategicMerge(pod, patch)).toThrow(PatchError);
    });
});

test('cloneJson copies, equalJson compares, and no name is special', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = cloneJson(value);
      expect(equalJson(copy, value)).toBe(true);
      expect(copy === value && isJsonObject(value)).toBe(false);
    }),
  );
  const hostile = JSON.parse('{"__proto__":{"polluted":true}}');
  const merged = applyMergePatch({}, hostile) as object;
  expect(Object.hasOwn(merged, '__proto__')).toBe(true);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(equalJson(cloneJson(hostile), hostile)).toBe(true);
});
