import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import type { MachineWords, WorkloadEntry } from './entry.ts';
import { REGISTER_RETRY_INITIAL_MS } from './limits.ts';
import { Registration } from './registration.ts';

const words: MachineWords = {
  namespace: 'shop',
  name: 'vm1',
  address: '198.18.9.2',
  serviceAccount: 'billing',
  labels: { app: 'billing' },
  ports: { http: 8080 },
  clusterId: 'Kubernetes',
  machineId: 'm1',
};

function rig() {
  const clock = new FakeClock();
  const client = new FakeKubeClient();
  const deps = { client, clock, random: seededRandom(1), log: silentLogger };
  const registration = new Registration(deps, words, undefined);
  const entry = () =>
    client.get<WorkloadEntry>(RESOURCES.workloadEntries, words).catch((): undefined => undefined);
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return { clock, client, registration, entry, settled };
}

const healthy = { healthy: true, reason: 'ProbeSucceeded', message: '' };
const foreign = (address: string, annotations = {}): WorkloadEntry => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: 'vm1', namespace: 'shop', annotations },
  spec: { address },
});
const REDIRECTION = 'ambient.istio.io/redirection';

describe('Registration', () => {
  test('makes the entry, says when it is captured and healthy, deletes it', async () => {
    const { registration, entry, settled, client } = rig();
    expect(await registration.begin()).toBe('made');
    expect((await entry())?.metadata.annotations).not.toHaveProperty([REDIRECTION]);
    registration.captured('cluster.local');
    registration.health(healthy);
    await settled();
    expect((await entry())?.metadata.annotations?.[REDIRECTION]).toBe('enabled');
    expect((await entry())?.status?.conditions).toMatchObject([
      { type: 'Healthy', status: 'True' },
    ]);
    expect(await registration.end(false)).toBe('deleted');
    expect(client.objects.size).toBe(0);
  });

  test('what could not be written is written later, and only the last of it', async () => {
    const { registration, entry, settled, client, clock } = rig();
    await registration.begin();
    client.away = true;
    registration.captured('cluster.local');
    registration.health(healthy);
    registration.health({ healthy: false, reason: 'ProbeFailed', message: 'down' });
    await settled();
    client.away = false;
    clock.advance(REGISTER_RETRY_INITIAL_MS);
    await settled();
    expect((await entry())?.metadata.annotations?.[REDIRECTION]).toBe('enabled');
    expect((await entry())?.status?.conditions).toMatchObject([
      { status: 'False', reason: 'ProbeFailed', message: 'down' },
    ]);
    expect(clock.pending).toBe(0);
  });

  test('an entry that somebody deletes comes back', async () => {
    const { registration, entry, settled, client } = rig();
    await registration.begin();
    registration.captured('cluster.local');
    await settled();
    await client.delete(RESOURCES.workloadEntries, words);
    registration.lost();
    await settled();
    expect((await entry())?.metadata.annotations?.[REDIRECTION]).toBe('enabled');
  });

  test('an entry that was prepared for it stays, and says that nobody is there', async () => {
    const { registration, entry, client, settled } = rig();
    await client.create(RESOURCES.workloadEntries, foreign('198.18.9.2'));
    expect(await registration.begin()).toBe('adopted');
    registration.captured('cluster.local');
    await settled();
    expect(await registration.end(false)).toBe('kept');
    const left = await entry();
    expect(left?.metadata.annotations?.[REDIRECTION] ?? null).toBeNull();
    expect(left?.status?.conditions).toMatchObject([{ status: 'False', reason: 'Left' }]);
  });

  test("takes no other machine's name, and touches nothing of it", async () => {
    const { registration, entry, client } = rig();
    const theirs = foreign('198.18.9.3', { 'tulle.dev/machine': 'm2' });
    await client.create(RESOURCES.workloadEntries, theirs);
    await expect(registration.begin()).rejects.toMatchObject({ code: 'JOIN_NAME_TAKEN' });
    expect((await entry())?.spec).toEqual({ address: '198.18.9.3' });
  });
});
