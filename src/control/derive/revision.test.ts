import { describe, expect, test } from 'bun:test';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { inRevision, isOurs, isTag, revisioned, revisionView } from './revision.ts';

const tag = (name: string, revision: string, namespace = 'istio-system'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: `istiod-revision-tag-${name}`,
    namespace,
    labels: { 'istio.io/tag': name, 'istio.io/rev': revision },
  },
});
const rev = (name: string) => ({ 'istio.io/rev': name });

describe('revisioned', () => {
  test('adds nothing for the default revision', () => {
    expect(revisioned('istiod', 'default')).toBe('istiod');
    expect(revisioned('istiod', 'canary')).toBe('istiod-canary');
  });
});

describe('isTag', () => {
  test('knows tags by their labels, in the root namespace alone', () => {
    expect(isTag(tag('prod', 'canary'), 'istio-system')).toBe(true);
    expect(isTag(tag('prod', 'canary', 'shop'), 'istio-system')).toBe(false);
    const plain = { ...tag('prod', 'canary'), metadata: { name: 'x', namespace: 'istio-system' } };
    expect(isTag(plain, 'istio-system')).toBe(false);
  });
});

const TAGS = [tag('prod', 'canary'), tag('stage', 'default')];
const MOVED = [tag('default', 'canary')];

describe('inRevision', () => {
  test.each([
    ['default', [], undefined, true],
    ['default', [], {}, true],
    ['default', [], rev('default'), true],
    ['default', [], rev('canary'), false],
    ['canary', [], rev('canary'), true],
    ['canary', [], undefined, true],
    ['canary', TAGS, rev('prod'), true],
    ['default', TAGS, rev('prod'), false],
    ['default', TAGS, rev('stage'), true],
    ['canary', TAGS, rev('gone'), false],
    // The revision's own name is read by it whatever a tag of that name says.
    ['default', MOVED, rev('default'), true],
  ] as const)('%s with %j reads labels %j: %p', (revision, tags, labels, want) => {
    expect(inRevision(labels, revisionView(revision, tags))).toBe(want);
  });
});

describe('isOurs', () => {
  const NONE: KubeObject[] = [];
  const rows: [string, KubeObject[], object | undefined, object | undefined, string][] = [
    ['nothing named', NONE, undefined, undefined, 'default'],
    ['the object names it', NONE, rev('canary'), undefined, 'canary'],
    ['the namespace names it', NONE, undefined, rev('canary'), 'canary'],
    ['the object overrides its namespace', NONE, rev('default'), rev('canary'), 'default'],
    ['an empty name is none', NONE, rev(''), rev('canary'), 'default'],
    ['by tag', TAGS, rev('prod'), undefined, 'canary'],
    ['by tag of the namespace', TAGS, undefined, rev('stage'), 'default'],
    ['the tag default moves what names nothing', MOVED, undefined, undefined, 'canary'],
    ['and what names default', MOVED, rev('default'), undefined, 'canary'],
    ['nobody’s', NONE, rev('gone'), undefined, ''],
  ];
  test.each(rows)('%s', (_title, tags, labels, ofNamespace, owner) => {
    const owners = ['default', 'canary'].filter((revision) =>
      isOurs(
        labels as Record<string, string>,
        ofNamespace as Record<string, string>,
        revisionView(revision, tags),
      ),
    );
    expect(owners.join()).toBe(owner);
  });
});
