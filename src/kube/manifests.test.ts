import { describe, expect, test } from 'bun:test';
import { parseManifests, readManifests } from './manifests.ts';

describe('parseManifests', () => {
  const good =
    'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\n---\n# nothing\n---\napiVersion: v1\nkind: Pod\nmetadata: { name: b }\n';

  test('reads several documents with their lines and skips empty ones', () => {
    const found = parseManifests(good, 'x.yaml');
    expect(found.map(({ reference, object }) => [reference, object.metadata.name])).toEqual([
      ['x.yaml:1', 'a'],
      ['x.yaml:7', 'b'],
    ]);
  });

  test('flattens a List', () => {
    const list = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }],
    });
    expect(parseManifests(list, '-').map(({ object }) => object.metadata.name)).toEqual(['a']);
  });

  test.each([
    ['a broken document, by its line and in one line', 'b: 1\na: \tx: y\n', /^x\.yaml:2: [^\n]+$/],
    ['no kind', 'apiVersion: v1\nmetadata: { name: a }\n', 'kind are required'],
    ['no name', 'apiVersion: v1\nkind: Pod\n', 'metadata.name is required'],
  ])('%s is refused', (_title, text, message) => {
    expect(() => parseManifests(text, 'x.yaml')).toThrow(message);
  });

  test('a path that is not there, and a folder without manifests, are named once', () => {
    expect(() => readManifests(['/nosuch'])).toThrow(/^\/nosuch: no such file or directory$/);
    expect(() => readManifests([import.meta.dir])).toThrow(/no file in it ends in \.yaml/);
  });
});
