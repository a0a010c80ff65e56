/**
 * Sees that the Secret of our own root goes on holding the root in force. A backup of etcd that is restored may lack it or hold
 * an older one: a replica that starts then would sign with another root than the mesh trusts. Missing, it is written back, as often as it takes;
 * another one is left and reported, because whoever wrote it may have meant it. Only the leader keeps it.
 */
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { RootMaterial } from '#identity/ca/authority.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type InformerDeps, startInformer } from '#kube/informer/list-watch.ts';
import { WorkQueue } from '../controllers/work-queue.ts';
import { CERTIFICATE_KEY, ROOT_SECRET, rootSecret } from './root-secret.ts';

type Secret = KubeObject & { data?: Record<string, string> };

export function startRootKeeper(
  deps: InformerDeps,
  options: { namespace: string; material: RootMaterial },
): Disposer {
  const { namespace, material } = options;
  const log = deps.log.child('ca');
  const inForce = Buffer.from(material.certificate).toString('base64');
  const check = ({ data }: Secret) => {
    if (data?.[CERTIFICATE_KEY] === inForce) return;
    log.error('the Secret of the root holds another one than is in force', {
      secret: `${namespace}/${ROOT_SECRET}`,
      remedy:
        'write the root in force back (ConfigMap istio-ca-root-cert has it), or restart every replica of istiod and then the proxies',
    });
  };
  const secrets = startInformer<Secret>(deps, RESOURCES.secrets, {
    namespace,
    fieldSelector: `metadata.name=${ROOT_SECRET}`,
  });
  const queue = new WorkQueue({ ...deps, log }, async () => {
    if (secrets.get({ namespace, name: ROOT_SECRET }) === undefined)
      await writeBack(deps, log, rootSecret(namespace, material));
  });
  const unsubscribe = secrets.subscribe({
    onAdd: check,
    onUpdate: check,
    onDelete: () => queue.add(ROOT_SECRET),
  });
  // It may have gone while nobody led.
  void secrets.whenSynced().then(() => queue.add(ROOT_SECRET));
  return () => {
    unsubscribe();
    queue.stop();
    secrets.stop();
  };
}

/** Throws what is to be tried again. */
async function writeBack(deps: InformerDeps, log: Logger, secret: Secret): Promise<void> {
  const { namespace = '', name } = secret.metadata;
  try {
    await deps.client.create<Secret>(RESOURCES.secrets, secret);
    log.warn('the Secret of the root was gone, written back', { secret: `${namespace}/${name}` });
  } catch (error) {
    if (isMeshError(error, 'KUBE_ALREADY_EXISTS')) return;
    log.error('the Secret of the root is gone and cannot be written', { reason: messageOf(error) });
    throw error;
  }
}
