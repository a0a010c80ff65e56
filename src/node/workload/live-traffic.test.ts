import { describe, expect, test } from 'bun:test';
import type { MeshError } from '#base/errors.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { neededWaypoint } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { PolicyIndex } from '#policy/l4/policy-index.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { LiveTraffic } from './live-traffic.ts';
import type { Session } from './session.ts';

const WEB = parsePrincipal('spiffe://cluster.local/ns/shop/sa/web');
const local = completeWorkload(
  { name: 'api', namespace: 'shop', addresses: ['198.18.2.2'] },
  'cluster.local',
);
const deny = (name: string, scope: Authorization['scope'] = 'namespace'): Authorization => ({
  name,
  namespace: 'shop',
  scope,
  action: 'deny',
  rules: [{ clauses: [] }],
  dryRun: false,
});
const permit: Authorization = { ...deny('permit'), action: 'allow' };

function snapshot(policies: PolicyIndex | Authorization[], workload: Workload | undefined = local) {
  return new MeshSnapshot({
    version: 1,
    addresses: workload === undefined ? [] : [{ kind: 'workload', workload }],
    authorizations: policies,
  });
}

function live(peers: readonly (Principal | undefined)[] = [WEB]) {
  const inbound = new LiveTraffic();
  const ended: MeshError[] = [];
  for (const sourcePrincipal of peers) {
    const session = {
      over: false,
      abort(error: MeshError) {
        ended.push(error);
        inbound.remove(session);
      },
    } as Session;
    const upstream = { address: '198.18.2.2', port: 8080 };
    inbound.addInbound(session, { local, sourceIp: '198.18.1.2', sourcePrincipal, upstream });
  }
  return { inbound, ended };
}

describe('LiveTraffic.recheck', () => {
  test('closes what a new policy no longer allows, tunnel or plaintext, and names the policy', () => {
    const { inbound, ended } = live([WEB, undefined]);
    inbound.recheck(snapshot([]));
    expect(ended).toEqual([]);
    inbound.recheck(snapshot([deny('closed')]));
    expect(ended[0].decidedBy).toBe('shop/closed');
    expect(ended.map(({ code }) => code)).toEqual(['NODE_POLICY_CHANGED', 'NODE_POLICY_CHANGED']);
    expect(ended[0].message).toBe(
      'connection closed due to policy change: explicitly denied by: shop/closed',
    );
    expect(inbound.inbound).toBe(0);
  });

  test('sees a policy that the workload names only now', () => {
    const { inbound, ended } = live();
    const policies = new PolicyIndex([deny('named', 'workload-selector')]);
    inbound.recheck(snapshot(policies));
    expect(ended.length).toBe(0);
    inbound.recheck(snapshot(policies, { ...local, authorizationPolicies: ['shop/named'] }));
    expect(ended.length).toBe(1);
  });

  test('closes peers of the old trust domain when the workload moves to another', () => {
    const moved = { ...local, trustDomain: 'new.example' };
    const ours = parsePrincipal('spiffe://new.example/ns/shop/sa/web');
    const { inbound, ended } = live([WEB, ours, undefined]);
    inbound.recheck(snapshot([]));
    inbound.recheck(snapshot([], moved));
    expect(ended.map(({ message }) => message)).toEqual([
      'connection closed due to policy change: the peer is of the trust domain cluster.local, the workload now of new.example',
    ]);
  });

  test('judges only when policies of this pod changed', () => {
    const { inbound } = live([WEB, WEB, WEB]);
    const policies = new PolicyIndex([permit]);
    const judged: number[] = [];
    const look = (index: PolicyIndex, workload?: Workload) =>
      judged.push(inbound.recheck(snapshot(index, workload)));
    look(policies);
    look(policies);
    // Other policies changed, another field of the workload changed: nothing to do here.
    const elsewhere = { ...deny('x'), namespace: 'other' };
    look(new PolicyIndex([permit, elsewhere]));
    look(new PolicyIndex([permit, elsewhere]), { ...local, healthy: false });
    look(new PolicyIndex([{ ...permit }, elsewhere]));
    expect(judged).toEqual([3, 0, 0, 0, 3]);
  });

  test('keeps to the policies of a pod that has left the mesh', () => {
    const { inbound, ended } = live();
    inbound.recheck(snapshot([permit]));
    inbound.recheck(snapshot([permit], undefined));
    expect(ended.length).toBe(0);
    inbound.recheck(snapshot([permit, deny('d')], undefined));
    expect(ended.length).toBe(1);
  });

  test('10,000 connections cost nothing while no policy changes', () => {
    const { inbound } = live(new Array<typeof WEB>(10_000).fill(WEB));
    const policies = new PolicyIndex([permit]);
    expect(inbound.recheck(snapshot(policies))).toBe(10_000);
    let judged = 0;
    for (let turn = 0; turn < 1_000; turn++)
      judged += inbound.recheck(snapshot(policies, { ...local }));
    expect(judged).toBe(0);
  });

  test('closes what went to a service whose traffic now waits for a waypoint', () => {
    const { inbound: traffic, ended } = live([]);
    for (const name of ['api', 'other']) {
      const session = {
        over: false,
        abort: (error: MeshError) => void ended.push(error),
      } as Session;
      traffic.addOutbound(session, `shop/${name}.shop.svc.cluster.local`);
    }
    const waypoint = neededWaypoint({
      kind: 'AuthorizationPolicy',
      namespace: 'shop',
      name: 'only',
    });
    const addresses = ['api', 'other'].map((name) => ({
      kind: 'service' as const,
      service: completeService({
        name,
        namespace: 'shop',
        waypoint: name === 'api' ? waypoint : undefined,
      }),
    }));
    traffic.recheck(new MeshSnapshot({ version: 1, addresses, authorizations: [] }));
    expect(ended.map(({ message }) => message)).toEqual([
      'connection closed due to policy change: authorizationpolicy shop/only needs a waypoint to judge traffic of shop/api.shop.svc.cluster.local',
    ]);
  });
});
