/** Keeps ConfigMap `istio-ca-root-cert` with the mesh's trust bundle in every namespace: pods mount it to trust control. */
import type { Disposer } from '#base/disposer.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { startNamespaceMap } from './namespace-map.ts';

export const ROOT_CERT_NAME = 'istio-ca-root-cert';
const ROOT_CERT_KEY = 'root-cert.pem';

export function startRootCertController(deps: InformerDeps, rootBundle: () => string): Disposer {
  return startNamespaceMap(deps, { name: ROOT_CERT_NAME, key: ROOT_CERT_KEY, text: rootBundle })
    .stop;
}
