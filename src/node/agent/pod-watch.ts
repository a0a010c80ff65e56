/** Follows the pods of this node and the labels of their namespaces, and asks the agent to capture or release. */
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Namespace, Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { withinTime } from '#kube/client/within-time.ts';
import type { Informer } from '#kube/informer/informer.ts';
import { type InformerDeps, startInformer } from '#kube/informer/list-watch.ts';
import type { CniAdd, CniAnswer } from '#redirect/cni-server.ts';
import { type CaptureVerdict, planCapture, REDIRECTION_ANNOTATION } from '#redirect/plan.ts';
import { NODE_ERRORS } from '../errors.ts';
import { CNI_LOOKUP_MS } from '../limits.ts';
import type { CaptureAgent } from './capture-agent.ts';
import type { CaptureRequest } from './captured-pod.ts';
import type { RedirectionReports } from './reports.ts';

export interface PodWatchOptions {
  nodeName: string;
  dnsCapture: boolean;
  excludeNamespaces?: readonly string[];
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Of a static pod: its uid as the kubelet knows it (kubernetes pkg/kubelet/types/pod_update.go). */
export const STATIC_UID = 'kubernetes.io/config.hash';

const FINISHED: readonly (string | undefined)[] = ['Succeeded', 'Failed'];

export class PodWatch {
  readonly #deps: InformerDeps;
  readonly #options: PodWatchOptions;
  readonly #agent: CaptureAgent;
  readonly #reports: RedirectionReports;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<Namespace>;
  readonly #stops: Disposer[];
  #leaving = false;

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
    const { pod, labels } = await this.#lookUp(add);
    const verdict = this.#plan(pod, labels);
    if (this.#leaving) return { captured: false, reason: 'the mesh is leaving this node' };
    if (verdict.captured) this.#agent.capture(requestOf(pod, add.netns, { verdict, isNew: true }));
    return { captured: verdict.captured, reason: verdict.reason };
  }

  /** Whether a pod that was added before is as it should be. */
  async check(add: CniAdd): Promise<CniAnswer> {
    const { pod, labels } = await this.#lookUp(add);
    const { captured, reason } = this.#plan(pod, labels);
    const state = this.#agent.stateOf(pod.metadata.uid ?? '');
    if (!captured || state === 'captured' || state === 'pending') return { captured, reason };
    throw refusal(`${reason}, but it is ${state ?? 'not captured'}`);
  }

  /** The node leaves the mesh for good; nothing is captured any more. */
  leave(): void {
    this.#leaving = true;
    this.#deps.log.info('every pod of this node leaves the mesh');
    this.#agent.releaseAll();
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
    const addresses = captured.flatMap(addressesOf);
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
    const { dnsCapture: dns, excludeNamespaces: excludedNamespaces } = this.#options;
    return planCapture(factsOf(pod), namespaceLabels, { dns, excludedNamespaces });
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
    if (this.#leaving) return;
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

  /**
   * The API is asked, so that no label is missed that was set a moment ago. What was last known is enough to capture a
   * pod, and for as long as the API is away.
   */
  async #lookUp(add: CniAdd): Promise<{ pod: Pod; labels: Record<string, string> }> {
    const { podNamespace: namespace, podName: name } = add;
    const known = this.#pods.get({ namespace, name });
    const usable = known !== undefined && isThat(known, add) ? known : undefined;
    if (usable !== undefined && this.#verdictOn(usable).captured) return this.#asKnown(usable);
    try {
      return await this.#ask(add);
    } catch (error) {
      if (usable === undefined || !isMeshError(error, 'KUBE_UNAVAILABLE')) throw error;
      const pod = `${namespace}/${name}`;
      this.#deps.log.warn('judged by what was last known', { pod, error: messageOf(error) });
      return this.#asKnown(usable);
    }
  }

  #asKnown(pod: Pod) {
    const { namespace: name = '' } = pod.metadata;
    return { pod, labels: this.#namespaces.get({ name })?.metadata.labels ?? {} };
  }

  async #ask(add: CniAdd) {
    const { client, clock } = this.#deps;
    const { podNamespace: namespace, podName: name } = add;
    const [pod, { metadata }] = await withinTime(
      clock,
      CNI_LOOKUP_MS,
      Promise.all([
        client.get<Pod>(RESOURCES.pods, { namespace, name }),
        client.get<Namespace>(RESOURCES.namespaces, { name: namespace }),
      ]),
    );
    if (isThat(pod, add)) return { pod, labels: metadata.labels ?? {} };
    throw refusal('the API knows another pod of that name by now');
  }
}

function isThat({ metadata }: Pod, { podUid }: CniAdd): boolean {
  return podUid === '' || metadata.uid === podUid || metadata.annotations?.[STATIC_UID] === podUid;
}

function refusal(message: string): MeshError {
  return new MeshError('NODE_CAPTURE', message, { side: 'self', hint: NODE_ERRORS.NODE_CAPTURE });
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
    status: { phase: status?.phase, podIP: status?.podIP, podIPs: status?.podIPs },
  };
}

/** Of both families. */
function addressesOf({ status }: Pod): string[] {
  const { podIP, podIPs = podIP === undefined ? [] : [{ ip: podIP }] } = status ?? {};
  return podIPs.map(({ ip }) => ip);
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
    kubeletUid: pod.metadata.annotations?.[STATIC_UID],
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name,
    serviceAccount: pod.spec.serviceAccountName ?? 'default',
    netnsPath,
    options: verdict.options,
    isNew,
    wasCaptured: !isNew && report === 'enabled',
  };
}
