/**
 * Authorization cases of Istio and ztunnel, as far as node proxies decide them: the objects through the control plane's
 * derivations, the result through the node proxy's evaluation. Runs where the cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import { evaluateL4 } from '#policy/l4/evaluate-l4.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import {
  type AuthzCase,
  authzCases,
  meshFrom,
  objectsIn,
  podOf,
  waypointFor,
} from '#test/support/authz-cases.ts';

const all = authzCases();
/** The rest is decided by sidecars, waypoints and gateways, not here. */
const atNode = (all ?? []).filter(({ enforcedAt }) => enforcedAt.includes('ztunnel'));

function throughWaypoint(enforcedAt: string): boolean {
  return enforcedAt.includes('-> ztunnel');
}

function decide(row: AuthzCase) {
  const way = throughWaypoint(row.enforcedAt) ? waypointFor(row, { port: 80 }) : [];
  const mesh = meshFrom([...objectsIn(row.policies), podOf(row), ...way]);
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
