/** The startup taint of a node goes when the agent is ready, and nothing else of the node changes. */
import { expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import type { Node } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { UNTAINT_PERIOD_MS } from '../limits.ts';
import { STARTUP_TAINT, startUntaint } from './untaint.ts';

const OTHER = { key: 'dedicated', value: 'db', effect: 'NoSchedule' };

async function start(taints: { key: string; effect: string }[] | undefined) {
  const clock = new FakeClock();
  const client = new FakeKubeClient();
  await client.create<Node>(RESOURCES.nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: { podCIDR: '198.18.1.0/24', taints },
  });
  const state = { ready: false };
  const stop = startUntaint({ client, clock, log: silentLogger, isReady: () => state.ready }, 'n1');
  const tick = async () => {
    clock.advance(UNTAINT_PERIOD_MS);
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  const node = () => client.get<Node>(RESOURCES.nodes, { name: 'n1' });
  return { clock, client, state, tick, node, stop };
}

test('the taint stays until the agent is ready; others stay for ever', async () => {
  const { clock, state, tick, node } = await start([
    { key: STARTUP_TAINT, effect: 'NoSchedule' },
    OTHER,
    { key: STARTUP_TAINT, effect: 'NoExecute' },
  ]);
  await tick();
  expect((await node()).spec?.taints).toHaveLength(3);
  state.ready = true;
  await tick();
  expect((await node()).spec).toEqual({ podCIDR: '198.18.1.0/24', taints: [OTHER] });
  expect(clock.pending).toBe(0);
});

test('a look that fails is repeated', async () => {
  const { clock, client, state, tick, node } = await start([
    { key: STARTUP_TAINT, effect: 'NoSchedule' },
  ]);
  state.ready = true;
  client.failures = 1;
  await tick();
  await tick();
  expect((await node()).spec?.taints).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('a node without the taint is not written to', async () => {
  const { clock, client, state, tick, node } = await start([OTHER]);
  const before = await node();
  client.patch = () => Promise.reject(new Error('written'));
  state.ready = true;
  await tick();
  expect(await node()).toEqual(before);
  expect(clock.pending).toBe(0);
});
