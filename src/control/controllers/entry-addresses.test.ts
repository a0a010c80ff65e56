import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { ServiceEntryObject } from '../derive/service-entry.ts';
import { startIngest } from '../ingest/ingest.ts';
import { createMeshGraph } from '../ingest/mesh-graph.ts';
import { startEntryAddressController } from './entry-addresses.ts';
import { OWNS_EVERYTHING } from './ownership.ts';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}

function entry(name: string, addresses: string[] = [], created = '2026-01-01T00:00:00Z') {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: 'shop', creationTimestamp: created },
    spec: { hosts: [`${name}.example`], resolution: 'DNS' },
    status: { addresses: addresses.map((value) => ({ value, host: `${name}.example` })) },
  } as KubeObject;
}

async function setup(entries: readonly KubeObject[]) {
  const client = new FakeKubeClient();
  const deps = {
    client,
    clock: new FakeClock(),
    random: seededRandom(1),
    log: silentLogger,
    ownership: OWNS_EVERYTHING,
  };
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  for (const each of entries) await client.create(RESOURCES.serviceEntries, each);
  const ingest = startIngest(deps, graph, { sources: mesh.sources, rootNamespace: 'istio-system' });
  await ingest.synced;
  const stop = startEntryAddressController(deps, {
    entries: mesh.sources.serviceEntries,
    byAddress: mesh.entriesByAddress,
  });
  await settle();
  const addressesOf = async (name: string) => {
    const key = { namespace: 'shop', name };
    const { status } = await client.get<ServiceEntryObject>(RESOURCES.serviceEntries, key);
    return (status?.addresses ?? []).map(({ value }) => value);
  };
  const stopAll = () => {
    stop();
    ingest.stop();
  };
  return { client, mesh, addressesOf, stop: stopAll };
}

describe('startEntryAddressController', () => {
  test('writes addresses that the derivation takes up, and takes them back with the wish', async () => {
    const { client, mesh, addressesOf, stop } = await setup([entry('db')]);
    const given = await addressesOf('db');
    expect(given.length).toBe(2);
    const service = mesh.services.get('shop/db.example')?.service;
    expect(service?.addresses.map(({ address }) => address)).toEqual(given as string[]);
    await client.patch(
      RESOURCES.serviceEntries,
      { namespace: 'shop', name: 'db' },
      {
        type: 'merge',
        body: { spec: { resolution: 'NONE' } },
      },
    );
    await settle();
    expect(await addressesOf('db')).toEqual([]);
    stop();
  });

  test('of two with one address the younger gets another', async () => {
    const old = entry('old', ['240.240.0.9', '2001:2::9'], '2026-01-01T00:00:00Z');
    const young = entry('young', ['240.240.0.9', '2001:2::8'], '2026-01-02T00:00:00Z');
    const { addressesOf, stop } = await setup([old, young]);
    expect(await addressesOf('old')).toEqual(['240.240.0.9', '2001:2::9']);
    const [ipv4, ipv6] = await addressesOf('young');
    expect(ipv4).not.toBe('240.240.0.9');
    expect(ipv6).toBe('2001:2::8');
    stop();
  });

  test('a hundred entries at once share no address', async () => {
    const names = Array.from({ length: 100 }, (_, index) => `host-${index}`);
    const { addressesOf, stop } = await setup(names.map((name) => entry(name)));
    for (let round = 0; round < 20; round++) await settle();
    const all = (await Promise.all(names.map(addressesOf))).flat();
    expect(all.length).toBe(200);
    expect(new Set(all).size).toBe(200);
    stop();
  });
});
