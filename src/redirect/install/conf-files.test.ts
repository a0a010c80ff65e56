/** Which file a container runtime takes, and our entry going in and out of it. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { PluginEntry } from '#cni/config.ts';
import { type ConfFile, confListOf, primaryOf, withEntry, withoutEntry } from './conf-files.ts';

const ENTRY: PluginEntry = {
  type: 'tulle-cni',
  agentSocket: '/var/run/tulle/cni.sock',
  excludeNamespaces: ['istio-system'],
};
const file = (name: string, content: unknown): ConfFile => ({
  name,
  text: typeof content === 'string' ? content : JSON.stringify(content),
});
const LIST = {
  cniVersion: '0.4.0',
  name: 'kc',
  plugins: [
    { type: 'ptp', mtu: 1500 },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};
const SINGLE = { cniVersion: '0.4.0', name: 'kc', type: 'ptp', mtu: 1500 };

function added(from: ConfFile): ConfFile | undefined {
  const conf = confListOf(from);
  if (typeof conf === 'string') throw new Error(conf);
  return withEntry(from, conf, ENTRY);
}

function removed(from: ConfFile, saved: ConfFile[]): ConfFile {
  const conf = confListOf(from);
  if (typeof conf === 'string') throw new Error(conf);
  return withoutEntry(conf, saved);
}

describe('primaryOf', () => {
  const rows: { title: string; files: ConfFile[]; want: string | undefined }[] = [
    { title: 'nothing', files: [], want: undefined },
    {
      title: 'by name',
      files: [file('20-b.conflist', LIST), file('10-a.conflist', LIST)],
      want: '10-a.conflist',
    },
    {
      title: 'a conf before its conflist',
      files: [file('10-a.conflist', LIST), file('10-a.conf', SINGLE)],
      want: '10-a.conf',
    },
    {
      title: 'capitals first',
      files: [file('a.conf', SINGLE), file('Z.conf', SINGLE)],
      want: 'Z.conf',
    },
    { title: 'json is a single plugin', files: [file('1.json', SINGLE)], want: '1.json' },
    {
      title: 'other names are nothing',
      files: [file('00-a.conflist.bak', LIST), file('05-x.conflist.tulle-saved', LIST)],
      want: undefined,
    },
    {
      title: 'broken ones are passed over',
      files: [
        file('00-empty.conflist', ''),
        file('01-cut.conflist', '{"name":'),
        file('02-list.conf', LIST),
        file('03-none.conflist', { ...LIST, plugins: [] }),
        file('04-single.conflist', SINGLE),
        file('05-untyped.conflist', { ...LIST, plugins: [{}] }),
        file('06-null.conf', 'null'),
        file('10-a.conflist', LIST),
      ],
      want: '10-a.conflist',
    },
  ];
  test.each(rows)('$title', ({ files, want }) => {
    expect(primaryOf(files).primary?.file.name).toBe(want);
  });

  test('says why files are passed over', () => {
    const { passedOver } = primaryOf([file('02-list.conf', LIST)]);
    expect(passedOver).toEqual(['02-list.conf: no type']);
  });
});

describe('withEntry', () => {
  test('comes last in a list, and everything else stays', () => {
    const after = added(file('10-a.conflist', LIST));
    expect(after?.name).toBe('10-a.conflist');
    expect(JSON.parse(after?.text ?? '')).toEqual({ ...LIST, plugins: [...LIST.plugins, ENTRY] });
  });

  test('makes a list of a single plugin', () => {
    const after = added(file('10-a.conf', SINGLE));
    expect(after?.name).toBe('10-a.conflist');
    expect(JSON.parse(after?.text ?? '')).toEqual({
      cniVersion: '0.4.0',
      name: 'kc',
      plugins: [{ name: 'kc', type: 'ptp', mtu: 1500 }, ENTRY],
    });
  });

  test.each([undefined, '0.1.0', '0.2.0'])('version %s has no chains', (cniVersion) => {
    const after = added(file('10-a.conf', { ...SINGLE, cniVersion }));
    expect(JSON.parse(after?.text ?? '').cniVersion).toBe('0.3.1');
  });

  test('changes nothing the second time', () => {
    const once = added(file('10-a.conflist', LIST));
    expect(once && added(once)).toBeUndefined();
  });

  test('another entry of ours, or two, become the one, where the first was', () => {
    const [ptp, portmap] = LIST.plugins;
    const old = { ...ENTRY, agentSocket: '/old' };
    const after = added(file('10-a.conflist', { ...LIST, plugins: [ptp, old, portmap, ENTRY] }));
    expect(JSON.parse(after?.text ?? '').plugins).toEqual([ptp, ENTRY, portmap]);
  });
});

describe('withoutEntry', () => {
  test.each([
    file('10-a.conflist', JSON.stringify(LIST, null, 7)),
    file('10-a.conf', `\n\n${JSON.stringify(SINGLE)}`),
    file('10-a.json', SINGLE),
  ])('gives back $name byte for byte', (original) => {
    const after = added(original);
    expect(after && removed(after, [original])).toEqual(original);
  });

  test('keeps what others changed meanwhile', () => {
    const original = file('10-a.conflist', LIST);
    const list = JSON.parse(added(original)?.text ?? '');
    list.plugins.push({ type: 'bandwidth' });
    const before = removed(file('10-a.conflist', list), [original]);
    expect(JSON.parse(before.text)).toEqual({
      ...LIST,
      plugins: [...LIST.plugins, { type: 'bandwidth' }],
    });
  });

  test('property: in and out again leaves any list as it was', () => {
    const plugin = fc.record(
      { type: fc.string({ minLength: 1 }), config: fc.jsonValue() },
      { requiredKeys: ['type'] },
    );
    const list = fc.record({
      name: fc.string({ minLength: 1 }),
      plugins: fc.array(plugin, { minLength: 1 }),
      extra: fc.jsonValue(),
    });
    fc.assert(
      fc.property(list, (content) => {
        const original = file('10-a.conflist', content);
        const after = added(original);
        expect(after && removed(after, [original])).toEqual(original);
        expect(after && JSON.parse(removed(after, []).text)).toEqual(JSON.parse(original.text));
      }),
    );
  });
});
