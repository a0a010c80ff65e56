import { expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { seededRandom, systemRandom } from '#base/random.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { startRootKeeper } from './root-keeper.ts';
import { ROOT_SECRET, rootFromSecret } from './root-secret.ts';

const NAMESPACE = 'istio-system';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

async function setup() {
  const client = new FakeKubeClient();
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger('control', { clock, level: 'info', write: (line) => lines.push(line) });
  const empty = client.backup();
  const deps = { kube: client, clock, random: systemRandom, log };
  const { authority, own } = await rootFromSecret(deps, {
    namespace: NAMESPACE,
    trustDomain: 'cluster.local',
  });
  if (own === undefined) throw new Error('the root is our own');
  const start = () =>
    startRootKeeper(
      { client, clock, random: seededRandom(1), log },
      { namespace: NAMESPACE, material: own },
    );
  const stop = start();
  await settle();
  const restore = async (backup: ReturnType<FakeKubeClient['backup']>) => {
    client.restore(backup);
    for (let passed = 0; passed < 2_000; passed += 100) {
      clock.advance(100);
      await settle();
    }
  };
  const again = async () =>
    (await rootFromSecret(deps, { namespace: NAMESPACE, trustDomain: 'x' })).authority;
  return { client, clock, lines, empty, authority, start, stop, restore, again };
}

test('the root keeper writes the Secret back that a restored backup lacks: the next replica signs with the same root', async () => {
  const { empty, restore, again, authority, lines, stop } = await setup();
  await restore(empty);
  expect((await again()).root).toBe(authority.root);
  expect(lines.join('')).toContain('written back');
  stop();
});

test('the root keeper tries again until the Secret is written', async () => {
  const { client, empty, restore, again, authority, stop } = await setup();
  const create = client.create.bind(client);
  let refused = 0;
  client.create = (...call) => {
    if (refused++ < 3) return Promise.reject(new Error('the server is starting'));
    return create(...call);
  };
  await restore(empty);
  expect(refused).toBeGreaterThan(3);
  expect((await again()).root).toBe(authority.root);
  stop();
});

test('the root keeper of who leads later finds that the Secret is missing', async () => {
  const { empty, restore, again, authority, start, stop } = await setup();
  stop();
  await restore(empty);
  const stopLater = start();
  await settle();
  expect((await again()).root).toBe(authority.root);
  stopLater();
});

test('the root keeper leaves another root that was written, and says so', async () => {
  const { client, lines, stop } = await setup();
  const key = { namespace: NAMESPACE, name: ROOT_SECRET };
  const data = { 'ca-cert.pem': 'b3RoZXI=' };
  await client.patch(RESOURCES.secrets, key, { type: 'merge', body: { data } });
  await settle();
  expect(lines.at(-1)).toContain('another one than is in force');
  expect(await client.get(RESOURCES.secrets, key)).toMatchObject({ data });
  stop();
});

test('the root keeper leaves no timer and no watch behind', async () => {
  const { client, clock, stop } = await setup();
  stop();
  expect([client.watching, clock.pending]).toEqual([0, 0]);
});
