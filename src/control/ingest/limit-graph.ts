/**
 * The part of the mesh graph about limits (tulle.dev/v1): LocalRateLimits and LoadSheddings in force by what they target, bound to the
 * route tables.
 */
import type { Collection, Reads, SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import type { ObjectIdentity } from '#config/compile/istio-kinds.ts';
import {
  type BoundLimits,
  compileLoadShedding,
  compileLocalRateLimit,
  type LimitTarget,
  type LoadSheddingObject,
  type LocalRateLimitObject,
  withGatewayLimits,
  withLimits,
} from '#config/compile/tulle-kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import type { RouteTable } from '#model/route/route-table.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';

export interface LimitSources {
  readonly localRateLimits: SourceCollection<KubeObject & LocalRateLimitObject>;
  readonly loadSheddings: SourceCollection<KubeObject & LoadSheddingObject>;
}

export function limitSources(graph: Graph): LimitSources {
  return {
    localRateLimits: graph.source('localRateLimits'),
    loadSheddings: graph.source('loadSheddings'),
  };
}

/** A cluster that Istio's charts installed does not have them. */
export const OWN_KINDS: ReadonlySet<string> = new Set<keyof LimitSources>([
  'localRateLimits',
  'loadSheddings',
]);

export type LimitCollections = ReturnType<typeof limitCollections>;

export function limitCollections(graph: Graph, sources: MeshSources) {
  const rates = keepLastGood(
    graph,
    'localRateLimits.compiled',
    sources.localRateLimits,
    compileLocalRateLimit,
  );
  const sheddings = keepLastGood(
    graph,
    'loadSheddings.compiled',
    sources.loadSheddings,
    compileLoadShedding,
  );
  const ratesByTarget = graph.index('localRateLimits.byTarget', rates.good, keysOf);
  const sheddingsByTarget = graph.index('loadSheddings.byTarget', sheddings.good, keysOf);
  const missing = [
    missingTargets(graph, 'LocalRateLimit', rates.good, sources),
    missingTargets(graph, 'LoadShedding', sheddings.good, sources),
  ];
  const boundTo = (targets: readonly string[], reads: Reads): BoundLimits => ({
    rates: inOrder(targets.flatMap((key) => reads.lookup(ratesByTarget, key))),
    sheddings: inOrder(targets.flatMap((key) => reads.lookup(sheddingsByTarget, key))),
    ofRoute: (key) => inOrder(reads.lookup(ratesByTarget, key)),
  });
  /** `targets`: keys of the table's service and of what serves it. */
  const bind = (table: RouteTable, targets: readonly string[], reads: Reads): RouteTable =>
    withLimits(table, boundTo(targets, reads));
  /** `targets`: keys of the gateway. */
  const bindGateway = (config: GatewayConfig, targets: readonly string[], reads: Reads) =>
    withGatewayLimits(config, boundTo(targets, reads));
  return { bind, bindGateway, findings: [rates.kept, sheddings.kept, ...missing] };
}

const keysOf = ({ targets }: { targets: readonly LimitTarget[] }) => [
  ...new Set(targets.map(({ key }) => key)),
];

/** Each once, in an order that does not depend on when they came. */
function inOrder<T extends { identity: ObjectIdentity }>(bound: readonly T[]): T[] {
  const keyOf = ({ identity }: T) => `${identity.namespace}/${identity.name}`;
  const distinct = new Map(bound.map((each) => [keyOf(each), each]));
  return [...distinct.keys()].sort().flatMap((key) => distinct.get(key) ?? []);
}

/** Targets that are not there: nothing is limited then. */
function missingTargets(
  graph: Graph,
  kind: string,
  bound: Collection<{ identity: ObjectIdentity; targets: readonly LimitTarget[] }>,
  sources: MeshSources,
) {
  const places: Readonly<Record<string, Collection<unknown>>> = {
    Service: sources.services,
    ServiceEntry: sources.serviceEntries,
    Gateway: sources.gateways,
    VirtualService: sources.virtualServices,
    HTTPRoute: sources.httpRoutes,
    GRPCRoute: sources.grpcRoutes,
  };
  return graph.map(`${kind}.missingTargets`, bound, ({ identity, targets }, reads) => {
    const findings = new Findings(kind, identity);
    for (const [at, { key }] of targets.entries()) {
      const slash = key.indexOf('/');
      const place = places[key.slice(0, slash)];
      const name = key.slice(slash + 1);
      if (place === undefined || reads.get(place as Collection<object>, name) !== undefined)
        continue;
      const message = `${key.slice(0, slash)} ${name} does not exist: nothing is limited there`;
      findings.missing(`spec.targetRefs[${at}]`, message, 'correct the name, or create it');
    }
    return { findings: findings.list as readonly Finding[] };
  });
}
