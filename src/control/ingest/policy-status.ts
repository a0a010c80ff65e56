/** The conditions of every policy object, as they should stand in its status. Derived last: they tell of everything else. */
import type { Collection, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { isOurGateway } from '../derive/gateway-class.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { namespaceOf } from '../derive/mesh.ts';
import type { PolicyCondition, TargetState } from '../derive/policy-status.ts';
import {
  authorizationConditions,
  peerAuthenticationConditions,
  policyFindings,
  requestAuthenticationConditions,
  withGateways,
  withMissingKeys,
} from '../derive/policy-status.ts';
import { targetsOf } from '../derive/policy-target.ts';
import { bindRequestAuthentication } from '../derive/request-authentication.ts';
import type { BoundService } from '../derive/service.ts';
import type { Waypoint } from '../derive/waypoint.ts';
import type { GatewayProxy } from './gateway-proxy-graph.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { PolicyCollections } from './policy-graph.ts';

const POLICY_SOURCES = [
  'authorizationPolicies',
  'peerAuthentications',
  'requestAuthentications',
] as const;

export interface PolicyStatus {
  readonly source: (typeof POLICY_SOURCES)[number];
  readonly namespace: string;
  readonly name: string;
  readonly generation: number | undefined;
  readonly conditions: readonly PolicyCondition[];
}

export function policyStatusCollection(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    policies: PolicyCollections;
    services: Collection<BoundService>;
    waypoints: Collection<Waypoint>;
    gatewayProxies: Collection<GatewayProxy>;
  },
): Collection<PolicyStatus> {
  const { sources, policies, waypoints } = from;
  const { kept } = policies;
  const byObject = graph.index('services.byObject', from.services, ({ kind, service }) => [
    `${kind}/${service.namespace}/${service.name}`,
  ]);
  const byRefused = graph.index(
    'gatewayProxies.byRefused',
    from.gatewayProxies,
    ({ refused }) => refused,
  );
  const byJudged = graph.index(
    'gatewayProxies.byJudged',
    from.gatewayProxies,
    ({ judged }) => judged,
  );
  const podsBy = (index: typeof byJudged, key: string, reads: Reads) =>
    reads
      .lookup(index, key)
      .map(({ config }) => `${config.namespace}/${config.name}`)
      .sort();
  /** With what becomes of the policy at the gateways that it selects. */
  const alsoAtGateways = (
    conditions: PolicyCondition[],
    policy: { kind: string; key: string; hasTargets: boolean },
    reads: Reads,
  ) => {
    if (policy.hasTargets) return conditions;
    const key = `${policy.kind}/${policy.key}`;
    const refusing = podsBy(byRefused, key, reads);
    return withGateways(conditions, { refusing, judging: podsBy(byJudged, key, reads) });
  };
  const stateOf = (target: string, reads: Reads): TargetState => {
    const [kind, namespace, name] = target.split('/');
    if (kind === 'Service' || kind === 'ServiceEntry') {
      const bound = reads.lookup(byObject, target);
      const served = bound.some(({ waypointKey }) => waypointKey !== undefined);
      if (bound.length === 0) return { target, state: 'missing' };
      return { target, state: served ? 'served' : 'unserved' };
    }
    const key = `${namespace}/${name}`;
    const gateway = kind === 'Gateway' ? reads.get(sources.gateways, key) : undefined;
    const className = gateway?.spec.gatewayClassName ?? '';
    const exists =
      kind === 'Gateway'
        ? reads.get(waypoints, key) !== undefined ||
          (gateway !== undefined &&
            isOurGateway(gateway, reads.get(sources.gatewayClasses, className)))
        : namespace === mesh.rootNamespace && reads.get(sources.gatewayClasses, name) !== undefined;
    return { target, state: exists ? 'served' : 'missing' };
  };
  const states = (object: KubeObject & { spec?: object }, reads: Reads) =>
    targetsOf(object.spec ?? {}, namespaceOf(object)).map((target) => stateOf(target, reads));
  const statusOf =
    <T extends KubeObject>(
      source: PolicyStatus['source'],
      conditionsOf: (object: T, reads: Reads, key: string) => PolicyCondition[],
    ) =>
    (object: T, reads: Reads, key: string): [string, PolicyStatus][] => {
      const { name, generation } = object.metadata;
      const conditions = conditionsOf(object, reads, key);
      const namespace = namespaceOf(object);
      return [[`${source}/${key}`, { source, namespace, name, generation, conditions }]];
    };
  return graph.join('policies.status', [
    graph.flatMap(
      'policies.status.authorization',
      sources.authorizationPolicies,
      statusOf('authorizationPolicies', (object, reads, key) => {
        const { value, findings = [] } = reads.get(kept, key) ?? {};
        const targets = states(object, reads);
        const conditions = authorizationConditions(value, findings, targets);
        const policy = { kind: 'AuthorizationPolicy', key, hasTargets: targets.length > 0 };
        return alsoAtGateways(conditions, policy, reads);
      }),
    ),
    graph.flatMap(
      'policies.status.peer',
      sources.peerAuthentications,
      statusOf('peerAuthentications', (object) =>
        peerAuthenticationConditions(object, mesh.rootNamespace),
      ),
    ),
    graph.flatMap(
      'policies.status.request',
      sources.requestAuthentications,
      statusOf('requestAuthentications', (object, reads, key) => {
        const targets = states(object, reads);
        const bound = bindRequestAuthentication(object, mesh.unenforcedPolicy, (location) =>
          reads.get(policies.keys, location),
        );
        const conditions = requestAuthenticationConditions(bound, targets);
        const policy = { kind: 'RequestAuthentication', key, hasTargets: targets.length > 0 };
        return withMissingKeys(alsoAtGateways(conditions, policy, reads), bound?.keysMissing);
      }),
    ),
  ]);
}

export function statusFindings(statuses: Collection<PolicyStatus>): Finding[] {
  return [...statuses.entries()].flatMap(([, { source, namespace, name, conditions }]) =>
    policyFindings(`${RESOURCES[source].kind} ${namespace}/${name}`, conditions),
  );
}
