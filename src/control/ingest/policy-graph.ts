/**
 * The part of the mesh graph about who may talk to whom: policies as derived, where they are bound, and the resources
 * that node proxies and waypoints get of them.
 *
 *   policies ──┬─ policyTargets ──► services (a policy that needs a waypoint), routeTables (what the waypoint refuses)
 *              └─ authorizations ◄── the waypoints of each namespace (who has judged already)
 */
import type { Collection, Index, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { NEEDS_WAYPOINT_PREFIX } from '#model/authorization/authorization.ts';
import type { PolicyDenial } from '#model/route/route-table.ts';
import type { DerivedPolicy } from '../derive/authorization.ts';
import { deriveAuthorization, exceptFrom } from '../derive/authorization.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { namespaceOf, selectsAll } from '../derive/mesh.ts';
import {
  convertPeerAuthentication,
  peerAuthenticationKeys,
  staticStrict,
} from '../derive/peer-authentication.ts';
import type { BoundPolicy } from '../derive/request-authentication.ts';
import { bindRequestAuthentication } from '../derive/request-authentication.ts';
import type { Kept } from './last-good.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';

/** A waypoint that serves something of a namespace. */
export interface ServedBy {
  readonly namespace: string;
  /** `namespace/name` of the Gateway. */
  readonly waypointKey: string;
}

export interface PolicyCollections {
  readonly kept: Collection<Kept<DerivedPolicy>>;
  readonly derived: Collection<DerivedPolicy>;
  /** Policies that must be judged by a waypoint, under each of their target keys. */
  readonly byTarget: Index<BoundPolicy>;
  findings(): Finding[];
}

export function policyCollections(
  graph: Graph,
  mesh: MeshSettings,
  sources: MeshSources,
): PolicyCollections {
  const { kept, good } = keepLastGood(
    graph,
    'authorizationPolicies.derived',
    sources.authorizationPolicies,
    (object) => deriveAuthorization(object, mesh),
  );
  const kind = 'AuthorizationPolicy';
  const bound = graph.join<BoundPolicy>('policies.bound', [
    graph.flatMap('policies.authorization', good, (policy, _reads, key) => {
      const { namespace, name, targets, unenforced } = policy;
      const one = { kind, namespace, name, targets, unenforced };
      return targets.length > 0 && policy.demanding ? [[`${kind}/${key}`, one]] : [];
    }),
    graph.flatMap('policies.authentication', sources.requestAuthentications, (object) => {
      const one = bindRequestAuthentication(object, mesh.unenforcedPolicy);
      return one === undefined ? [] : [[`${one.kind}/${one.namespace}/${one.name}`, one]];
    }),
  ]);
  const byTarget = graph.index('policies.byTarget', bound, ({ targets }) => targets);
  const findings = () => [...kept.entries()].flatMap(([, { findings }]) => findings);
  return { kept, derived: good, byTarget, findings };
}

/** What waypoints refuse: they cannot judge by policies yet, and traffic never passes one by unjudged. */
export function denialBy(policies: readonly BoundPolicy[]): PolicyDenial | undefined {
  if (policies.length === 0) return undefined;
  const [{ kind, namespace, name }] = policies;
  const others = policies.length > 1 ? ` (and ${policies.length - 1} more)` : '';
  const policy = `${kind} ${namespace}/${name}`;
  const reason = `${policy}${others} cannot be enforced by this waypoint in this version, so it refuses the traffic: delete the policy to let it through`;
  return { policy, reason };
}

export function authorizationCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: { sources: MeshSources; derived: Collection<DerivedPolicy>; served: Collection<ServedBy> },
) {
  const { sources, derived, served } = from;
  const { rootNamespace } = mesh;
  const bySelector = graph.index('policies.bySelector', derived, ({ selector, namespace }) =>
    selector === undefined ? [] : [namespace],
  );
  const peerByNamespace = graph.index(
    'peers.byNamespace',
    sources.peerAuthentications,
    (object) => [namespaceOf(object)],
  );
  const peersFor = (namespace: string, reads: Reads) =>
    [...new Set([namespace, rootNamespace])].flatMap((each) => reads.lookup(peerByNamespace, each));
  const converted = graph.flatMap(
    'peers.converted',
    sources.peerAuthentications,
    (object, reads) => {
      const others = peersFor(namespaceOf(object), reads);
      const own = convertPeerAuthentication(object, others, rootNamespace);
      return [staticStrict(rootNamespace), ...(own === undefined ? [] : [own])].map(keyed);
    },
  );
  const servedIn = graph.index('waypoints.byNamespace', served, ({ namespace }) => [namespace]);
  const unjudged = graph.flatMap('authorizations.unjudged', derived, (policy, reads) => {
    if (policy.unjudged === undefined) return [];
    // The root namespace's policies reach everywhere, and so do the waypoints that may have judged by them.
    const waypoints =
      policy.namespace === rootNamespace
        ? [...reads.all(served)].map(([, each]) => each)
        : reads.lookup(servedIn, policy.namespace);
    return [keyed(exceptFrom(policy.unjudged, principalsOf(waypoints, mesh)))];
  });
  const authorizations = graph.join('authorizations', [
    graph.flatMap('authorizations.l4', derived, ({ authorization }) =>
      authorization === undefined ? [] : [keyed(authorization)],
    ),
    unjudged,
    converted,
  ]);
  /** Names of the selector policies in force for a workload, sorted. */
  const policiesFor = (
    workload: { namespace: string; labels: Readonly<Record<string, string>> | undefined },
    reads: Reads,
  ): string[] => {
    const { namespace, labels } = workload;
    const candidates = [...new Set([namespace, rootNamespace])];
    const names = candidates
      .flatMap((each) => reads.lookup(bySelector, each))
      .filter(({ selector }) => selectsAll(selector, labels))
      .flatMap((policy) => [policy.authorization, policy.unjudged])
      .flatMap((policy) => (policy === undefined ? [] : [keyed(policy)[0]]));
    const peers = peerAuthenticationKeys(workload, peersFor(namespace, reads), rootNamespace);
    return [...names, ...peers].sort();
  };
  const wholeScope = graph.index('authorizations.unjudgedByScope', unjudged, (policy) =>
    policy.scope === 'workload-selector' ? [] : [policy.scope === 'global' ? '' : policy.namespace],
  );
  /** Policies that the members of a service leave to the waypoint to judge. */
  const unjudgedBy = (
    members: readonly { namespace: string; authorizationPolicies: readonly string[] }[],
    reads: Reads,
  ): BoundPolicy[] => {
    const names = new Set<string>();
    for (const namespace of new Set(['', ...members.map((member) => member.namespace)]))
      for (const policy of reads.lookup(wholeScope, namespace)) names.add(keyed(policy)[0]);
    for (const { authorizationPolicies } of members)
      for (const name of authorizationPolicies)
        if (name.includes(`/${NEEDS_WAYPOINT_PREFIX}`)) names.add(name);
    return [...names].sort().map(policyBehind);
  };
  return { authorizations, policiesFor, unjudgedBy };
}

function keyed(policy: Authorization): readonly [string, Authorization] {
  return [`${policy.namespace}/${policy.name}`, policy];
}

function policyBehind(key: string): BoundPolicy {
  const [namespace, name] = key.replace(NEEDS_WAYPOINT_PREFIX, '').split('/');
  return { kind: 'AuthorizationPolicy', namespace, name, targets: [], unenforced: 'deny' };
}

/** A waypoint runs under the service account that bears the Gateway's name. */
function principalsOf(waypoints: readonly ServedBy[], mesh: MeshSettings): string[] {
  const keys = [...new Set(waypoints.map(({ waypointKey }) => waypointKey))].sort();
  return keys.map((key) => {
    const [namespace, name] = key.split('/');
    return `${mesh.trustDomain}/ns/${namespace}/sa/${name}`;
  });
}
