/** The objects that configure the mesh, as they stand in the API, and how far those that node proxies judge by are enforced. Pure. */
import type { Collection } from '#collections/collection.ts';
import type { ConfigView } from '#console/mesh-view.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { MeshSources } from '../../ingest/mesh-graph.ts';
import type { ProxySyncState } from '../../push/proxy-stream.ts';

/** Sources whose objects people write to say what the mesh does. */
export const CONFIG_SOURCES = [
  'virtualServices',
  'destinationRules',
  'serviceEntries',
  'workloadEntries',
  'istioGateways',
  'sidecars',
  'telemetries',
  'authorizationPolicies',
  'requestAuthentications',
  'peerAuthentications',
  'gatewayClasses',
  'gateways',
  'listenerSets',
  'httpRoutes',
  'grpcRoutes',
  'tcpRoutes',
  'tlsRoutes',
  'referenceGrants',
  'backendTlsPolicies',
  'localRateLimits',
  'loadSheddings',
] as const satisfies readonly (keyof MeshSources)[];

export type ConfigSource = (typeof CONFIG_SOURCES)[number];

/** Node proxies have these from a type of their own, so it is known who has them. */
const AT_NODES: ReadonlySet<ConfigSource> = new Set([
  'authorizationPolicies',
  'peerAuthentications',
]);

export interface Enforced {
  readonly by: number;
  readonly of: number;
}

/** One at a time: there are thousands, and who goes through them does so in several turns. */
export function* configViews(sources: MeshSources, atNodes: Enforced): Generator<ConfigView> {
  for (const name of CONFIG_SOURCES) {
    const enforced = AT_NODES.has(name) && atNodes.of > 0 ? atNodes : undefined;
    const collection = sources[name] as unknown as Collection<KubeObject>;
    for (const [, object] of collection.entries()) yield configView(object, enforced);
  }
}

function configView(object: KubeObject, enforced: Enforced | undefined): ConfigView {
  const { kind, apiVersion, metadata } = object;
  return {
    kind,
    apiVersion,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    resourceVersion: metadata.resourceVersion ?? '',
    createdAt: metadata.creationTimestamp ?? '',
    object: object as unknown as Readonly<Record<string, unknown>>,
    ...(enforced !== undefined && { enforced }),
  };
}

/** How many node proxies have answered everything they were sent. */
export function enforcedAtNodes(streams: readonly ProxySyncState[]): Enforced {
  const nodes = streams.filter(({ type }) => type === 'ztunnel');
  const synced = nodes.filter(
    ({ types }) =>
      types.length > 0 && types.every(({ state }) => state === 'synced' || state === 'idle'),
  );
  return { by: synced.length, of: nodes.length };
}
