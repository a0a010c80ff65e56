/** When a node agent that ends takes the mesh off its node, and when it must not. */
import { describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { KubeErrorCode } from '#kube/errors.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { END_LOOKUPS } from '../limits.ts';
import { daemonSetOf, judgeEnd } from './end-of-mesh.ts';

test.each([
  ['ztunnel-x7k2p', 'ztunnel'],
  ['tulle-node-edge-abcde', 'tulle-node-edge'],
  ['ztunnel', 'ztunnel'],
])('the DaemonSet of %s is %s', (pod, name) => expect(daemonSetOf(pod)).toBe(name));

describe('judgeEnd', () => {
  const fail = (code: KubeErrorCode) =>
    new MeshError(code, 'refused', { side: 'upstream', hint: 'none' });
  const rows: { title: string; answers: (object | KubeErrorCode)[]; forGood: boolean }[] = [
    { title: 'it is there', answers: [{}], forGood: false },
    { title: 'it is being deleted', answers: [{ deletionTimestamp: 'now' }], forGood: true },
    { title: 'it is gone', answers: ['KUBE_NOT_FOUND'], forGood: true },
    { title: 'our account is gone', answers: ['KUBE_UNAUTHORIZED'], forGood: true },
    {
      title: 'we may not look',
      answers: Array(END_LOOKUPS).fill('KUBE_FORBIDDEN'),
      forGood: false,
    },
    { title: 'no API', answers: Array(END_LOOKUPS).fill('KUBE_UNAVAILABLE'), forGood: false },
    { title: 'gone, seen late', answers: ['KUBE_UNAVAILABLE', 'KUBE_NOT_FOUND'], forGood: true },
    { title: 'there, seen late', answers: ['KUBE_UNAVAILABLE', {}], forGood: false },
  ];
  test.each(rows)('$title: for good $forGood', async ({ answers, forGood }) => {
    const client = new FakeKubeClient();
    const left = [...answers];
    client.get = async () => {
      const answer = left.shift();
      if (typeof answer === 'string') throw fail(answer as KubeErrorCode);
      return { metadata: { name: 'ztunnel', ...answer } } as never;
    };
    const clock = { ...systemClock, after: immediately };
    const verdict = await judgeEnd(
      { client, clock },
      { namespace: 'istio-system', podName: 'ztunnel-x7k2p' },
    );
    expect(verdict.forGood).toBe(forGood);
    expect(verdict.reason).not.toBe('');
    expect(left).toEqual([]);
  });
});

/** Waits between tries are over at once; a limit on an answer is never reached. */
function immediately(delayMs: number, callback: () => void) {
  if (delayMs < 1_000) queueMicrotask(callback);
  return { cancel: () => undefined };
}
