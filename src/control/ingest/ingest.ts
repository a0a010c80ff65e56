/**
 * Informers of every kind that the mesh graph reads, wired to its sources. Until all have their first list nothing
 * is derived: then everything enters in one batch, so no half-known mesh is ever pushed.
 */
import { assert } from '#base/assert.ts';
import type { Disposer } from '#base/disposer.ts';
import type { SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { KubeObject, ResourceRef, Selection } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Informer, InformerProblem } from '#kube/informer/informer.ts';
import { ListGate } from '#kube/informer/list-gate.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { objectKey, startInformer } from '#kube/informer/list-watch.ts';
import { LISTS_AT_ONCE } from '#kube/limits.ts';
import { MESH_CONFIG_NAME } from '../derive/mesh-config.ts';
import { DEFAULT_REVISION, revisioned } from '../derive/revision.ts';
import { OPTIONAL_KINDS, SECRET_SELECTION } from './gateway-api-sources.ts';
import { OPTIONAL_ISTIO_KINDS } from './istio-gateway-graph.ts';
import { OWN_KINDS } from './limit-graph.ts';
import type { MeshSources } from './mesh-graph.ts';
import {
  createRevisionFilter,
  namesRevision,
  REVISIONED,
  type RevisionFilter,
} from './revision-filter.ts';
import { trimFor } from './trim.ts';

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
  httpRoutes: RESOURCES.httpRoutes,
  grpcRoutes: RESOURCES.grpcRoutes,
  tcpRoutes: RESOURCES.tcpRoutes,
  tlsRoutes: RESOURCES.tlsRoutes,
  referenceGrants: RESOURCES.referenceGrants,
  backendTlsPolicies: RESOURCES.backendTlsPolicies,
  listenerSets: RESOURCES.listenerSets,
  secrets: RESOURCES.secrets,
  configMaps: RESOURCES.configMaps,
  istioGateways: RESOURCES.istioGateways,
  sidecars: RESOURCES.sidecars,
  telemetries: RESOURCES.telemetries,
  localRateLimits: RESOURCES.localRateLimits,
  loadSheddings: RESOURCES.loadSheddings,
};

/**
 * Kinds that the control plane goes on without when it may not read them: without what they say less is served or
 * reached, and nothing that would not be otherwise. All others are waited for: what an unknown policy, route or
 * destination forbids must not happen.
 */
export const DISPENSABLE_KINDS: ReadonlySet<string> = new Set<keyof MeshSources>([
  // Localities: without them all endpoints are equally near.
  'nodes',
  // Gateways and their listeners are not served, and who is bound to a waypoint that is not known is refused.
  'gatewayClasses',
  'gateways',
  'listenerSets',
  'istioGateways',
  // References into other namespaces are refused.
  'referenceGrants',
  // TLS that lacks its certificates or authorities connects to nobody.
  'secrets',
  'configMaps',
]);

/** What of the API cannot be followed now. */
export interface IngestProblem extends InformerProblem {
  /** What was there before, or nothing where it may be missing, is in force; else all waits for it. */
  readonly isKnown: boolean;
}

/** In one line, with what to do about it. */
export function describeProblem({ verb, resource, code, message }: IngestProblem): string {
  return code === 'KUBE_FORBIDDEN'
    ? `may not ${verb} ${resource}: grant get, list and watch to the ClusterRole of istiod (kubectl auth can-i ${verb} ${resource})`
    : `cannot ${verb} ${resource}: ${message}`;
}

export interface Ingest {
  problems(): IngestProblem[];
  /** Every kind that is waited for is followed: what is not known here is not there. */
  isCurrent(): boolean;
  /** Resolves when everything that existed at the start has been derived. */
  readonly synced: Promise<void>;
  readonly stop: Disposer;
}

export function startIngest(
  deps: InformerDeps,
  graph: Graph,
  from: { sources: MeshSources; rootNamespace: string; revision?: string },
): Ingest {
  const { sources, rootNamespace, revision = DEFAULT_REVISION } = from;
  // Of all ConfigMaps there is one to read.
  const meshConfig = {
    namespace: rootNamespace,
    fieldSelector: `metadata.name=${revisioned(MESH_CONFIG_NAME, revision)}`,
  };
  const selections: Partial<Record<keyof MeshSources, Selection>> = {
    meshConfig,
    secrets: SECRET_SELECTION,
  };
  const held: (() => void)[] = [];
  let open = false;
  const run = (change: () => void) => (open ? change() : void held.push(change));
  const refilters: (() => void)[] = [];
  let filter: RevisionFilter | undefined;
  const admits = (object: KubeObject) => filter?.admits(object) !== false;
  const byName = new Map<keyof MeshSources, Informer<KubeObject>>();
  const gate = new ListGate(LISTS_AT_ONCE);
  const informers = (Object.keys(INGESTED) as (keyof MeshSources)[]).map((name) => {
    const informer = startInformer<KubeObject>(deps, INGESTED[name], selections[name], {
      isOptional: OPTIONAL_KINDS.has(name) || OPTIONAL_ISTIO_KINDS.has(name) || OWN_KINDS.has(name),
      isDispensable: DISPENSABLE_KINDS.has(name),
      keep: trimFor(name),
      gate,
    });
    const source = sources[name] as unknown as SourceCollection<KubeObject>;
    const refilter = follow(informer, source, { run, admits: REVISIONED.has(name) ? admits : all });
    if (REVISIONED.has(name)) refilters.push(refilter);
    byName.set(name, informer);
    return informer;
  });
  const services = byName.get('services');
  assert(services !== undefined, 'services are ingested');
  filter = createRevisionFilter(services, { revision, rootNamespace }, () => {
    for (const refilter of refilters) refilter();
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
  const problems = () =>
    informers.flatMap(({ problem, synced }) => {
      // A kind that may be missing, and is.
      const isNone = problem === undefined || (synced && problem.code === 'KUBE_NOT_FOUND');
      return isNone ? [] : [{ ...problem, isKnown: synced }];
    });
  const needed = [...byName].flatMap(([name, one]) => (DISPENSABLE_KINDS.has(name) ? [] : [one]));
  const isCurrent = () => needed.every((informer) => informer.isCurrent);
  return { synced, problems, isCurrent, stop };
}

const all = () => true;

/** What it returns looks again at those that name a revision. */
function follow(
  informer: Informer<KubeObject>,
  source: SourceCollection<KubeObject>,
  { run, admits }: { run: (change: () => void) => void; admits: (object: KubeObject) => boolean },
): () => void {
  const set = (object: KubeObject) =>
    run(() => {
      const key = objectKey(object.metadata);
      if (admits(object)) source.set(key, object);
      else source.delete(key);
    });
  informer.subscribe({
    onAdd: set,
    onUpdate: set,
    onDelete: (object) => run(() => source.delete(objectKey(object.metadata))),
  });
  return () => {
    for (const object of informer.list()) if (namesRevision(object)) set(object);
  };
}
