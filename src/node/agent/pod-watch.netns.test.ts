/** From labels and annotations in the API to captured pods and back, with real namespaces. Needs root. */
import { describe, expect, test } from 'bun:test';
import { CaptureCluster } from '#test/support/capture-cluster.ts';
import type { RigPod } from '#test/support/capture-rig.ts';
import { eventually, missingFor } from '#test/support/lab.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;
const MODE = 'istio.io/dataplane-mode';
const REDIRECTION = 'ambient.istio.io/redirection';

const isRedirected = (pod: RigPod) => pod.namespace.listing().includes('redirect to');

describe.skipIf(skip)('PodWatch', () => {
  test('a label on the namespace captures its pods, its removal lets them go', async () => {
    await using cluster = await CaptureCluster.start({});
    const [first, second] = [
      await cluster.add(),
      await cluster.add({ labels: { [MODE]: 'none' } }),
    ];
    cluster.follow();
    await cluster.label({ [MODE]: 'ambient' });
    await cluster.annotated(first, 'enabled');
    expect([isRedirected(first), isRedirected(second)]).toEqual([true, false]);
    await cluster.label({ [MODE]: null });
    await cluster.annotated(first, undefined);
    expect(isRedirected(first)).toBe(false);
  });

  test('a pod on the host network is never captured, whatever its labels', async () => {
    await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
    const host = await cluster.add({ labels: { [MODE]: 'ambient' } }, { hostNetwork: true });
    const other = await cluster.add();
    cluster.follow();
    await cluster.annotated(other, 'enabled');
    expect(isRedirected(host)).toBe(false);
    expect(await cluster.annotationOf(host)).toBeUndefined();
  });

  test('an annotation that changes how a pod is captured takes effect at once', async () => {
    await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
    const pod = await cluster.add();
    cluster.follow();
    await cluster.annotated(pod, 'enabled');
    expect(pod.namespace.listing()).toContain(':15006');
    expect(pod.namespace.listing()).not.toContain(':15053');
    await cluster.patch(pod, {
      annotations: {
        'ambient.istio.io/bypass-inbound-capture': 'true',
        'ambient.istio.io/dns-capture': 'true',
        'istio.io/reroute-virtual-interfaces': 'vnet0,vnet1',
      },
    });
    await eventually('the rules', async () =>
      pod.namespace.listing().includes('vnet1') ? true : undefined,
    );
    expect(pod.namespace.listing()).not.toContain(':15006');
    expect(pod.namespace.listing()).toContain(':15053');
    expect(pod.namespace.run('ss', '-Hlun', 'sport = :15053')).not.toBe('');
  });

  test('a report that somebody took away comes back', async () => {
    await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
    const pod = await cluster.add();
    cluster.follow();
    await cluster.annotated(pod, 'enabled');
    await cluster.patch(pod, { annotations: { [REDIRECTION]: null } });
    await cluster.annotated(pod, 'enabled');
  });

  test('a pod that left the mesh while nobody watched is cleared of rules and report', async () => {
    await using cluster = await CaptureCluster.start({});
    const pod = await cluster.add({ annotations: { [REDIRECTION]: 'enabled' } });
    const before = pod.namespace.listing();
    cluster.rig.agent.capture(pod.request({}, true));
    cluster.rig.restartAgent();
    expect(isRedirected(pod)).toBe(true);
    cluster.follow();
    await cluster.annotated(pod, undefined);
    expect(pod.namespace.listing()).toBe(before);
  });

  test('the plugin gets its answer when rules and listeners are there; what is not eligible is left alone', async () => {
    await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
    const pod = await cluster.add();
    const other = await cluster.add({ labels: { [MODE]: 'none' } });
    cluster.follow();
    const ask = (of: RigPod) =>
      cluster.watch?.add({
        podNamespace: 'shop',
        podName: of.name,
        podUid: of.uid,
        netns: of.namespace.path,
      });
    expect(await ask(pod)).toMatchObject({ captured: true });
    expect(isRedirected(pod)).toBe(true);
    expect(pod.namespace.run('ss', '-Htln', 'sport = :15006')).not.toBe('');
    expect(await ask(other)).toMatchObject({ captured: false });
    expect(isRedirected(other)).toBe(false);
  });
});
