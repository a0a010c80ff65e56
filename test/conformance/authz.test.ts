/**
 * Authorization cases of Istio and ztunnel, as far as node proxies decide them: the objects through the control plane's
 * derivations, the result through the node proxy's evaluation. Runs where the cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import { parseAllDocuments } from 'yaml';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import { DEFAULT_MESH } from '#control/derive/mesh.ts';
import { INGESTED } from '#control/ingest/ingest.ts';
import type { MeshGraph, MeshSources } from '#control/ingest/mesh-graph.ts';
import { createMeshGraph } from '#control/ingest/mesh-graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { evaluateL4 } from '#policy/l4/evaluate-l4.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';

interface Case {
  id: string;
  name: string;
  policies: string;
  destination: {
    name: string;
    namespace: string;
    ip?: string;
    labels: Record<string, string>;
  };
  request: {
    destPort: number;
    destIP: string;
    sourceIP: string;
    sourcePrincipal: string | null;
  };
  expect: 'allow' | 'deny';
  enforcedAt: string;
}

const all = foreignCases<Case>('authz.json');
/** The rest is decided by sidecars, waypoints and gateways, not here. */
const atNode = (all ?? []).filter(({ enforcedAt }) => enforcedAt.includes('ztunnel'));

function put(mesh: MeshGraph, object: KubeObject): void {
  const name = (Object.keys(INGESTED) as (keyof MeshSources)[]).find(
    (each) => INGESTED[each].kind === object.kind,
  );
  if (name === undefined) throw new Error(`kind ${object.kind} is not ingested`);
  const source = mesh.sources[name] as unknown as SourceCollection<KubeObject>;
  source.set(`${object.metadata.namespace}/${object.metadata.name}`, object);
}

/** The pod, and a waypoint where the case has one on the way. */
function surroundings({ destination, request, enforcedAt }: Case): object[] {
  const { name, namespace, labels } = destination;
  const podIP = destination.ip ?? request.destIP;
  const pod = {
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { containers: [] },
    status: { phase: 'Running', podIP },
  };
  if (!throughWaypoint(enforcedAt)) return [pod];
  const gateway = {
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
    status: { addresses: [{ type: 'Hostname', value: `waypoint.${namespace}.svc.cluster.local` }] },
  };
  const service = {
    kind: 'Service',
    metadata: { name, namespace, labels: { 'istio.io/use-waypoint': 'waypoint' } },
    spec: { selector: labels, ports: [{ port: 80 }] },
  };
  return [pod, gateway, service];
}

function throughWaypoint(enforcedAt: string): boolean {
  return enforcedAt.includes('-> ztunnel');
}

function decide(row: Case) {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const policies = parseAllDocuments(row.policies).flatMap((document) => document.toJS() ?? []);
  graph.batch(() => {
    for (const object of [...policies, ...surroundings(row)]) put(mesh, object as KubeObject);
  });
  const { namespace, name } = row.destination;
  const workload = mesh.workloads.get(`Kubernetes//Pod/${namespace}/${name}`)?.workload;
  if (workload === undefined) throw new Error('the pod is no workload');
  const { sourcePrincipal, sourceIP, destIP, destPort } = row.request;
  const waypoint = `spiffe://cluster.local/ns/${namespace}/sa/waypoint`;
  return evaluateL4(
    new PolicyIndex([...mesh.authorizations.entries()].map(([, policy]) => policy)).policiesOf(
      workload,
    ),
    {
      sourceIp: sourceIP,
      sourcePrincipal: throughWaypoint(row.enforcedAt) ? waypoint : (sourcePrincipal ?? undefined),
      destinationIp: destIP,
      destinationPort: destPort,
    },
  );
}

describe.skipIf(all === undefined)('authorization cases at the node proxy', () => {
  test('there are some', () => expect(atNode.length).toBeGreaterThan(20));
  for (const row of atNode) {
    test(`${row.id} ${row.name}`, () => {
      const verdict = decide(row);
      expect({ verdict: verdict.allow ? 'allow' : 'deny', reason: verdict.reason }).toMatchObject({
        verdict: row.expect,
      });
    });
  }
});
