/** Keeps ConfigMap `istio-ca-root-cert` with the mesh's trust bundle in every namespace: pods mount it to trust control. */
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

export const ROOT_CERT_NAME = 'istio-ca-root-cert';
const ROOT_CERT_KEY = 'root-cert.pem';

/** Nothing runs there, or only Kubernetes itself (as Istio: pkg/kube/inject IgnoredNamespaces, less kube-system). */
const IGNORED = new Set(['kube-public', 'kube-node-lease', 'local-path-storage']);

/** In a namespace that is going nothing can be made. */
function takesRoot({ metadata, status }: Kinds.Namespace): boolean {
  const isGoing = metadata.deletionTimestamp !== undefined || status?.phase === 'Terminating';
  return !isGoing && !IGNORED.has(metadata.name);
}

export function startRootCertController(deps: InformerDeps, rootBundle: () => string): Disposer {
  const scope = new Scope();
  const namespaces = startInformer<Kinds.Namespace>(deps, RESOURCES.namespaces);
  const configMaps = startInformer<Kinds.ConfigMap>(deps, RESOURCES.configMaps, {
    fieldSelector: `metadata.name=${ROOT_CERT_NAME}`,
  });
  const queue = new WorkQueue({ ...deps, log: deps.log.child('root-cert') }, async (namespace) => {
    const owner = namespaces.get({ name: namespace });
    if (owner === undefined || !takesRoot(owner)) return;
    await configMaps.whenSynced();
    const bundle = rootBundle();
    const present = configMaps.get({ namespace, name: ROOT_CERT_NAME })?.data?.[ROOT_CERT_KEY];
    if (present === bundle) return;
    const body = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: ROOT_CERT_NAME, namespace, labels: { 'istio.io/config': 'true' } },
      data: { [ROOT_CERT_KEY]: bundle },
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
  const isStillThere = async (name: string) => {
    try {
      return takesRoot(await deps.client.get<Kinds.Namespace>(RESOURCES.namespaces, { name }));
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return false;
      throw error;
    }
  };
  const add = (object: KubeObject) => queue.add(object.metadata.name);
  const changed = (object: KubeObject) => {
    if (object.metadata.name === ROOT_CERT_NAME) queue.add(namespaceOf(object));
  };
  const ignore = () => undefined;
  scope.add(namespaces.subscribe({ onAdd: add, onUpdate: ignore, onDelete: ignore }));
  scope.add(configMaps.subscribe({ onAdd: changed, onUpdate: changed, onDelete: changed }));
  scope.add(() => queue.stop());
  scope.add(() => configMaps.stop());
  scope.add(() => namespaces.stop());
  return () => scope.dispose();
}
