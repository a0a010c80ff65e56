import { expect, test } from 'bun:test';
import type { ResourceType } from '#xds/resources/resource-type.ts';
import { EncodedResources } from './encoded-resources.ts';
import type { NodeScope, ResourceSource } from './resource-source.ts';

interface Thing {
  readonly alias: string;
  readonly memberOf: string;
}

const SCOPE: NodeScope = { type: 'ztunnel', name: 'a', namespace: 'b' };

function setup() {
  const values = new Map<string, { version: string; value: Thing }>();
  let encodes = 0;
  const type: ResourceType<Thing> = {
    typeUrl: 't/Thing',
    name: () => '',
    encode: (value) => {
      encodes++;
      return new TextEncoder().encode(JSON.stringify(value));
    },
    decode: () => ({ reason: 'not used' }),
    aliases: ({ alias }) => [alias],
  };
  const source: ResourceSource<Thing> = {
    typeUrl: type.typeUrl,
    ready: true,
    subscribe: () => () => undefined,
    get: (name) => values.get(name),
    all: () => [...values.keys()],
    names: () => [...values.keys()].filter((name) => name !== 'hidden'),
    visible: (name) => name !== 'hidden',
  };
  const resources = new EncodedResources(source, type, {
    keys: ({ memberOf }) => [memberOf],
    onNode: ({ alias }, nodeName) => alias === `/of-${nodeName}`,
  });
  return { values, resources, encodes: () => encodes };
}

test('EncodedResources encodes a version once, and versions by content', () => {
  const { values, resources, encodes } = setup();
  values.set('a', { version: '1', value: { alias: '/x', memberOf: '' } });
  const first = resources.get('a');
  expect(resources.get('a')).toBe(first);
  expect(encodes()).toBe(1);
  // Another counter, the same content (a restart): the same version on the wire.
  values.set('a', { version: '77', value: { alias: '/x', memberOf: '' } });
  resources.onChange(['a']);
  expect(resources.get('a')?.version).toBe(first?.version);
  values.set('a', { version: '78', value: { alias: '/y', memberOf: '' } });
  resources.onChange(['a']);
  expect(resources.get('a')?.version).not.toBe(first?.version);
  values.delete('a');
  resources.onChange(['a']);
  expect(resources.get('a')).toBeUndefined();
});

test('a view finds by name, by alias with the members of what it finds, and never the hidden', () => {
  const { values, resources } = setup();
  values.set('ns/service', { version: '1', value: { alias: '/vip', memberOf: '' } });
  values.set('w1', { version: '1', value: { alias: '/ip1', memberOf: 'ns/service' } });
  values.set('w2', { version: '1', value: { alias: '/ip2', memberOf: 'ns/service' } });
  values.set('hidden', { version: '1', value: { alias: '/ip3', memberOf: 'ns/service' } });
  const view = resources.view(SCOPE);
  expect(view.resolve('w1')).toEqual(['w1']);
  expect(view.resolve('/ip2')).toEqual(['w2']);
  expect(view.resolve('/vip')).toEqual(['ns/service', 'w1', 'w2']);
  expect(view.resolve('ns/service')).toEqual(['ns/service', 'w1', 'w2']);
  expect(view.resolve('/ip3')).toEqual([]);
  expect(view.get('hidden')).toBeUndefined();
  expect(view.get('w1')?.aliases).toEqual([]);
  expect(view.withAliases('w1')?.aliases).toEqual(['/ip1']);
  expect(view.withAliases('hidden')).toBeUndefined();
});

test('a view implies what is on the node of the client, for clients that name one', () => {
  const { values, resources } = setup();
  values.set('w1', { version: '1', value: { alias: '/of-node1', memberOf: '' } });
  const view = resources.view({ ...SCOPE, nodeName: 'node1' });
  expect([view.implied('w1'), view.implied('gone')]).toEqual([true, false]);
  expect(resources.view({ ...SCOPE, nodeName: 'node2' }).implied('w1')).toBe(false);
  expect(resources.view(SCOPE).implied('w1')).toBe(false);
});

test('a view finds by the keys of now: what changed, came and went since it was first asked', () => {
  const { values, resources } = setup();
  const view = resources.view(SCOPE);
  const put = (name: string, value: Thing | undefined) => {
    if (value === undefined) values.delete(name);
    else values.set(name, { version: '1', value });
    resources.onChange([name]);
  };
  put('w1', { alias: '/ip1', memberOf: 'ns/service' });
  expect(view.resolve('ns/service')).toEqual(['w1']);
  put('w1', { alias: '/ip9', memberOf: 'ns/other' });
  put('w2', { alias: '/ip1', memberOf: 'ns/service' });
  put('ns/service', { alias: '/vip', memberOf: '' });
  expect(view.resolve('/ip1')).toEqual(['w2']);
  expect(view.resolve('/vip')).toEqual(['ns/service', 'w2']);
  expect(view.resolve('ns/other')).toEqual(['w1']);
  put('w2', undefined);
  expect(view.resolve('/ip1')).toEqual([]);
  expect(view.resolve('/vip')).toEqual(['ns/service']);
});
