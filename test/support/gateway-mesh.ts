/** A mesh graph with objects of the Gateway API in it, and the objects that most of its tests start from. */
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import { DEFAULT_MESH } from '#control/derive/mesh.ts';
import type { RouteStatus } from '#control/ingest/gateway-api-status.ts';
import { INGESTED } from '#control/ingest/ingest.ts';
import type { MeshGraph, MeshSources } from '#control/ingest/mesh-graph.ts';
import { createMeshGraph } from '#control/ingest/mesh-graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';

export type Loose = Record<string, unknown>;
const GATEWAY_API = 'gateway.networking.k8s.io/v1';

export function object(
  kind: string,
  name: string,
  spec: unknown,
  metadata: Loose = {},
  rest: Loose = {},
): KubeObject {
  return {
    apiVersion: GATEWAY_API,
    kind,
    metadata: {
      name,
      namespace: 'shop',
      uid: `${kind}/${name}`,
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...metadata,
    },
    spec,
    ...rest,
  } as KubeObject;
}

/** Gateway is a kind of the Gateway API and of Istio: the group tells. */
function sourceOf({ kind, apiVersion = '' }: KubeObject): keyof MeshSources {
  const names = Object.keys(INGESTED) as (keyof MeshSources)[];
  const found = names.find((name) => {
    const ref = INGESTED[name];
    const isOfGroup = kind !== 'Gateway' || apiVersion.startsWith(ref.group);
    return ref.kind === kind && name !== 'meshConfig' && isOfGroup;
  });
  if (found === undefined) throw new Error(`${kind} is not ingested`);
  return found;
}

export function meshOf(objects: readonly KubeObject[]) {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const source = (value: KubeObject) =>
    mesh.sources[sourceOf(value)] as unknown as SourceCollection<KubeObject>;
  const keyOf = ({ metadata }: KubeObject) =>
    metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  const put = (value: KubeObject) => source(value).set(keyOf(value), value);
  const remove = (value: KubeObject) => source(value).delete(keyOf(value));
  graph.batch(() => objects.forEach(put));
  return { graph, mesh, put, remove };
}

export const service = (name: string, rest: Loose = {}, namespace = 'shop') =>
  object(
    'Service',
    name,
    {
      clusterIP: '198.19.0.10',
      selector: { app: name },
      ports: [
        { name: 'http', port: 80 },
        { name: 'admin', port: 81 },
      ],
    },
    { namespace, ...rest },
  );
export const WAYPOINT = object(
  'Gateway',
  'waypoint',
  {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  },
  {},
  { status: { addresses: [{ type: 'Hostname', value: 'waypoint.shop.svc.cluster.local' }] } },
);
export const NAMESPACE = object('Namespace', 'shop', undefined, {
  namespace: undefined,
  labels: { 'istio.io/use-waypoint': 'waypoint' },
});
export const WEB = object('Gateway', 'web', {
  gatewayClassName: 'tulle',
  listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }],
});
export const route = (name: string, spec: Loose, metadata: Loose = {}) =>
  object(
    'HTTPRoute',
    name,
    { rules: [{ backendRefs: [{ name: 'a', port: 80 }] }], ...spec },
    metadata,
  );
export const toService = (name: string, rest: Loose = {}) => ({
  parentRefs: [{ group: '', kind: 'Service', name, ...rest }],
});

/** Names of the routes at each port of `shop/a`. */
export function routesAt(mesh: MeshGraph): Record<number, string[]> {
  const table = mesh.routeTables.get('shop/a.shop.svc.cluster.local')?.table;
  return Object.fromEntries(
    (table?.ports ?? []).map(({ port, routes }) => [port, routes.map(({ name }) => name)]),
  );
}

export function conditionsOf(mesh: MeshGraph, name: string): Record<string, string>[] {
  const status = mesh.gatewayApiStatuses.get(`httpRoutes/shop/${name}`) as RouteStatus | undefined;
  return (status?.parents ?? []).map(({ conditions }) =>
    Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`])),
  );
}

export const BASE = [NAMESPACE, WAYPOINT, service('a'), service('b')];
export const GOOD = { Accepted: 'True Accepted', ResolvedRefs: 'True ResolvedRefs' };
