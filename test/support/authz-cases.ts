/** Authorization cases of Istio and ztunnel, and the mesh graph that their objects make. */
import { parseAllDocuments } from 'yaml';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import { DEFAULT_MESH } from '#control/derive/mesh.ts';
import { INGESTED } from '#control/ingest/ingest.ts';
import { createMeshGraph, type MeshGraph, type MeshSources } from '#control/ingest/mesh-graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { foreignCases } from './foreign-cases.ts';

export interface AuthzCase {
  id: string;
  name: string;
  policies: string;
  otherConfig?: string;
  destination: {
    name: string;
    namespace: string;
    ip?: string;
    labels: Record<string, string>;
  };
  request: {
    protocol: string;
    destPort: number;
    destIP: string;
    sourceIP: string;
    sourcePrincipal: string | null;
    method?: string;
    path?: string;
    host?: string;
    headers?: Record<string, string>;
  };
  expect: 'allow' | 'deny';
  expectStatus?: number;
  enforcedAt: string;
}

/** Undefined: they are not beside the checkout. */
export const authzCases = () => foreignCases<AuthzCase>('authz.json');

export function objectsIn(manifests: string): object[] {
  return parseAllDocuments(manifests).flatMap((document) => (document.toJS() as object) ?? []);
}

export function meshFrom(objects: readonly object[]): MeshGraph {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  graph.batch(() => {
    for (const object of objects) put(mesh, object as KubeObject);
  });
  return mesh;
}

function put(mesh: MeshGraph, object: KubeObject): void {
  const name = (Object.keys(INGESTED) as (keyof MeshSources)[]).find(
    (each) => INGESTED[each].kind === object.kind,
  );
  if (name === undefined) throw new Error(`kind ${object.kind} is not ingested`);
  const source = mesh.sources[name] as unknown as SourceCollection<KubeObject>;
  const { namespace, name: own } = object.metadata;
  source.set(namespace === undefined ? own : `${namespace}/${own}`, object);
}

/** The destination's pod, and a service that the waypoint of its namespace serves. */
export function podOf({ destination, request }: AuthzCase): object {
  const { name, namespace, labels } = destination;
  const podIP = destination.ip ?? request.destIP;
  return {
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { containers: [] },
    status: { phase: 'Running', podIP },
  };
}

export function waypointFor({ destination }: AuthzCase, port: object): object[] {
  const { name, namespace, labels } = destination;
  const gateway = {
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
    status: { addresses: [{ type: 'Hostname', value: `waypoint.${namespace}.svc.cluster.local` }] },
  };
  const service = {
    kind: 'Service',
    metadata: { name, namespace, labels: { 'istio.io/use-waypoint': 'waypoint' } },
    spec: { selector: labels, ports: [port] },
  };
  return [gateway, service];
}
