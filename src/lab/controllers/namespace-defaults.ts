/** What every namespace has from the start: the service account `default` and the cluster's root certificate. */
import { isMeshError } from '#base/errors.ts';
import type { Namespace } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type Cluster, onAny } from './cluster.ts';
import { keyOf, Reconciler, splitKey } from './reconciler.ts';

export const ROOT_CA_CONFIG_MAP = 'kube-root-ca.crt';

export function startNamespaceDefaults(cluster: Cluster, certificateAuthority: string): void {
  const { client, namespaces } = cluster;
  const log = cluster.log.child('namespaces');

  const reconciler = new Reconciler({ ...cluster, log }, async (key) => {
    const { name: namespace } = splitKey(key);
    const live = namespaces.get({ name: namespace });
    if (live === undefined || live.metadata.deletionTimestamp !== undefined) return;
    await createOnce(RESOURCES.serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace, name: 'default' },
    });
    await createOnce(RESOURCES.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: ROOT_CA_CONFIG_MAP },
      data: { 'ca.crt': certificateAuthority },
    } as KubeObject);
  });

  async function createOnce(
    ref: Parameters<typeof client.create>[0],
    object: KubeObject,
  ): Promise<void> {
    try {
      await client.create(ref, object);
    } catch (error) {
      if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
    }
  }

  const added = (namespace: Namespace) => reconciler.add(keyOf(namespace));
  namespaces.subscribe({ ...onAny<Namespace>(() => undefined), onAdd: added });
}
