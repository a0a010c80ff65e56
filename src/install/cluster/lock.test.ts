import { describe, expect, test } from 'bun:test';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { LOCK_RENEW_MS, LOCK_STALE_MS } from '../limits.ts';
import { LOCK_NAME, takeLock } from './lock.ts';

const KEY = { namespace: 'istio-system', name: LOCK_NAME };

function rig() {
  const client = new FakeKubeClient();
  const clock = new FakeClock();
  const waited: string[] = [];
  const take = (holder: string) =>
    takeLock({ client, clock, holder, onWait: (other) => waited.push(other) }, KEY.namespace);
  return { client, clock, waited, take };
}

/** Lets the promises of a step settle; the clock stands still meanwhile. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe('takeLock', () => {
  test('is given back with nothing left', async () => {
    const { client, clock, take } = rig();
    const lock = await take('one');
    await lock.release();
    expect(client.objects.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test('a second one is refused with the name of the first, which renews it', async () => {
    const { clock, waited, take } = rig();
    const first = await take('one');
    const second = take('two');
    const refused = second.then(
      () => 'taken',
      (error: Error) => error.message,
    );
    await settle();
    for (let passed = 0; passed < LOCK_STALE_MS; passed += LOCK_RENEW_MS) {
      clock.advance(LOCK_RENEW_MS);
      await settle();
    }
    expect(await refused).toContain('one installs or removes Tulle right now');
    expect(waited).toEqual(['one']);
    await first.release();
  });

  test('one that nobody renews is taken over', async () => {
    const { client, clock, take } = rig();
    await client.create(RESOURCES.leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: KEY,
      spec: { holderIdentity: 'dead' },
    } as never);
    const taking = take('two');
    await settle();
    clock.advance(LOCK_STALE_MS);
    const lock = await taking;
    expect(await client.get(RESOURCES.leases, KEY)).toMatchObject({
      spec: { holderIdentity: 'two' },
    });
    await lock.release();
  });
});
