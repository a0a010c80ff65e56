/**
 * Informers of every kind that the mesh graph reads, wired to its sources. Until all have their first list nothing
 * is derived: then everything enters in one batch, so no half-known mesh is ever pushed.
 */
import type { Disposer } from '#base/disposer.ts';
import type { SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Informer } from '#kube/informer/informer.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { objectKey, startInformer } from '#kube/informer/list-watch.ts';
import { MESH_CONFIG_NAME } from '../derive/mesh-config.ts';
import type { MeshSources } from './mesh-graph.ts';

/** Which kind feeds which source. */
export const INGESTED: Record<keyof MeshSources, ResourceRef> = {
  namespaces: RESOURCES.namespaces,
  nodes: RESOURCES.nodes,
  pods: RESOURCES.pods,
  services: RESOURCES.services,
  serviceEntries: RESOURCES.serviceEntries,
  workloadEntries: RESOURCES.workloadEntries,
  authorizationPolicies: RESOURCES.authorizationPolicies,
  requestAuthentications: RESOURCES.requestAuthentications,
  peerAuthentications: RESOURCES.peerAuthentications,
  gatewayClasses: RESOURCES.gatewayClasses,
  gateways: RESOURCES.gateways,
  endpointSlices: RESOURCES.endpointSlices,
  meshConfig: RESOURCES.configMaps,
  virtualServices: RESOURCES.virtualServices,
  destinationRules: RESOURCES.destinationRules,
};

export interface Ingest {
  /** Resolves when everything that existed at the start has been derived. */
  readonly synced: Promise<void>;
  readonly stop: Disposer;
}

export function startIngest(
  deps: InformerDeps,
  graph: Graph,
  from: { sources: MeshSources; rootNamespace: string },
): Ingest {
  const { sources, rootNamespace } = from;
  // Of all ConfigMaps there is one to read.
  const meshConfig = {
    namespace: rootNamespace,
    fieldSelector: `metadata.name=${MESH_CONFIG_NAME}`,
  };
  const held: (() => void)[] = [];
  let open = false;
  const informers = (Object.keys(INGESTED) as (keyof MeshSources)[]).map((name) => {
    const selection = name === 'meshConfig' ? meshConfig : {};
    const informer = startInformer<KubeObject>(deps, INGESTED[name], selection);
    const source = sources[name] as unknown as SourceCollection<KubeObject>;
    follow(informer, source, (change) => (open ? change() : void held.push(change)));
    return informer;
  });
  const synced = Promise.all(informers.map((informer) => informer.whenSynced())).then(() => {
    graph.batch(() => {
      for (const change of held) change();
    });
    held.length = 0;
    open = true;
  });
  const stop = () => {
    for (const informer of informers) informer.stop();
  };
  return { synced, stop };
}

function follow(
  informer: Informer<KubeObject>,
  source: SourceCollection<KubeObject>,
  run: (change: () => void) => void,
): void {
  const set = (object: KubeObject) =>
    run(() => source.set(objectKey(object.metadata), slim(object)));
  informer.subscribe({
    onAdd: set,
    onUpdate: set,
    onDelete: (object) => run(() => source.delete(objectKey(object.metadata))),
  });
}

/** managedFields are the larger half of many objects, and nothing reads them. */
function slim(object: KubeObject): KubeObject {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _unread, ...metadata } = object.metadata as KubeObject['metadata'] & {
    managedFields?: unknown;
  };
  return { ...object, metadata };
}
