/** Keeps a ConfigMap with one text in every namespace, where pods of the mesh mount it. */
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import { namespaceOf } from '../derive/mesh.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import { WorkQueue } from './work-queue.ts';

export interface NamespaceMap {
  readonly name: string;
  readonly key: string;
  /** Undefined: as long as there is none, nothing is written and nothing taken away. */
  text(): string | undefined;
}

export interface NamespaceMapControl {
  /** The text is another one now. */
  refresh(): void;
  stop: Disposer;
}

/** Nothing runs there, or only Kubernetes itself (as Istio: pkg/kube/inject IgnoredNamespaces, less kube-system). */
const IGNORED = new Set(['kube-public', 'kube-node-lease', 'local-path-storage']);

/** In a namespace that is going nothing can be made. */
function takesMap({ metadata, status }: Kinds.Namespace): boolean {
  const isGoing = metadata.deletionTimestamp !== undefined || status?.phase === 'Terminating';
  return !isGoing && !IGNORED.has(metadata.name);
}

export function startNamespaceMap(
  deps: InformerDeps,
  { name, key, text }: NamespaceMap,
): NamespaceMapControl {
  const scope = new Scope();
  const namespaces = startInformer<Kinds.Namespace>(deps, RESOURCES.namespaces);
  const configMaps = startInformer<Kinds.ConfigMap>(deps, RESOURCES.configMaps, {
    fieldSelector: `metadata.name=${name}`,
  });
  const queue = new WorkQueue({ ...deps, log: deps.log.child(name) }, async (namespace) => {
    const owner = namespaces.get({ name: namespace });
    if (owner === undefined || !takesMap(owner)) return;
    await configMaps.whenSynced();
    const wanted = text();
    const present = configMaps.get({ namespace, name })?.data?.[key];
    if (wanted === undefined || present === wanted) return;
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels: { 'istio.io/config': 'true' } },
      data: { [key]: wanted },
    };
    const options = { fieldManager: FIELD_MANAGER, force: true };
    try {
      await deps.client.patch(
        RESOURCES.configMaps,
        body.metadata,
        { type: 'apply', body },
        options,
      );
    } catch (error) {
      // The namespace went, or began to go, between our look and the write: its deletion may not have reached us yet.
      const isGone = isMeshError(error, 'KUBE_NOT_FOUND') || isMeshError(error, 'KUBE_FORBIDDEN');
      if (!isGone || (await isStillThere(namespace))) throw error;
    }
  });
  const isStillThere = async (namespace: string) => {
    try {
      const key = { name: namespace };
      return takesMap(await deps.client.get<Kinds.Namespace>(RESOURCES.namespaces, key));
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return false;
      throw error;
    }
  };
  const add = (object: KubeObject) => queue.add(object.metadata.name);
  const changed = (object: KubeObject) => {
    if (object.metadata.name === name) queue.add(namespaceOf(object));
  };
  const ignore = () => undefined;
  scope.add(namespaces.subscribe({ onAdd: add, onUpdate: ignore, onDelete: ignore }));
  scope.add(configMaps.subscribe({ onAdd: changed, onUpdate: changed, onDelete: changed }));
  scope.add(() => queue.stop());
  scope.add(() => configMaps.stop());
  scope.add(() => namespaces.stop());
  const refresh = () => {
    for (const { metadata } of namespaces.list()) queue.add(metadata.name);
  };
  return { refresh, stop: () => scope.dispose() };
}
