/**
 * Tells the API server whose certificates the webhook shows: the bundle in the ValidatingWebhookConfiguration that the installation
 * made. Only that field is ours; without it the API server cannot ask, and `failurePolicy: Ignore` lets objects through to where they
 * are judged anyway. The configuration of an installation without one is left missing.
 */
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type InformerDeps, startInformer } from '#kube/informer/list-watch.ts';
import { WorkQueue } from '../controllers/work-queue.ts';

interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig?: { caBundle?: string } }[];
}

const FIELD_MANAGER = 'tulle-webhook';

export function startCaBundleController(
  deps: InformerDeps,
  options: { readonly name: string; readonly bundle: () => string },
): Disposer {
  const scope = new Scope();
  const { name } = options;
  const ref = RESOURCES.validatingWebhookConfigurations;
  const configurations = startInformer<WebhookConfiguration>(deps, ref, {
    fieldSelector: `metadata.name=${name}`,
  });
  const queue = new WorkQueue({ ...deps, log: deps.log.child('webhook') }, async () => {
    const found = configurations.get({ name });
    const caBundle = Buffer.from(options.bundle()).toString('base64');
    const missing = (found?.webhooks ?? []).filter(
      ({ clientConfig }) => clientConfig?.caBundle !== caBundle,
    );
    if (found === undefined || missing.length === 0) return;
    const webhooks = (found.webhooks ?? []).map((each) => ({
      name: each.name,
      clientConfig: { caBundle },
    }));
    const body = { apiVersion: found.apiVersion, kind: found.kind, metadata: { name }, webhooks };
    const write = { fieldManager: FIELD_MANAGER, force: true };
    await deps.client.patch(ref, { name }, { type: 'apply', body }, write);
    deps.log.info('the API server knows the webhook’s certificate', { configuration: name });
  });
  const changed = () => queue.add(name);
  const ignore = () => undefined;
  scope.add(configurations.subscribe({ onAdd: changed, onUpdate: changed, onDelete: ignore }));
  scope.add(() => queue.stop());
  scope.add(() => configurations.stop());
  return () => scope.dispose();
}
