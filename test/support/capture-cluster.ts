/** The rig of capture-rig.ts behind a Kubernetes API in memory: pods are captured by their labels, as on a node. */
import { silentLogger } from '#base/log.ts';
import type { Namespace, Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { PodWatch } from '#node/agent/pod-watch.ts';
import { RedirectionReports } from '#node/agent/reports.ts';
import { CaptureRig, type RigPod } from './capture-rig.ts';
import { FakeKubeClient } from './fake-kube-client.ts';
import { eventually } from './lab.ts';

const REDIRECTION = 'ambient.istio.io/redirection';

export class CaptureCluster implements AsyncDisposable {
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

  static async start(namespaceLabels: Record<string, string>): Promise<CaptureCluster> {
    let reports: RedirectionReports | undefined;
    const rig = await CaptureRig.start({
      onReport: (request, value) => reports?.set(request, value),
    });
    const cluster = new CaptureCluster(rig, (made) => {
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
    await this.create(pod, metadata, spec);
    return pod;
  }

  async create(
    pod: RigPod,
    metadata: Partial<Pod['metadata']> = {},
    spec: Partial<Pod['spec']> = {},
  ): Promise<void> {
    await this.client.create<Pod>(RESOURCES.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'shop', name: pod.name, ...metadata },
      spec: { containers: [], ...spec },
      status: {
        phase: 'Running',
        podIP: pod.ipv4,
        podIPs: [{ ip: pod.ipv4 }, { ip: pod.ipv6 }],
      },
    });
    // The uid says where the namespace is.
    await this.patch(pod, { uid: pod.uid });
  }

  follow(): void {
    const { clock, random } = this.rig.assembly.context;
    this.watch = new PodWatch(
      { client: this.client, clock, random, log: silentLogger },
      { agent: this.rig.agent, reports: this.reports },
      { nodeName: 'node', dnsCapture: false },
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
