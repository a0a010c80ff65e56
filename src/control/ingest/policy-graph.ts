/**
 * The part of the mesh graph about who may talk to whom: policies as derived, where they are bound, and the resources
 * that node proxies and waypoints get of them.
 *
 *   policies ──┬─ policyTargets ──► services (a policy that needs a waypoint), routeTables (what the waypoint refuses)
 *              └─ authorizations ◄── the waypoints of each namespace (who has judged already)
 */
import type { Collection, Index, Reads, SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { NEEDS_WAYPOINT_PREFIX } from '#model/authorization/authorization.ts';
import type { HttpPolicies } from '#model/authorization/http-policies.ts';
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
import type {
  BoundPolicy,
  FetchedKeys,
  RequestAuthenticationObject,
  SelectedPolicy,
} from '../derive/request-authentication.ts';
import {
  bindAuthorization,
  bindRequestAuthentication,
  keyLocations,
} from '../derive/request-authentication.ts';
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
  /** Policies that select proxies, by labels or by being in their namespace; by namespace. */
  readonly bySelector: Index<SelectedPolicy>;
  /** RequestAuthentications by each address that they want keys from. */
  readonly keysWanted: Index<RequestAuthenticationObject>;
  /** What these addresses said; filled by policy-keys.ts. */
  readonly keys: SourceCollection<FetchedKeys>;
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
  const keys = graph.source<FetchedKeys>('policies.keys');
  const keysWanted = graph.index(
    'policies.keysWanted',
    sources.requestAuthentications,
    keyLocations,
  );
  const bound = graph.join<SelectedPolicy>('policies.bound', [
    graph.flatMap('policies.authorization', good, (policy) => {
      const one = bindAuthorization(policy);
      return one === undefined ? [] : [[boundKey(one), one]];
    }),
    graph.flatMap('policies.authentication', sources.requestAuthentications, (object, reads) => {
      const one = bindRequestAuthentication(object, mesh.unenforcedPolicy, (location) =>
        reads.get(keys, location),
      );
      return one === undefined ? [] : [[boundKey(one), one]];
    }),
  ]);
  const byTarget = graph.index('policies.byTarget', bound, ({ targets }) => targets);
  const bySelector = graph.index('policies.selecting', bound, ({ targets, namespace }) =>
    targets.length === 0 ? [namespace] : [],
  );
  const findings = () => [...kept.entries()].flatMap(([, { findings }]) => findings);
  return { kept, derived: good, byTarget, bySelector, keysWanted, keys, findings };
}

/** A pod that serves Gateways, of either API. */
export interface GatewayPod {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `namespace/name` and class of its Gateway (Gateway API). */
  readonly gateway: { readonly key: string; readonly className: string } | undefined;
}

/** `kind/namespace/name`. */
export function boundKey({ kind, namespace, name }: BoundPolicy): string {
  return `${kind}/${namespace}/${name}`;
}

/**
 * Policies of a gateway: bound to it, or selecting its pods, which those of a whole namespace and of the whole mesh do. No node proxy
 * stands before a gateway that could judge in its place. Also what is to be ignored where nobody judges: Istio's gateways would have
 * enforced it.
 */
export function policiesAtGateway(
  pod: GatewayPod,
  policies: PolicyCollections,
  rootNamespace: string,
  reads: Reads,
): readonly BoundPolicy[] {
  const { namespace, labels, gateway } = pod;
  const targets =
    gateway === undefined
      ? []
      : [`Gateway/${gateway.key}`, `GatewayClass/${rootNamespace}/${gateway.className}`];
  const bound = targets.flatMap((key) => reads.lookup(policies.byTarget, key));
  const selecting = [...new Set([namespace, rootNamespace])]
    .flatMap((each) => reads.lookup(policies.bySelector, each))
    .filter(({ selector }) => selector === undefined || selectsAll(selector, labels));
  return [...new Set<BoundPolicy>([...bound, ...selecting])];
}

export interface Judging {
  /** Refuses everything: what cannot be judged must not pass. */
  readonly denied?: PolicyDenial;
  readonly policies?: HttpPolicies;
}

/** What a proxy is told about the policies that bind it: to judge by those that it can, to refuse for the others. */
export function judgingBy(
  bound: readonly BoundPolicy[],
  proxy: 'waypoint' | 'gateway',
  trustDomains: readonly string[],
): Judging {
  const denied = denialBy(bound.filter(isRefused), proxy);
  const judged = bound
    .filter(({ unjudgeable }) => unjudgeable === undefined)
    .sort((left, right) => (boundKey(left) < boundKey(right) ? -1 : 1));
  const policies: HttpPolicies = {
    trustDomains,
    policies: judged.flatMap((each) => ('policy' in each.judged ? [each.judged.policy] : [])),
    tokens: judged.flatMap((each) => ('tokens' in each.judged ? [each.judged.tokens] : [])),
  };
  return { ...(denied && { denied }), ...(judged.length > 0 && { policies }) };
}

/** Traffic that it is about never passes: no proxy can judge it. */
export function isRefused({ demanding, unjudgeable }: BoundPolicy): boolean {
  return demanding && unjudgeable !== undefined;
}

type Refused = Pick<BoundPolicy, 'kind' | 'namespace' | 'name' | 'unjudgeable'>;

/** Traffic never passes a proxy unjudged. */
export function denialBy(
  refused: readonly Refused[],
  proxy: 'waypoint' | 'gateway' = 'waypoint',
): PolicyDenial | undefined {
  if (refused.length === 0) return undefined;
  const [{ kind, namespace, name, unjudgeable = '' }] = refused;
  const others = refused.length > 1 ? ` (and ${refused.length - 1} more)` : '';
  const policy = `${kind} ${namespace}/${name}`;
  const reason = `${policy}${others} cannot be enforced by this ${proxy}, so it refuses the traffic: ${unjudgeable}; delete the policy to let it through`;
  return { policy, reason };
}

export type AuthorizationCollections = ReturnType<typeof authorizationCollections>;

export function authorizationCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: { sources: MeshSources; derived: Collection<DerivedPolicy>; served: Collection<ServedBy> },
) {
  const { sources, derived, served } = from;
  const { rootNamespace } = mesh;
  // Apart from what they say: another rule of a policy is nothing to the workloads, which know it by name.
  const selecting = graph.map('policies.selectors', derived, (policy) => {
    const { namespace, selector, authorization, unjudged } = policy;
    if (selector === undefined) return undefined;
    const names = [authorization, unjudged].flatMap((each) =>
      each === undefined ? [] : [keyed(each)[0]],
    );
    return { namespace, selector, names };
  });
  const bySelector = graph.index('policies.bySelector', selecting, ({ namespace }) => [namespace]);
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
      .flatMap((policy) => policy.names);
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
  ): Refused[] => {
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

function policyBehind(key: string): Refused {
  const [namespace, name] = key.replace(NEEDS_WAYPOINT_PREFIX, '').split('/');
  const unjudgeable =
    'it selects pods and needs HTTP, which waypoints judge for targetRefs alone: bind it to the waypoint';
  return { kind: 'AuthorizationPolicy', namespace, name, unjudgeable };
}

/** A waypoint runs under the service account that bears the Gateway's name. */
function principalsOf(waypoints: readonly ServedBy[], mesh: MeshSettings): string[] {
  const keys = [...new Set(waypoints.map(({ waypointKey }) => waypointKey))].sort();
  return keys.map((key) => {
    const [namespace, name] = key.split('/');
    return `${mesh.trustDomain}/ns/${namespace}/sa/${name}`;
  });
}
