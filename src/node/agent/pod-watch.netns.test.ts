/** From labels and annotations in the API to captured pods and back, with real namespaces. Needs root. */
import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import type { Namespace, Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { CaptureRig, type RigPod } from '#test/support/capture-rig.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { eventually, missingFor } from '#test/support/lab.ts';
import { PodWatch } from './pod-watch.ts';
import { RedirectionReports } from './reports.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;
const MODE = 'istio.io/dataplane-mode';
const REDIRECTION = 'ambient.istio.io/redirection';

class Cluster implements AsyncDisposable {
  readonly client = new FakeKubeClient();
  readonly rig: CaptureRig;
  readonly reports: RedirectionReports;
  watch: PodWatch | undefined;

  private constructor(rig: CaptureRig, onReport: (reports: RedirectionReports) => void) {
    this.rig = rig;
    const { clock, random } = rig.assembly.context;
    this.reports = new RedirectionReports({
      client: this.client,
      clock,
      random,
      log: silentLogger,
    });
    onReport(this.reports);
  }

  static async start(namespaceLabels: Record<string, string>): Promise<Cluster> {
    let reports: RedirectionReports | undefined;
    const rig = await CaptureRig.start({
      onReport: (request, value) => reports?.set(request, value),
    });
    const cluster = new Cluster(rig, (made) => {
      reports = made;
    });
    await cluster.client.create<Namespace>(RESOURCES.namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', labels: namespaceLabels },
    });
    return cluster;
  }

  /** Runs already, with an address. */
  async add(metadata: Partial<Pod['metadata']> = {}, spec: Partial<Pod['spec']> = {}) {
    const pod = await this.rig.addPod();
    await this.client.create<Pod>(RESOURCES.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'shop', name: pod.name, ...metadata },
      spec: { containers: [], ...spec },
      status: { phase: 'Running', podIP: pod.ipv4 },
    });
    // The uid says where the namespace is.
    await this.patch(pod, { uid: pod.uid });
    return pod;
  }

  follow(): void {
    const { clock, random } = this.rig.assembly.context;
    this.watch = new PodWatch(
      { client: this.client, clock, random, log: silentLogger },
      { agent: this.rig.agent, reports: this.reports },
      { nodeName: 'node', netnsDir: '/run/netns', dnsCapture: false },
    );
  }

  patch(pod: RigPod, metadata: object): Promise<Pod> {
    const key = { namespace: 'shop', name: pod.name };
    return this.client.patch<Pod>(RESOURCES.pods, key, { type: 'merge', body: { metadata } });
  }

  label(labels: Record<string, string | null>): Promise<Namespace> {
    const patch = { type: 'merge', body: { metadata: { labels } } };
    return this.client.patch<Namespace>(RESOURCES.namespaces, { name: 'shop' }, patch);
  }

  async annotationOf(pod: RigPod): Promise<string | undefined> {
    const key = { namespace: 'shop', name: pod.name };
    return (await this.client.get<Pod>(RESOURCES.pods, key)).metadata.annotations?.[REDIRECTION];
  }

  annotated(pod: RigPod, value: string | undefined): Promise<true> {
    return eventually(`annotation ${value}`, async () =>
      (await this.annotationOf(pod)) === value ? true : undefined,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.watch?.stop();
    this.reports.stop();
    await this.rig[Symbol.asyncDispose]();
  }
}

const isRedirected = (pod: RigPod) => pod.namespace.listing().includes('redirect to');

describe.skipIf(skip)('PodWatch', () => {
  test('a label on the namespace captures its pods, its removal lets them go', async () => {
    await using cluster = await Cluster.start({});
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
    await using cluster = await Cluster.start({ [MODE]: 'ambient' });
    const host = await cluster.add({ labels: { [MODE]: 'ambient' } }, { hostNetwork: true });
    const other = await cluster.add();
    cluster.follow();
    await cluster.annotated(other, 'enabled');
    expect(isRedirected(host)).toBe(false);
    expect(await cluster.annotationOf(host)).toBeUndefined();
  });

  test('an annotation that changes how a pod is captured takes effect at once', async () => {
    await using cluster = await Cluster.start({ [MODE]: 'ambient' });
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
    await using cluster = await Cluster.start({ [MODE]: 'ambient' });
    const pod = await cluster.add();
    cluster.follow();
    await cluster.annotated(pod, 'enabled');
    await cluster.patch(pod, { annotations: { [REDIRECTION]: null } });
    await cluster.annotated(pod, 'enabled');
  });

  test('a pod that left the mesh while nobody watched is cleared of rules and report', async () => {
    await using cluster = await Cluster.start({});
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
    await using cluster = await Cluster.start({ [MODE]: 'ambient' });
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
