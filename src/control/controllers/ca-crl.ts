/**
 * Keeps ConfigMap `istio-ca-crl` with the revocation lists of the CA that was plugged in in every namespace: node proxies, waypoints
 * and gateways mount it. They come from key `ca-crl.pem` of Secret `cacerts`, as istiod's. Lists that cannot be read are told to nobody, and a
 * key that is taken away lifts nothing: an empty text does.
 */
import type { Disposer } from '#base/disposer.ts';
import { MeshError } from '#base/errors.ts';
import { CRL_KEY, CRL_NAME } from '#identity/trust/crl-map.ts';
import { readRevocationLists } from '#identity/trust/revocation.ts';
import type { Secret } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type InformerDeps, startInformer } from '#kube/informer/list-watch.ts';
import { PLUGGED_SECRET, textOf } from '../ca/root-secret.ts';
import { startNamespaceMap } from './namespace-map.ts';

export function startCrlController(deps: InformerDeps, namespace: string): Disposer {
  const log = deps.log.child('ca');
  let lists: string | undefined;
  const map = startNamespaceMap(deps, { name: CRL_NAME, key: CRL_KEY, text: () => lists });
  const secrets = startInformer<Secret>(deps, RESOURCES.secrets, {
    namespace,
    fieldSelector: `metadata.name=${PLUGGED_SECRET}`,
  });
  const take = ({ data }: Secret) => {
    const text = textOf(data?.[CRL_KEY]);
    if (text === undefined || text === lists) return;
    const read = readRevocationLists(Buffer.from(text));
    if (read instanceof MeshError) {
      const secret = `${namespace}/${PLUGGED_SECRET}`;
      log.error(`revocation lists unreadable: ${read.message}`, { secret, hint: read.hint });
      return;
    }
    lists = text;
    map.refresh();
  };
  const unsubscribe = secrets.subscribe({ onAdd: take, onUpdate: take, onDelete: () => undefined });
  return () => {
    unsubscribe();
    secrets.stop();
    map.stop();
  };
}
