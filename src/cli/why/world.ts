/**
 * What the answers are made from: the control plane's graph and the node proxies' snapshot of it. From files the graph is filled here,
 * with what a cluster would have added (addresses, readiness, capture), each assumption with a note.
 */

import type { Reads, SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import type { CompiledIstioGateway } from '#config/compile/istio-gateway.ts';
import { compileIstioGateway } from '#config/compile/istio-gateway.ts';
import type { CompiledSidecar, OutboundMode } from '#config/compile/sidecar.ts';
import { compileSidecar } from '#config/compile/sidecar.ts';
import type { MeshSettings } from '#control/derive/mesh.ts';
import { DEFAULT_MESH } from '#control/derive/mesh.ts';
import type { MeshConfigObject } from '#control/derive/mesh-config.ts';
import { meshConfigKey, readMeshConfig } from '#control/derive/mesh-config.ts';
import { INGESTED } from '#control/ingest/ingest.ts';
import type { MeshGraph, MeshSources } from '#control/ingest/mesh-graph.ts';
import { createMeshGraph } from '#control/ingest/mesh-graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { splitApiVersion } from '#kube/meta/api-version.ts';
import type { PathNormalization } from '#model/route/normalize-path.ts';
import { MeshSnapshot } from '#node/state/mesh-snapshot.ts';
import { complete, describe } from './complete.ts';

/** Reads collections as they are now. */
export const NOW: Reads = {
  get: (collection, key) => collection.get(key),
  lookup: (index, key) => index.get(key) ?? [],
  all: (collection) => collection.entries(),
};

export interface World {
  readonly mesh: MeshGraph;
  readonly settings: MeshSettings;
  /** What the mesh config says of destinations that nobody knows. */
  readonly outbound: OutboundMode;
  /** The mesh's, and its aliases. */
  readonly trustDomains: readonly string[];
  readonly pathNormalization: PathNormalization;
  /** Proxies in front of gateways that are believed about the client. */
  readonly trustedProxies: number;
  readonly sidecars: readonly CompiledSidecar[];
  readonly istioGateways: readonly CompiledIstioGateway[];
  snapshot(): MeshSnapshot;
  /** Undefined for the running mesh: nothing is assumed about it. */
  readonly files: Files | undefined;
}

/** The world of files: it may lack what a request names. */
export interface Files {
  /** Adds an object that the files lack. */
  assume(object: KubeObject, note: string): void;
  /** `Kind namespace/name` → what was assumed about it. */
  readonly notes: ReadonlyMap<string, string>;
  /** Neither capture nor waypoints are told of anywhere: both are taken as being in use. */
  readonly saysNothingOfAmbient: boolean;
  has(kind: string, namespace: string): boolean;
}

export function liveWorld(mesh: MeshGraph, settings: MeshSettings): World {
  return {
    mesh,
    settings,
    ...configured(mesh, settings),
    ...compiledOf(mesh, settings),
    snapshot: () => snapshotOf(mesh),
    files: undefined,
  };
}

export function worldOf(objects: readonly KubeObject[], defaultNamespace = 'default'): World {
  const settings = settingsOf(objects);
  const graph = new Graph();
  const mesh = createMeshGraph(graph, settings);
  const completed = complete(objects, defaultNamespace);
  const notes = new Map(completed.notes);
  let snapshot: MeshSnapshot | undefined;
  graph.batch(() => {
    for (const object of completed.objects) put(mesh, object);
  });
  return {
    mesh,
    settings,
    ...configured(mesh, settings),
    ...compiledOf(mesh, settings),
    snapshot: () => {
      snapshot ??= snapshotOf(mesh);
      return snapshot;
    },
    files: {
      assume(object, note) {
        notes.set(describe(object), note);
        put(mesh, object);
        snapshot = undefined;
      },
      notes,
      saysNothingOfAmbient: completed.saysNothingOfAmbient,
      has: (kind, namespace) =>
        completed.objects.some(
          (object) =>
            object.kind === kind &&
            object.metadata.namespace === namespace &&
            !completed.notes.has(describe(object)),
        ),
    },
  };
}

/** Kinds that nothing is derived from are passed over. */
function put(mesh: MeshGraph, object: KubeObject): void {
  const { name, namespace } = object.metadata;
  for (const source of sourcesOf(object)) {
    const { namespaced } = INGESTED[source];
    const key = namespaced ? `${namespace}/${name}` : name;
    (mesh.sources[source] as unknown as SourceCollection<KubeObject>).set(key, object);
  }
}

function sourcesOf(object: KubeObject): (keyof MeshSources)[] {
  const { group } = splitApiVersion(object.apiVersion);
  const names = Object.keys(INGESTED) as (keyof MeshSources)[];
  return names.filter((name) => {
    const { kind, group: own } = INGESTED[name];
    if (kind !== object.kind || own !== group) return false;
    if (name !== 'meshConfig') return true;
    return (
      object.metadata.name === 'istio' && object.metadata.namespace === DEFAULT_MESH.rootNamespace
    );
  });
}

function snapshotOf(mesh: MeshGraph): MeshSnapshot {
  return new MeshSnapshot({
    version: 1,
    addresses: [...mesh.addresses.entries()].map(([, value]) => value),
    authorizations: [...mesh.authorizations.entries()].map(([, value]) => value),
  });
}

/** What only other proxies than ours act on: sidecars, and the pods that Istio's Gateways choose. */
function compiledOf(
  { sources }: MeshGraph,
  settings: MeshSettings,
): Pick<World, 'sidecars' | 'istioGateways'> {
  return {
    sidecars: [...sources.sidecars.entries()].flatMap(
      ([, object]) => compileSidecar(object, settings).value ?? [],
    ),
    istioGateways: [...sources.istioGateways.entries()].flatMap(
      ([, object]) => compileIstioGateway(object).value ?? [],
    ),
  };
}

/** meshConfig, as far as the control plane derives nothing from it. */
interface MoreMeshConfig {
  readonly trustDomain?: string;
  readonly trustDomainAliases?: readonly string[];
  readonly outboundTrafficPolicy?: { readonly mode?: string };
  readonly pathNormalization?: { readonly normalization?: string };
  readonly defaultConfig?: { readonly gatewayTopology?: { readonly numTrustedProxies?: number } };
}

const NORMALIZATIONS: readonly string[] = ['NONE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];

function configured(
  mesh: MeshGraph,
  settings: MeshSettings,
): Pick<World, 'outbound' | 'trustDomains' | 'pathNormalization' | 'trustedProxies'> {
  const config: MoreMeshConfig = readMeshConfig(
    mesh.sources.meshConfig.get(meshConfigKey(settings)),
  ) as MoreMeshConfig;
  const how = config.pathNormalization?.normalization ?? '';
  return {
    outbound:
      config.outboundTrafficPolicy?.mode === 'REGISTRY_ONLY' ? 'registry-only' : 'allow-any',
    trustDomains: [settings.trustDomain, ...(config.trustDomainAliases ?? [])],
    pathNormalization: (NORMALIZATIONS.includes(how) ? how : 'BASE') as PathNormalization,
    trustedProxies: config.defaultConfig?.gatewayTopology?.numTrustedProxies ?? 0,
  };
}

/** The trust domain is the control plane's option where one runs; files say it in their mesh config. */
function settingsOf(objects: readonly KubeObject[]): MeshSettings {
  const { rootNamespace } = DEFAULT_MESH;
  const object = objects.find(
    ({ kind, metadata }) =>
      kind === 'ConfigMap' && metadata.namespace === rootNamespace && metadata.name === 'istio',
  );
  const { trustDomain } = readMeshConfig(object as MeshConfigObject | undefined) as MoreMeshConfig;
  return trustDomain ? { ...DEFAULT_MESH, trustDomain } : DEFAULT_MESH;
}
