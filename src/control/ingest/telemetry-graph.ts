/**
 * The part of the mesh graph about telemetry: what MeshConfig and Telemetry objects make of each place (model/telemetry/scopes.ts).
 *
 *   meshConfig ── mesh ─┬─ namespaces          (only where it is not what proxies do by themselves)
 *   telemetries ── good ┼─ workloads           (only those that a selector singles out)
 *   services ── bound ──┴─ proxies             (pods of waypoints and gateways)
 */
import type { Collection, Index, Reads } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import { compileTelemetry } from '#config/compile/telemetry/compile.ts';
import type { CompiledTelemetry } from '#config/compile/telemetry/compiled.ts';
import type { MeshTelemetrySpec, ProxyTracingSpec } from '#config/compile/telemetry/kinds.ts';
import { mergeTelemetry } from '#config/compile/telemetry/merge.ts';
import {
  compileMeshTelemetry,
  compileProxyTracing,
  type MeshTelemetry,
} from '#config/compile/telemetry/mesh.ts';
import { referenceFindings } from '#config/compile/telemetry/references.ts';
import {
  applicableTelemetries,
  isNamespaceWide,
  type TelemetryPlace,
} from '#config/compile/telemetry/select.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { serviceKey } from '#model/service/service.ts';
import { namespaceScope, proxyScope, workloadScope } from '#model/telemetry/scopes.ts';
import {
  DEFAULT_TELEMETRY,
  type ScopedTelemetry,
  type TelemetrySettings,
} from '#model/telemetry/settings.ts';
import { LABEL, type MeshSettings, namespaceOf } from '../derive/mesh.ts';
import { meshConfigKey, podSettings, readMeshConfig } from '../derive/mesh-config.ts';
import type { BoundService } from '../derive/service.ts';
import { podUid } from '../derive/workload.ts';
import type { BoundIstioGateways } from './istio-gateway-graph.ts';
import { keepLastGood } from './last-good.ts';
import type { MeshSources } from './mesh-graph.ts';
import type { ServiceCollections } from './service-graph.ts';

/** What travels, and who may have it. */
export interface BoundTelemetry {
  readonly settings: ScopedTelemetry;
  /** Kubernetes node of the workload; undefined: not one node's. */
  readonly node?: string;
}

type Findable = Collection<{ findings: readonly Finding[] }>;

export function telemetryCollections(
  graph: Graph,
  mesh: MeshSettings,
  from: {
    sources: MeshSources;
    services: ServiceCollections;
    /** By the key of each waypoint that serves them. */
    servedBy: Index<BoundService>;
    istioGatewayConfigs: Collection<BoundIstioGateways>;
  },
): { scopes: Collection<BoundTelemetry>; findings: readonly Findable[] } {
  const { sources, services, servedBy, istioGatewayConfigs } = from;
  const { rootNamespace } = mesh;
  const meshCompiled = graph.map('telemetry.mesh', sources.meshConfig, (object) => {
    const { namespace = '', name } = object.metadata;
    const findings = new Findings('ConfigMap', { namespace, name });
    const value = compileMeshTelemetry(readMeshConfig(object) as MeshTelemetrySpec, findings);
    return { value, findings: findings.list as readonly Finding[] };
  });
  const { kept, good } = keepLastGood(
    graph,
    'telemetries.compiled',
    sources.telemetries,
    compileTelemetry,
  );
  const byNamespace = graph.index('telemetries.byNamespace', good, ({ identity }) => [
    identity.namespace,
  ]);
  const meshOf = (reads: Reads): MeshTelemetry =>
    reads.get(meshCompiled, meshConfigKey(mesh))?.value ?? UNSAID;
  const merger = (reads: Reads) => {
    const said = meshOf(reads);
    const lookup = {
      rootNamespace,
      ofNamespace: (namespace: string) => reads.lookup(byNamespace, namespace),
    };
    return (place: TelemetryPlace, scope: string, annotation?: ProxyTracingSpec) => {
      const levels = applicableTelemetries(place, lookup);
      const proxy = annotation && compileProxyTracing(annotation, '', ignored());
      const settings = {
        scope,
        server: mergeTelemetry(said, levels, { mode: 'SERVER', proxy }),
        client: mergeTelemetry(said, levels, { mode: 'CLIENT', proxy }),
      };
      return { settings, levels };
    };
  };
  const references = graph.map('telemetries.references', good, (telemetry, reads) => ({
    findings: referenceFindings(
      telemetry,
      meshOf(reads),
      reads.lookup(byNamespace, telemetry.identity.namespace),
    ),
  }));
  const namespaces = graph.flatMap('telemetry.namespaces', sources.namespaces, (_, reads, name) => {
    const scope = namespaceScope(name);
    const { settings } = merger(reads)({ namespace: name, labels: {} }, scope);
    return isDefault(settings) ? [] : [[scope, { settings }]];
  });
  const workloads = graph.flatMap('telemetry.workloads', sources.pods, (pod, reads, key) => {
    if (pod.metadata.labels?.[LABEL.gatewayName] !== undefined) return [];
    const namespace = namespaceOf(pod);
    const all = reads.lookup(byNamespace, namespace);
    if (!all.some(({ selector }) => selector !== undefined)) return [];
    if (reads.get(istioGatewayConfigs, key) !== undefined) return [];
    const scope = workloadScope(podUid(mesh, { namespace, name: pod.metadata.name }));
    const labels = pod.metadata.labels ?? {};
    const { settings, levels } = merger(reads)({ namespace, labels }, scope);
    if (levels.every(isNamespaceWide)) return [];
    return [[scope, { settings, node: pod.spec.nodeName }]];
  });
  const proxyOf = (pod: Pod, place: TelemetryPlace, reads: Reads): Bound[] => {
    const { namespace, gateway } = place;
    const scope = proxyScope(namespace, pod.metadata.name);
    const annotation = podSettings(pod.metadata.annotations).tracing;
    const merge = merger(reads);
    const { settings } = merge(place, scope, annotation);
    if (place.waypointClass === undefined) return [[scope, { settings }]];
    const own = JSON.stringify(settings.server);
    const said = saidOf(place, (each) => reads.lookup(byNamespace, each));
    const served = reads.lookup(servedBy, `${namespace}/${gateway}`);
    const different = served.flatMap(({ kind, service }): [string, TelemetrySettings][] => {
      const { namespace: its, name } = service;
      if (!said({ kind, namespace: its, name })) return [];
      const asked = { ...place, service: { kind, namespace: its, name } };
      const { server } = merge(asked, scope, annotation).settings;
      return JSON.stringify(server) === own ? [] : [[serviceKey(service), server]];
    });
    if (different.length === 0) return [[scope, { settings }]];
    return [[scope, { settings: { ...settings, services: Object.fromEntries(different) } }]];
  };
  const proxies = graph.flatMap('telemetry.proxies', sources.pods, (pod, reads) => {
    const labels = pod.metadata.labels ?? {};
    const gateway = labels[LABEL.gatewayName];
    if (gateway === undefined) return [];
    const namespace = namespaceOf(pod);
    const waypoint = reads.get(services.waypoints, `${namespace}/${gateway}`);
    const waypointClass = waypoint && { waypointClass: waypoint.className };
    return proxyOf(pod, { namespace, labels, gateway, ...waypointClass }, reads);
  });
  // Of Istio's Gateways, which choose pods by any labels.
  const chosen = graph.flatMap(
    'telemetry.chosen',
    istioGatewayConfigs,
    ({ labels }, reads, key) => {
      const pod = reads.get(sources.pods, key);
      if (pod === undefined || labels[LABEL.gatewayName] !== undefined) return [];
      return proxyOf(pod, { namespace: namespaceOf(pod), labels }, reads);
    },
  );
  const scopes = graph.join<BoundTelemetry>('telemetry.scopes', [
    namespaces,
    workloads,
    proxies,
    chosen,
  ]);
  return { scopes, findings: [meshCompiled, kept, references] };
}

type Bound = [string, BoundTelemetry];

/**
 * Whether anything is said of a service that is not said of its waypoint: most have nothing, and a waypoint may serve thousands.
 */
function saidOf(
  { namespace, gateway }: TelemetryPlace,
  ofNamespace: (namespace: string) => readonly CompiledTelemetry[],
): (service: NonNullable<TelemetryPlace['service']>) => boolean {
  const isOwn = `Gateway/${namespace}/${gateway}`;
  const targets = new Map<string, Set<string>>();
  const targetsIn = (each: string) => {
    const known = targets.get(each);
    if (known !== undefined) return known;
    const all = ofNamespace(each);
    // A name that no target has: something is said of the whole namespace, or of some of it.
    const found = new Set([...(all.length > 0 ? [''] : []), ...all.flatMap((one) => one.targets)]);
    targets.set(each, found);
    return found;
  };
  return (service) => {
    const its = targetsIn(service.namespace);
    if (service.namespace === namespace)
      return its.has(`${service.kind}/${service.namespace}/${service.name}`);
    // What is attached to the waypoint does not hold for services of other namespaces.
    return its.size > 0 || targetsIn(namespace).has(isOwn);
  };
}

const DEFAULT_TEXT = JSON.stringify(DEFAULT_TELEMETRY);

function isDefault({ server, client }: ScopedTelemetry): boolean {
  return [server, client].every((settings) => JSON.stringify(settings) === DEFAULT_TEXT);
}

/** The mesh's own ones are told once, with the ConfigMap. */
function ignored(): Findings {
  return new Findings('Pod', { namespace: '', name: '' });
}

const UNSAID: MeshTelemetry = compileMeshTelemetry({}, ignored());
