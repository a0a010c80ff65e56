import { describe, expect, test } from 'bun:test';
import { checkValues } from './check.ts';
import { parseSet } from './set-flag.ts';
import { VALUE_ROWS } from './spec.ts';
import { defaultValues, mergeTrees, type Tree, valuesOf } from './values.ts';

describe('VALUE_ROWS', () => {
  test('checkValues accepts every default', () => {
    expect(checkValues(defaultValues() as unknown as Tree)).toEqual([]);
  });

  test('each row says what it is and why', () => {
    const silent = VALUE_ROWS.filter(({ text, reason }) => text === '' || reason === '');
    expect(silent).toEqual([]);
    expect(new Set(VALUE_ROWS.map(({ path }) => path)).size).toBe(VALUE_ROWS.length);
  });
});

describe('checkValues', () => {
  const WRONG: [title: string, values: Tree, field: string, words: string[]][] = [
    ['a misspelt name', { control: { replica: 3 } }, 'control.replica', ['control.replicas?']],
    ['a misspelt group', { contrl: { replicas: 3 } }, 'contrl', ['control?']],
    ['a name that is like none', { zzzzzzzzz: 1 }, 'zzzzzzzzz', ['docs/install.md']],
    ['a member of a value', { trustDomain: { name: 'x' } }, 'trustDomain', ['an object', 'string']],
    ['a group that is a value', { control: 3 }, 'control', ['control.replicas']],
    ['the wrong type', { control: { replicas: '3' } }, 'control.replicas', ['"3"', 'whole number']],
    ['null', { image: { tag: null } }, 'image.tag', ['null', 'string']],
    ['too many', { control: { replicas: 99 } }, 'control.replicas', ['1 to 9']],
    ['a word of none', { image: { pullPolicy: 'Alway' } }, 'image.pullPolicy', ['Always?']],
    ['a form that does not fit', { namespace: 'Istio System' }, 'namespace', ['"istio-system"']],
    ['a relative folder', { cni: { binDir: 'opt/cni' } }, 'cni.binDir', ['"/opt/cni/bin"']],
    ['a tag with a colon', { image: { repository: 'tulle:1' } }, 'image.repository', ['"tulle"']],
    ['a surge of nonsense', { node: { maxSurge: 'all' } }, 'node.maxSurge', ['does not match']],
    ['a list for an object', { meshConfig: [] }, 'meshConfig', ['a list', 'an object']],
  ];
  test.each(WRONG)('refuses %s', (_title, values, field, words) => {
    const findings = checkValues(values);
    expect(findings.map((finding) => finding.field)).toEqual([field]);
    const said = `${findings[0].reason}; ${findings[0].remedy}`;
    for (const word of words) expect(said).toContain(word);
  });

  test('reports everything at once', () => {
    const layers = [{ control: { replicas: 0 }, cni: { confdir: '/x' } }];
    expect(() => valuesOf(layers)).toThrow(
      /2 values are wrong:[\s\S]*control.replicas[\s\S]*cni.confDir\?/,
    );
  });
});

describe('valuesOf', () => {
  test('merges objects member by member, replaces lists, and fills defaults in', () => {
    const values = valuesOf([
      { control: { nodeSelector: { a: '1' }, tolerations: [{ key: 'x' }] } },
      { control: { nodeSelector: { b: '2' }, tolerations: [{ key: 'y' }] } },
    ]);
    expect(values.control.nodeSelector).toEqual({ 'kubernetes.io/os': 'linux', a: '1', b: '2' });
    expect(values.control.tolerations).toEqual([{ key: 'y' }]);
    expect(values.control.replicas).toBe(2);
  });

  test('mergeTrees shares nothing with its layers', () => {
    const layer = { a: { b: ['c'] } };
    const merged = mergeTrees([layer]);
    (merged.a as { b: string[] }).b.push('d');
    expect(layer).toEqual({ a: { b: ['c'] } });
  });
});

describe('parseSet', () => {
  const ROWS: [text: string, want: Tree][] = [
    ['control.replicas=3', { control: { replicas: 3 } }],
    ['image.tag=1.10', { image: { tag: '1.10' } }],
    ['image.tag=7', { image: { tag: '7' } }],
    ['node.maxSurge=10%', { node: { maxSurge: '10%' } }],
    ['resourceQuota=true,clusterId=c1', { resourceQuota: true, clusterId: 'c1' }],
    ['control.nodeSelector.a\\.b/c=d', { control: { nodeSelector: { 'a.b/c': 'd' } } }],
    [
      'control.tolerations[0].key=x,control.tolerations[0].operator=Exists',
      { control: { tolerations: [{ key: 'x', operator: 'Exists' }] } },
    ],
    ['meshConfig.list={a,b}', { meshConfig: { list: ['a', 'b'] } }],
    ['meshConfig.list={}', { meshConfig: { list: [] } }],
    ['meshConfig.text=a\\,b', { meshConfig: { text: 'a,b' } }],
    ['meshConfig.x=', { meshConfig: { x: '' } }],
  ];
  test.each(ROWS)('reads %s', (text, want) => {
    expect(parseSet(text)).toEqual(want);
  });

  test.each(['control', '=3', 'a..b=1', 'a[9999]=1'])('refuses %s', (text) => {
    expect(() => parseSet(text)).toThrow(`--set ${text}`);
  });
});
