/** The annotation of captured pods: the newest value wins, and it is written in the end. */
import { expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { RedirectionReports } from './reports.ts';

const KEY = 'ambient.istio.io/redirection';

/** Counts what is written. */
class CountingClient extends FakeKubeClient {
  writes: (string | null)[] = [];

  override patch<T extends KubeObject>(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
    patch: { type: string; body: unknown },
  ): Promise<T> {
    const { metadata } = patch.body as { metadata: { annotations: Record<string, string | null> } };
    this.writes.push(metadata.annotations[KEY]);
    return super.patch(ref, key, patch);
  }
}

async function start() {
  const clock = new FakeClock();
  const client = new CountingClient();
  const created = await client.create<Pod>(RESOURCES.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'shop', name: 'web' },
    spec: { containers: [] },
  });
  const pod = { uid: created.metadata.uid ?? '', namespace: 'shop', name: 'web' };
  const reports = new RedirectionReports({
    client,
    clock,
    random: systemRandom,
    log: silentLogger,
  });
  const annotation = async () =>
    (await client.get<Pod>(RESOURCES.pods, pod)).metadata.annotations?.[KEY];
  const settled = async () => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { clock, client, pod, reports, annotation, settled };
}

test('values are written in order, and none twice', async () => {
  const { client, pod, reports, annotation, settled } = await start();
  for (const value of ['pending', 'enabled', 'enabled', undefined] as const) {
    reports.set(pod, value);
    await settled();
    expect(await annotation()).toBe(value);
  }
  expect(client.writes).toEqual(['pending', 'enabled', null]);
});

test('what is overtaken while a write runs is not written', async () => {
  const { client, pod, reports, annotation, settled } = await start();
  reports.set(pod, 'pending');
  reports.set(pod, 'enabled');
  reports.set(pod, undefined);
  await settled();
  expect(client.writes).toEqual(['pending', null]);
  expect(await annotation()).toBeUndefined();
});

test('a write that fails is tried again, with the value of then', async () => {
  const { clock, client, pod, reports, annotation, settled } = await start();
  client.failures = 2;
  reports.set(pod, 'pending');
  await settled();
  reports.set(pod, 'enabled');
  await settled();
  expect(client.writes).toEqual(['pending', 'enabled']);
  clock.advance(1_000);
  await settled();
  expect(await annotation()).toBe('enabled');
  expect(clock.pending).toBe(0);
});

test('an annotation that somebody changed or took away comes back', async () => {
  const { pod, reports, annotation, client, settled } = await start();
  reports.set(pod, 'enabled');
  await settled();
  reports.observe(pod.uid, 'enabled');
  await settled();
  expect(client.writes).toEqual(['enabled']);
  await client.patch(RESOURCES.pods, pod, {
    type: 'merge',
    body: { metadata: { annotations: { [KEY]: null } } },
  });
  reports.observe(pod.uid, undefined);
  await settled();
  expect(await annotation()).toBe('enabled');
});

test('of pods that are gone or never reported nothing is written', async () => {
  const { clock, client, pod, reports, settled } = await start();
  reports.observe('stranger', 'enabled');
  await client.delete(RESOURCES.pods, pod);
  reports.set(pod, 'enabled');
  await settled();
  expect(client.writes).toEqual(['enabled']);
  expect(clock.pending).toBe(0);
});
