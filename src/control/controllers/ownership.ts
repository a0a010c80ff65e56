/**
 * Which objects are this control plane's to act on, of several that stand side by side (derive/revision.ts): it makes what Gateways ask
 * for and writes statuses of these alone, so that no two write the same field.
 */
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import type { Collection } from '#collections/collection.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { LABEL, namespaceOf } from '../derive/mesh.ts';
import { isOurs, isTag, type RevisionView, revisionView } from '../derive/revision.ts';

export interface Ownership {
  owns(object: KubeObject): boolean;
  /** What is of no revision, GatewayClasses among it, is written by the default one. */
  readonly isDefault: boolean;
  /** Called when what is owned may have changed: all of it is to be looked at again. */
  onChange(handler: () => void): Disposer;
}

export interface ControllerDeps extends InformerDeps {
  readonly ownership: Ownership;
}

/** Without revisions there is one control plane. */
export const OWNS_EVERYTHING: Ownership = {
  owns: () => true,
  isDefault: true,
  onChange: () => () => undefined,
};

export function followOwnership(
  sources: { services: Collection<KubeObject>; namespaces: Collection<KubeObject> },
  { revision, rootNamespace }: { revision: string; rootNamespace: string },
): Ownership & { stop: Disposer } {
  const scope = new Scope();
  const handlers = new Set<() => void>();
  const isTagOfMesh = (service: KubeObject | undefined) =>
    service !== undefined && isTag(service, rootNamespace);
  const derive = (): RevisionView =>
    revisionView(
      revision,
      [...sources.services.entries()].flatMap(([, each]) => (isTagOfMesh(each) ? [each] : [])),
    );
  let view = derive();
  const tell = () => {
    for (const handler of handlers) handler();
  };
  scope.add(
    sources.services.subscribe((events) => {
      if (!events.some(({ value, previous }) => isTagOfMesh(value) || isTagOfMesh(previous)))
        return;
      view = derive();
      tell();
    }),
  );
  const named = (namespace: KubeObject | undefined) => namespace?.metadata.labels?.[LABEL.revision];
  scope.add(
    sources.namespaces.subscribe((events) => {
      if (events.some(({ value, previous }) => named(value) !== named(previous))) tell();
    }),
  );
  return {
    owns(object) {
      const namespace = sources.namespaces.get(namespaceOf(object));
      return isOurs(object.metadata.labels, namespace?.metadata.labels, view);
    },
    get isDefault() {
      return view.isDefault;
    },
    onChange(handler) {
      handlers.add(handler);
      return () => void handlers.delete(handler);
    },
    stop: () => scope.dispose(),
  };
}
