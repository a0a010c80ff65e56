import { expect, test } from 'bun:test';
import type { Workload } from '#model/workload/workload.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import { WorkloadsByAddress } from './workloads-by-address.ts';

const claim = (uid: string, more: Partial<Parameters<typeof completeWorkload>[0]> = {}): Workload =>
  completeWorkload(
    { name: 'p', namespace: 'a', addresses: ['198.18.1.1', 'fd00::1'], ...more, uid },
    'cluster.local',
  );
const pod = claim('Kubernetes//Pod/a/p', { protocol: 'hbone' });
const machine = claim('Kubernetes/networking.istio.io/WorkloadEntry/a/vm', { protocol: 'hbone' });
const listed = claim('Kubernetes/networking.istio.io/ServiceEntry/a/e/198.18.1.1');

test('WorkloadsByAddress: whoever comes last, the pod answers, then the tunnel; who goes leaves the others', () => {
  for (const order of [
    [pod, machine, listed],
    [listed, machine, pod],
  ]) {
    const known = new WorkloadsByAddress();
    for (const workload of order) known.add(workload);
    for (const best of [pod, machine, listed]) {
      expect(known.at('198.18.1.1')).toBe(best);
      expect(known.at('FD00:0::1')).toBe(best);
      known.remove(best);
    }
    expect(known.at('198.18.1.1')).toBeUndefined();
  }
});

test('WorkloadsByAddress: one that goes takes nothing of another, and the host network names nobody', () => {
  const known = new WorkloadsByAddress();
  known.add(pod);
  known.remove(listed);
  expect(known.at('198.18.1.1')).toBe(pod);
  known.add(claim('Kubernetes//Pod/a/host', { hostNetwork: true, addresses: ['198.18.0.1'] }));
  expect(known.at('198.18.0.1')).toBeUndefined();
});
