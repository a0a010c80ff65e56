/** The kubelet of one node: a PodWorker for each pod bound to it, from the pods' informer. */
import { messageOf } from '#base/errors.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { onAny } from '../controllers/cluster.ts';
import { type NodeContext, PodWorker } from './pod-worker.ts';

export class Kubelet {
  readonly #context: NodeContext;
  /** By pod uid: a name may come back while its old pod still ends. */
  readonly #workers = new Map<string, PodWorker>();

  constructor(context: NodeContext) {
    this.#context = context;
  }

  start(): void {
    const { cluster } = this.#context;
    cluster.pods.subscribe({
      onAdd: (pod) => this.#sync(pod),
      onUpdate: (pod) => this.#sync(pod),
      onDelete: (pod) => this.#gone(pod),
    });
    const refresh = (object: KubeObject) => this.#refresh(object);
    cluster.configMaps.subscribe(onAny(refresh));
    cluster.secrets.subscribe(onAny(refresh));
  }

  find(namespace: string, name: string): PodWorker | undefined {
    for (const worker of this.#workers.values()) {
      const { metadata } = worker.pod;
      if (metadata.namespace === namespace && metadata.name === name) return worker;
    }
    return undefined;
  }

  #sync(pod: Pod): void {
    const { node, cluster } = this.#context;
    if (pod.spec.nodeName !== node.name) return;
    const uid = pod.metadata.uid ?? '';
    let worker = this.#workers.get(uid);
    if (worker === undefined) {
      if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
      worker = new PodWorker(this.#context, pod);
      this.#workers.set(uid, worker);
      if (pod.metadata.deletionTimestamp === undefined)
        void worker.run().catch((error: unknown) =>
          cluster.log.error('pod not started', {
            pod: pod.metadata.name,
            reason: messageOf(error),
          }),
        );
    } else worker.update(pod);
    if (pod.metadata.deletionTimestamp !== undefined) this.#end(uid, worker, graceOf(pod, worker));
  }

  /** Deleted without grace, or by force. */
  #gone(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    const worker = this.#workers.get(uid);
    if (worker !== undefined) this.#end(uid, worker, 0);
  }

  #end(uid: string, worker: PodWorker, graceSeconds: number): void {
    const { log } = this.#context.cluster;
    void worker.terminate(graceSeconds).then(
      () => this.#workers.delete(uid),
      (error: unknown) => {
        this.#workers.delete(uid);
        log.error('pod not ended cleanly', {
          pod: worker.pod.metadata.name,
          reason: messageOf(error),
        });
      },
    );
  }

  #refresh(object: KubeObject): void {
    for (const worker of this.#workers.values())
      if (worker.pod.metadata.namespace === object.metadata.namespace) worker.refreshVolumes();
  }
}

function graceOf(pod: Pod, worker: PodWorker): number {
  const { deletionGracePeriodSeconds } = pod.metadata as { deletionGracePeriodSeconds?: number };
  return deletionGracePeriodSeconds ?? worker.graceSeconds;
}
