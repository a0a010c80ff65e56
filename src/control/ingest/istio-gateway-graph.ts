/**
 * The part of the mesh graph about Istio Gateways (networking.istio.io): for each pod that one of them chooses, what it
 * listens on. And the kind of Istio that only findings come of: Sidecar.
 *
 *   pods ── groups ── plans ──┬────────────────── bound ── configs (by pod)
 *   VirtualServices ──────────┴── contributions ──┘         pods that are alike share all but the name
 */
import type { Collection, Reads, SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { Contribution } from '#config/compile/gateway-contribution.ts';
import { contributionOf } from '#config/compile/gateway-contribution.ts';
import type { IstioGatewayObject, SidecarObject } from '#config/compile/gateway-kinds.ts';
import { planGateways } from '#config/compile/gateway-plan.ts';
import { assembleGateway } from '#config/compile/gateway-servers.ts';
import type { CompiledIstioGateway } from '#config/compile/istio-gateway.ts';
import { compileIstioGateway } from '#config/compile/istio-gateway.ts';
import { compileSidecar } from '#config/compile/sidecar.ts';
import type { TelemetryObject } from '#config/compile/telemetry.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import { upstreamNames } from '#config/compile/upstream-names.ts';
import { inForceOrder } from '#config/compile/virtual-service.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import type { ServiceKey } from '#model/service/service.ts';
import type { PortMapping, Workload } from '#model/workload/workload.ts';
import { LABEL, type MeshSettings } from '../derive/mesh.ts';
import { meshConfigKey } from '../derive/mesh-config.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { RouteCollections } from './route-graph.ts';
import type { ServiceCollections } from './service-graph.ts';

export interface IstioGatewaySources {
  readonly istioGateways: SourceCollection<KubeObject & IstioGatewayObject>;
  readonly sidecars: SourceCollection<KubeObject & SidecarObject>;
  readonly telemetries: SourceCollection<KubeObject & TelemetryObject>;
}

/** Who uses the Gateway API may have left Istio's CRDs for these out. */
export const OPTIONAL_ISTIO_KINDS: ReadonlySet<string> = new Set<keyof IstioGatewaySources>([
  'istioGateways',
  'sidecars',
  'telemetries',
]);

export function istioGatewaySources(graph: Graph): IstioGatewaySources {
  return {
    istioGateways: graph.source('istioGateways'),
    sidecars: graph.source('sidecars'),
    telemetries: graph.source('telemetries'),
  };
}

/** What the Istio Gateways that choose a pod have it serve. */
export interface BoundIstioGateways {
  readonly config: GatewayConfig;
  /** Of the pod. */
  readonly labels: Readonly<Record<string, string>>;
  /** Upstreams that its routes name; sorted. */
  readonly upstreams: readonly string[];
  readonly findings: readonly Finding[];
}

/** Key under which Gateways without a selector are indexed: every gateway serves them. */
const ANY = '*';
/** Of Services that want no Gateway to find them by their labels (Istio: DisableGatewayPortTranslationLabel). */
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';
const WAYPOINT_MANAGER = 'istio.io-mesh-controller';

/** `configs` are by `namespace/name` of the pod. */
export function istioGatewayCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    services: ServiceCollections;
    routes: RouteCollections;
    workloads: Collection<LabeledWorkload>;
  },
): {
  readonly configs: Collection<BoundIstioGateways>;
  readonly findings: readonly Collection<{ readonly findings: readonly Finding[] }>[];
} {
  const { sources, services, routes } = from;
  const gateways = keepLastGood(graph, 'istioGateways.compiled', sources.istioGateways, (object) =>
    compileIstioGateway(object),
  );
  const bySelector = graph.index('istioGateways.bySelector', gateways.good, (gateway) => {
    const { selector, services: named } = gateway;
    if (named.length > 0) return named.map((hostname) => `service ${hostname}`);
    const [first] = Object.entries(selector).sort(([left], [right]) => (left < right ? -1 : 1));
    return [first === undefined ? ANY : first.join('=')];
  });
  const isHidden = (key: ServiceKey, reads: Reads): boolean => {
    const bound = reads.get(services.bound, key);
    if (bound === undefined) return true;
    const source = bound.kind === 'Service' ? sources.services : sources.serviceEntries;
    const object = reads.get<KubeObject>(
      source,
      `${bound.service.namespace}/${bound.service.name}`,
    );
    return object?.metadata.labels?.[NO_TRANSLATION] !== undefined;
  };
  // Entries may list a pod's address: their Services lead to it as well.
  const listed = graph.index('istioGateways.listedByAddress', from.workloads, ({ workload }) =>
    isPod(workload) ? [] : workload.addresses,
  );
  const pods = graph.flatMap('istioGateways.pods', from.workloads, (labeled, reads) => {
    const { workload, labels } = labeled;
    const { namespace, name } = workload;
    if (!isPod(workload)) return [];
    const same = workload.addresses.flatMap((address) => reads.lookup(listed, address));
    const memberships = [labeled, ...same]
      .flatMap((each) => [...each.workload.services])
      .map(([key, ports]): Membership => ({ hostname: hostnameOf(key), service: key, ports }));
    const hostnames = memberships.map(({ hostname }) => hostname);
    const chosen = gatewaysFor(labels, hostnames, (key) => reads.lookup(bySelector, key));
    if (chosen.length === 0) return [];
    const names = chosen.map((each) => `${each.namespace}/${each.name}`);
    return [[`${namespace}/${name}`, groupOf({ namespace, labels, gateways: names, memberships })]];
  });
  const groups = graph.flatMap('istioGateways.groups', pods, (group) => [[group.key, group]]);
  const plans = graph.map('istioGateways.plans', groups, (group, reads) => {
    const { namespace, labels, memberships } = group;
    return planGateways({
      proxy: { namespace, name: '', labels },
      gateways: group.gateways.flatMap((key) => reads.get(gateways.good, key) ?? []),
      targetPorts: (port, hostname) =>
        memberships
          .filter((each) =>
            hostname === undefined ? !isHidden(each.service, reads) : each.hostname === hostname,
          )
          .flatMap(({ ports }) => ports.filter(({ servicePort }) => servicePort === port))
          .map(({ targetPort }) => targetPort),
    });
  });
  const byGateway = graph.index('istioGateways.byGateway', groups, (group) => group.gateways);
  const contributions = graph.flatMap(
    'istioGateways.contributions',
    routes.virtualServices,
    (virtualService, reads, key) => {
      const chosen = virtualService.gateways.flatMap((name) => reads.lookup(byGateway, name));
      return [...new Set(chosen)].flatMap((group): [string, GroupContribution][] => {
        const plan = reads.get(plans, group.key);
        const contribution =
          plan &&
          contributionOf(virtualService, plan, {
            lookup: routes.lookup(group, reads),
            defaultRetries: reads.get(routes.defaultRetries, meshConfigKey(mesh)),
          });
        if (contribution === undefined) return [];
        // The object first: the keys of a group are sorted, and differ in their first characters then.
        return [[`${key} ${group.key}`, { ...contribution, group: group.key }]];
      });
    },
  );
  const byGroup = graph.index('istioGateways.byGroup', contributions, ({ group }) => [group]);
  const bound = graph.map('istioGateways.bound', groups, (group, reads, key) => {
    const plan = reads.get(plans, key);
    if (plan === undefined) return undefined;
    const inForce = inForceOrder(group.namespace);
    const ordered = [...reads.lookup(byGroup, key)].sort((left, right) =>
      inForce(left.virtualService, right.virtualService),
    );
    const hasSecret = (secret: string) => reads.get(sources.secrets, secret) !== undefined;
    const { config, findings } = assembleGateway(plan, ordered, hasSecret);
    const servers = config.listeners.flatMap((listener) => listener.servers);
    const hosts = servers.flatMap(({ virtualHosts }) => virtualHosts);
    const upstreams = upstreamNames([...servers, ...hosts]);
    return { config, labels: group.labels, upstreams, findings };
  });
  const configs = graph.map('istioGateways.configs', pods, (group, reads, key) => {
    const shared = reads.get(bound, group.key);
    const name = key.slice(key.indexOf('/') + 1);
    return shared && { ...shared, config: { ...shared.config, name } };
  });
  const sidecars = graph.map('sidecars.judged', sources.sidecars, (object) =>
    compileSidecar(object, mesh),
  );
  return { configs, findings: [gateways.kept, bound, sidecars] };
}

/** Pods that Istio Gateways treat alike: those of a Deployment share all work but the name. */
interface ProxyGroup {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Keys of the Gateways that choose it. */
  readonly gateways: readonly string[];
  readonly memberships: readonly Membership[];
}

/** A Service that has the pod behind it. */
interface Membership {
  readonly service: ServiceKey;
  readonly hostname: string;
  readonly ports: readonly PortMapping[];
}

type GroupContribution = Contribution & { readonly group: string };

function groupOf(parts: Omit<ProxyGroup, 'key'>): ProxyGroup {
  const labels = Object.entries(parts.labels).sort(([left], [right]) => (left < right ? -1 : 1));
  return { key: JSON.stringify([parts.namespace, labels, parts.memberships]), ...parts };
}

/**
 * Those whose selector the labels fit, or that name a Service of the pod. One without a selector is for gateways, which
 * pods of waypoints are not.
 */
function gatewaysFor(
  labels: Readonly<Record<string, string>>,
  hostnames: readonly string[],
  lookup: (key: string) => readonly CompiledIstioGateway[],
): CompiledIstioGateway[] {
  const bySelector = Object.entries(labels)
    .flatMap((pair) => lookup(pair.join('=')))
    .filter(({ selector }) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value),
    );
  const chosen = [...bySelector, ...hostnames.flatMap((name) => lookup(`service ${name}`))];
  const isOurGateway =
    labels[LABEL.gatewayName] !== undefined && labels[LABEL.gatewayManaged] !== WAYPOINT_MANAGER;
  return chosen.length > 0 || isOurGateway ? [...new Set([...chosen, ...lookup(ANY)])] : [];
}

function hostnameOf(key: ServiceKey): string {
  return key.slice(key.indexOf('/') + 1);
}

function isPod(workload: Workload): boolean {
  return workload.uid.includes('//Pod/');
}
