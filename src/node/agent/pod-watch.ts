/** Follows the pods of this node and the labels of their namespaces, and asks the agent to capture or release. */
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Namespace, Pod } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Informer } from '#kube/informer/informer.ts';
import { type InformerDeps, startInformer } from '#kube/informer/list-watch.ts';
import type { CniAdd, CniAnswer } from '#redirect/cni-server.ts';
import { type CaptureVerdict, planCapture, REDIRECTION_ANNOTATION } from '#redirect/plan.ts';
import type { CaptureAgent } from './capture-agent.ts';
import type { CaptureRequest } from './captured-pod.ts';
import type { RedirectionReports } from './reports.ts';

export interface PodWatchOptions {
  nodeName: string;
  dnsCapture: boolean;
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

const FINISHED: readonly (string | undefined)[] = ['Succeeded', 'Failed'];

export class PodWatch {
  readonly #deps: InformerDeps;
  readonly #options: PodWatchOptions;
  readonly #agent: CaptureAgent;
  readonly #reports: RedirectionReports;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<Namespace>;
  readonly #stops: Disposer[];

  constructor(
    deps: InformerDeps,
    { agent, reports }: { agent: CaptureAgent; reports: RedirectionReports },
    options: PodWatchOptions,
  ) {
    this.#deps = deps;
    this.#agent = agent;
    this.#reports = reports;
    this.#options = options;
    const fieldSelector = `spec.nodeName=${options.nodeName}`;
    this.#pods = startInformer<Pod>(deps, RESOURCES.pods, { fieldSelector }, { keep: keptOf });
    this.#namespaces = startInformer<Namespace>(deps, RESOURCES.namespaces);
    this.#stops = [];
    this.#start().catch((error: unknown) => {
      deps.log.error('cannot follow pods', { error: messageOf(error) });
    });
  }

  get synced(): boolean {
    return this.#pods.synced && this.#namespaces.synced;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    this.#pods.stop();
    this.#namespaces.stop();
  }

  /** Answers the CNI plugin: a pod whose first process has not started yet. */
  async add(add: CniAdd): Promise<CniAnswer> {
    const { client } = this.#deps;
    const pod = await client.get<Pod>(RESOURCES.pods, {
      namespace: add.podNamespace,
      name: add.podName,
    });
    const verdict = this.#plan(pod, await this.#labelsOf(client, add.podNamespace));
    if (!verdict.captured) return { captured: false, reason: verdict.reason };
    this.#agent.capture(requestOf(pod, add.netns, { verdict, isNew: true }));
    return { captured: true, reason: verdict.reason };
  }

  /** Namespaces first: a pod without its namespace's labels would be judged wrongly. */
  async #start(): Promise<void> {
    await Promise.all([this.#namespaces.whenSynced(), this.#pods.whenSynced()]);
    this.#startProbes();
    this.#stops.push(
      this.#pods.subscribe({
        onAdd: (pod) => this.#judge(pod),
        onUpdate: (pod) => this.#judge(pod),
        onDelete: (pod) => this.#forget(pod.metadata.uid ?? ''),
      }),
      this.#namespaces.subscribe({
        onAdd: (namespace) => this.#judgeAll(namespace),
        onUpdate: (namespace) => this.#judgeAll(namespace),
        onDelete: () => undefined,
      }),
    );
  }

  #startProbes(): void {
    const captured = this.#pods
      .list()
      .filter((pod) => !FINISHED.includes(pod.status?.phase) && this.#verdictOn(pod).captured);
    const addresses = captured.map(({ status }) => status?.podIP ?? '').filter(Boolean);
    try {
      this.#agent.startProbes(addresses);
    } catch (error) {
      // Each capture puts its own address in, so probes work all the same.
      this.#deps.log.warn('stale probe addresses stay', { error: messageOf(error) });
    }
  }

  #verdictOn(pod: Pod): CaptureVerdict {
    const { namespace = '' } = pod.metadata;
    return this.#plan(pod, this.#namespaces.get({ name: namespace })?.metadata.labels ?? {});
  }

  #plan(pod: Pod, namespaceLabels: Record<string, string>): CaptureVerdict {
    return planCapture(factsOf(pod), namespaceLabels, { dns: this.#options.dnsCapture });
  }

  #judgeAll(namespace: Namespace): void {
    for (const pod of this.#pods.list(namespace.metadata.name)) this.#judge(pod);
  }

  #judge(pod: Pod): void {
    const { uid = '' } = pod.metadata;
    if (FINISHED.includes(pod.status?.phase)) {
      this.#forget(uid);
      return;
    }
    const report = pod.metadata.annotations?.[REDIRECTION_ANNOTATION];
    this.#reports.observe(uid, report);
    const verdict = this.#verdictOn(pod);
    const request = requestOf(pod, undefined, { verdict, isNew: false });
    if (!verdict.captured) {
      if (this.#agent.has(uid)) this.#release(pod, verdict.reason);
      else if (report !== undefined && this.#agent.isStranger(uid)) this.#clear(request);
      return;
    }
    if (this.#agent.has(uid)) this.#agent.update(uid, verdict.options);
    // Pods without an address have no namespace yet: the CNI plugin will ask for them.
    else if (pod.status?.podIP !== undefined) this.#agent.keepCapturing(request);
  }

  #forget(uid: string): void {
    this.#agent.forget(uid);
    this.#reports.forget(uid);
  }

  #release(pod: Pod, reason: string): void {
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    this.#deps.log.info('pod leaves the mesh', { pod: name, reason });
    this.#agent.release(pod.metadata.uid ?? '');
  }

  #clear(request: CaptureRequest): void {
    const pod = `${request.namespace}/${request.name}`;
    try {
      this.#agent.clear(request);
      this.#deps.log.info('pod had left the mesh: its rules are removed', { pod });
    } catch (error) {
      this.#deps.log.error('cannot remove redirection', { pod, error: messageOf(error) });
    }
  }

  async #labelsOf(client: KubeClient, name: string): Promise<Record<string, string>> {
    const known =
      this.#namespaces.get({ name }) ??
      (await client.get<Namespace>(RESOURCES.namespaces, { name }));
    return known.metadata.labels ?? {};
  }
}

/** What is read here. The containers, conditions and applied manifests of a node's pods are megabytes. */
function keptOf({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, annotations = {} } = metadata;
  const { [LAST_APPLIED]: _dropped, ...read } = annotations;
  const { nodeName, serviceAccountName, hostNetwork } = spec;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, resourceVersion, labels, annotations: read },
    spec: { nodeName, serviceAccountName, hostNetwork, containers: [] },
    status: { phase: status?.phase, podIP: status?.podIP },
  };
}

function factsOf(pod: Pod) {
  return {
    namespace: pod.metadata.namespace ?? '',
    labels: pod.metadata.labels ?? {},
    annotations: pod.metadata.annotations ?? {},
    hostNetwork: pod.spec.hostNetwork === true,
  };
}

function requestOf(
  pod: Pod,
  netnsPath: string | undefined,
  { verdict, isNew }: { verdict: CaptureVerdict; isNew: boolean },
): CaptureRequest {
  const report = pod.metadata.annotations?.[REDIRECTION_ANNOTATION];
  return {
    uid: pod.metadata.uid ?? '',
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name,
    serviceAccount: pod.spec.serviceAccountName ?? 'default',
    netnsPath,
    options: verdict.options,
    isNew,
    wasCaptured: !isNew && report === 'enabled',
  };
}
