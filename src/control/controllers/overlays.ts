/**
 * Where overlays (proxy-overlay.ts) come from: ConfigMaps of the root namespace with the label `gateway.istio.io/defaults-for-class`, and
 * the one that a Gateway's `parametersRef` names. The latter is asked for when it is needed: ConfigMaps are many, and no cache holds them whole.
 */
import type { Disposer } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type { ConfigMap } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import { LABEL, namespaceOf } from '../derive/mesh.ts';
import type { GatewayObject } from './gateway-objects.ts';

export interface Overlays {
  /** In the order in which they are applied; a string says what is wrong. */
  read(gateway: GatewayObject): Promise<ConfigMap[] | string>;
  readonly stop: Disposer;
}

/** Keys of the ConfigMaps of its own namespace that a Gateway names. */
export function overlaysOf(gateway: GatewayObject): string[] {
  const ref = gateway.spec.infrastructure?.parametersRef;
  return ref === undefined ? [] : [`${namespaceOf(gateway)}/${ref.name}`];
}

/** `onClass`: the defaults of a class have changed. */
export function startOverlays(
  deps: InformerDeps,
  { rootNamespace }: { rootNamespace: string },
  onClass: () => void,
): Overlays {
  const defaults = startInformer<ConfigMap>(deps, RESOURCES.configMaps, {
    namespace: rootNamespace,
    labelSelector: LABEL.classDefaults,
  });
  const unsubscribe = defaults.subscribe({ onAdd: onClass, onUpdate: onClass, onDelete: onClass });
  return {
    async read(gateway) {
      await defaults.whenSynced();
      const ofClass = defaults
        .list()
        .filter(
          ({ metadata }) =>
            metadata.labels?.[LABEL.classDefaults] === gateway.spec.gatewayClassName,
        )
        // Of several the oldest counts (as Istio).
        .toSorted((left, right) => (ageOf(left) < ageOf(right) ? -1 : 1))
        .slice(0, 1);
      const own = await ownOverlay(deps, gateway);
      return typeof own === 'string' ? own : [...ofClass, ...own];
    },
    stop() {
      unsubscribe();
      defaults.stop();
    },
  };
}

async function ownOverlay(
  { client }: InformerDeps,
  gateway: GatewayObject,
): Promise<ConfigMap[] | string> {
  const ref = gateway.spec.infrastructure?.parametersRef;
  if (ref === undefined) return [];
  const namespace = namespaceOf(gateway);
  if ((ref.group ?? '') !== '' || ref.kind !== 'ConfigMap')
    return `parametersRef names ${ref.group ?? ''}/${ref.kind}: only ConfigMaps are read`;
  try {
    return [await client.get<ConfigMap>(RESOURCES.configMaps, { namespace, name: ref.name })];
  } catch (error) {
    if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
    return `parametersRef names ConfigMap ${namespace}/${ref.name}, which does not exist`;
  }
}

function ageOf({ metadata }: ConfigMap): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
}
