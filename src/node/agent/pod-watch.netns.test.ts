/** From labels and annotations in the API to captured pods and back, with real namespaces. Needs root. */
import { describe, expect, test } from 'bun:test';
import { ProbeExemptions } from '#redirect/probes.ts';
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

  test('a proxy that starts beside another one takes no probe away, of neither family', async () => {
    await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
    const pod = await cluster.add();
    cluster.follow();
    await cluster.annotated(pod, 'enabled');
    const { rig } = cluster;
    cluster.watch?.stop();
    rig.addGeneration();
    const { agent } = rig;
    const start = agent.startProbes.bind(agent);
    const exempt = Promise.withResolvers<readonly string[]>();
    agent.startProbes = (known) => {
      start(known);
      const probes = new ProbeExemptions(rig.node.handle);
      exempt.resolve([...probes.read()].sort());
      probes.close();
    };
    cluster.follow();
    expect(await exempt.promise).toEqual([pod.ipv4, pod.ipv6]);
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

  describe('asked by the plugin', () => {
    const addOf = (pod: RigPod, podUid = pod.uid) => ({
      podNamespace: 'shop',
      podName: pod.name,
      podUid,
      netns: pod.namespace.path,
    });

    test('judges by the label of this moment, not by what it heard last', async () => {
      await using cluster = await CaptureCluster.start({});
      const pod = await cluster.add();
      cluster.follow();
      await eventually('synced', async () => (cluster.watch?.synced ? true : undefined));
      // Nothing of this is announced to the watch in time.
      cluster.client.cutWatches();
      await cluster.label({ [MODE]: 'ambient' });
      expect(await cluster.watch?.add(addOf(pod))).toMatchObject({ captured: true });
      expect(isRedirected(pod)).toBe(true);
    });

    test('answers from what it knows while the API is away, for pods that it knows', async () => {
      await using cluster = await CaptureCluster.start({});
      const pod = await cluster.add();
      cluster.follow();
      await eventually('synced', async () => (cluster.watch?.synced ? true : undefined));
      cluster.client.failures = 2;
      expect(await cluster.watch?.add(addOf(pod))).toMatchObject({ captured: false });
      cluster.client.failures = 2;
      await expect(
        cluster.watch?.add({ ...addOf(pod), podName: 'new' }) as Promise<unknown>,
      ).rejects.toMatchObject({ code: 'KUBE_UNAVAILABLE' });
    });

    test('refuses a pod that is another by now, and takes a static pod by its own uid', async () => {
      await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
      const pod = await cluster.add({ annotations: { 'kubernetes.io/config.hash': 'static' } });
      cluster.follow();
      await expect(
        cluster.watch?.add(addOf(pod, 'other')) as Promise<unknown>,
      ).rejects.toMatchObject({ code: 'NODE_CAPTURE' });
      expect(isRedirected(pod)).toBe(false);
      expect(await cluster.watch?.add(addOf(pod, 'static'))).toMatchObject({ captured: true });
      expect(isRedirected(pod)).toBe(true);
    });

    test('says of a pod whether it is captured as it should be', async () => {
      await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
      const [pod, out] = [await cluster.add(), await cluster.add({ labels: { [MODE]: 'none' } })];
      cluster.follow();
      await cluster.annotated(pod, 'enabled');
      expect(await cluster.watch?.check(addOf(pod))).toMatchObject({ captured: true });
      expect(await cluster.watch?.check(addOf(out))).toMatchObject({ captured: false });
      cluster.rig.agent.forget(pod.uid);
      await expect(cluster.watch?.check(addOf(pod)) as Promise<unknown>).rejects.toMatchObject({
        code: 'NODE_CAPTURE',
      });
    });
  });

  test('when the mesh leaves the node, every pod and the node itself are as before', async () => {
    await using cluster = await CaptureCluster.start({ [MODE]: 'ambient' });
    const pods = [await cluster.add(), await cluster.add()];
    const before = pods.map((pod) => pod.namespace.listing());
    const node = cluster.rig.node.listing();
    cluster.follow();
    for (const pod of pods) await cluster.annotated(pod, 'enabled');
    expect(cluster.rig.node.listing()).toContain('istio-ambient-probes');
    cluster.watch?.leave();
    for (const pod of pods) await cluster.annotated(pod, undefined);
    await eventually('nothing left', async () =>
      cluster.rig.agent.proxies.length === 0 ? true : undefined,
    );
    const late = { podNamespace: 'shop', podName: pods[0].name, podUid: '', netns: 'none' };
    expect(await cluster.watch?.add(late)).toMatchObject({ captured: false });
    expect(pods.map((pod) => pod.namespace.listing())).toEqual(before);
    cluster.rig.agent.stop('the mesh has left');
    expect(cluster.rig.node.listing()).toBe(node);
    cluster.rig.addGeneration();
  });
});
