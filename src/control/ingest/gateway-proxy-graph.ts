/**
 * What each gateway's pod serves, in one configuration: the listeners of its Gateway (Gateway API, found by the pod's label) and of
 * the Istio Gateways that choose it.
 *
 *   gatewayConfigs (by Gateway) ──┬── proxies (by pod)
 *   istioGatewayConfigs (by pod) ─┘
 */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import { mergeGatewayConfigs } from '#config/compile/merge-gateway-configs.ts';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import { LABEL, type MeshSettings, namespaceOf } from '../derive/mesh.ts';
import { gatewayTopology, pathNormalization, trustDomainsOf } from '../derive/mesh-config.ts';
import type { BoundGateway } from './gateway-api-graph.ts';
import type { BoundIstioGateways } from './istio-gateway-graph.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { PolicyCollections } from './policy-graph.ts';
import { boundKey, isRefused, judgingBy, policiesAtGateway } from './policy-graph.ts';
import type { ServiceCollections } from './service-graph.ts';

export interface GatewayProxy {
  readonly config: GatewayConfig;
  /** Upstreams that its routes name; sorted. */
  readonly upstreams: readonly string[];
  /** Names of the TLS material that its listeners use. */
  readonly materials: readonly string[];
  /** Policies for which it refuses its traffic, as `kind/namespace/name`. */
  readonly refused: readonly string[];
  /** Policies by which it judges, likewise. */
  readonly judged: readonly string[];
  /** Of two kinds of Gateways that are in each other's way. */
  readonly findings: readonly Finding[];
}

export function gatewayProxyCollection(
  graph: Graph,
  mesh: Pick<MeshSettings, 'rootNamespace' | 'trustDomain'>,
  from: {
    policies: PolicyCollections;
    sources: MeshSources;
    services: ServiceCollections;
    gatewayConfigs: Collection<BoundGateway>;
    istioGatewayConfigs: Collection<BoundIstioGateways>;
  },
): Collection<GatewayProxy> {
  const { sources, services, gatewayConfigs, istioGatewayConfigs } = from;
  return graph.map('gatewayProxies', sources.pods, (pod, reads, key) => {
    const namespace = namespaceOf(pod);
    const { name, annotations, labels = {} } = pod.metadata;
    const gatewayName = labels[LABEL.gatewayName];
    // A waypoint's pods carry the label, too, and have no listeners of this kind.
    const own =
      gatewayName === undefined
        ? undefined
        : reads.get(gatewayConfigs, `${namespace}/${gatewayName}`);
    const istio = reads.get(istioGatewayConfigs, key);
    if (own === undefined && istio === undefined) return undefined;
    const first = own?.config ?? { listeners: [] };
    const { config: merged, findings } = mergeGatewayConfigs(
      { ...first, namespace, name },
      ...(istio === undefined ? [] : [istio.config]),
    );
    const meshConfig = services.meshConfig(reads);
    const { trustedProxies, proxyProtocol } = gatewayTopology(meshConfig, annotations);
    const normalization = pathNormalization(meshConfig);
    const gatewayKey = `${namespace}/${gatewayName}`;
    const className = reads.get(sources.gateways, gatewayKey)?.spec.gatewayClassName;
    const gateway = className === undefined ? undefined : { key: gatewayKey, className };
    const bound = policiesAtGateway(
      { namespace, labels, gateway },
      from.policies,
      mesh.rootNamespace,
      reads,
    );
    const judging = judgingBy(bound, 'gateway', trustDomainsOf(mesh, meshConfig));
    const config: GatewayConfig = {
      ...merged,
      ...(proxyProtocol && {
        listeners: merged.listeners.map((listener) => ({ ...listener, proxyProtocol })),
      }),
      ...(trustedProxies > 0 && { trustedProxies }),
      ...(normalization && { pathNormalization: normalization }),
      ...judging,
    };
    const upstreams = new Set([...(own?.upstreams ?? []), ...(istio?.upstreams ?? [])]);
    return {
      config,
      upstreams: [...upstreams].sort(),
      materials: materialsOf(config),
      refused: bound.filter(isRefused).map(boundKey),
      judged: bound.filter((each) => !isRefused(each)).map(boundKey),
      findings,
    };
  });
}

function materialsOf({ listeners }: GatewayConfig): string[] {
  const names = listeners
    .flatMap(({ servers }) => servers)
    .flatMap(({ tls }) =>
      tls === undefined ? [] : [...tls.certificates, ...(tls.clientRoots ? [tls.clientRoots] : [])],
    );
  return [...new Set(names)].sort();
}
