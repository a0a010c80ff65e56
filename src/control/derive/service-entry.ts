/** Istio ServiceEntries as the model's `Service`: one for each host (Istio: ambient/services.go). */

import { canonicalIp, parseIp } from '#base/ip.ts';
import { SERVICE_ENTRY } from '#config/compile/destination-rule-shape.ts';
import type { Compiled } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import { byAge, identityOf } from '#config/compile/istio-kinds.ts';
import type { ServiceEntrySpec } from '#config/compile/service-entry-kinds.ts';
import { readShape } from '#config/compile/shape.ts';
import { checkServiceEntry } from '#config/compile/validate-service-entry.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import { declaredProtocol } from './app-protocol.ts';
import { distributionOf, loadBalancing } from './load-balancing.ts';
import type { MeshSettings } from './mesh.ts';
import { LABEL, namespaceOf } from './mesh.ts';
import type { EntryVisibility } from './mesh-config.ts';
import type { BoundService } from './service.ts';
import type { WaypointBinding } from './waypoint.ts';

export type ServiceEntryObject = KubeObject &
  ConfigObject<ServiceEntrySpec> & {
    status?: { addresses?: { value?: string; host?: string }[] };
  };

/** The object, with what its kind has, when nothing is wrong with it. */
export function checkedServiceEntry(object: ServiceEntryObject): Compiled<ServiceEntryObject> {
  const findings = new Findings('ServiceEntry', identityOf(object));
  const { labels } = object.metadata;
  const spec = (readShape(object.spec ?? {}, SERVICE_ENTRY, 'spec', findings) ??
    {}) as ServiceEntrySpec;
  if (!findings.failed)
    checkServiceEntry(spec, { findings, namespace: namespaceOf(object), labels });
  return {
    value: findings.failed ? undefined : { ...object, spec },
    findings: findings.list,
  };
}

export interface ServiceEntryContext {
  readonly mesh: MeshSettings;
  readonly namespace?: Kinds.Namespace;
  readonly binding: WaypointBinding;
  readonly visibility: EntryVisibility;
  /** MeshConfig says something about visibility. */
  readonly isVisibilitySet?: boolean;
}

const RESOLUTIONS: Readonly<Record<string, Upstream['resolution']>> = {
  NONE: 'passthrough',
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns-round-robin',
  DYNAMIC_DNS: 'dynamic-dns',
};

/** Empty when the mesh hides it from everybody. */
export function deriveServiceEntry(
  object: ServiceEntryObject,
  context: ServiceEntryContext,
): [string, BoundService][] {
  const { mesh, binding, visibility } = context;
  if (visibility === 'none') return [];
  const spec = object.spec ?? {};
  const ports = spec.ports ?? [];
  return (spec.hosts ?? []).map((hostname) => {
    const service: Service = {
      name: object.metadata.name,
      namespace: namespaceOf(object),
      hostname,
      addresses: entryAddresses(object, hostname).map((each) => ({
        network: mesh.network,
        ...each,
      })),
      ports: ports.map((port) => ({
        servicePort: port.number,
        targetPort: port.targetPort ?? port.number,
        appProtocol: declaredProtocol(port.protocol),
      })),
      subjectAltNames: spec.subjectAltNames ?? [],
      waypoint: binding.waypoint,
      ...(binding.weighted && { weightedWaypoints: binding.weighted }),
      ...(binding.ingress && { ingressUseWaypoint: true }),
      loadBalancing:
        (spec.resolution ?? 'NONE') === 'NONE'
          ? { mode: 'passthrough', scopes: [], includeUnhealthy: true }
          : loadBalancing(distributionOf(object, context.namespace), false),
      canonical: false,
      visibility,
      ipFamilies: 'automatic',
    };
    return [serviceKey(service), boundEntry(object, service, context)];
  });
}

function boundEntry(
  object: ServiceEntryObject,
  service: Service,
  { binding, visibility, isVisibilitySet }: ServiceEntryContext,
): BoundService {
  const visibilityApplied = visibility === 'namespace' ? 'Namespace' : 'Public';
  return {
    kind: 'ServiceEntry',
    service,
    membership: {
      selector: object.spec?.workloadSelector?.labels,
      ports: (object.spec?.ports ?? []).map((port) => ({
        servicePort: port.number,
        target: port.targetPort ?? port.number,
        name: port.name,
      })),
    },
    waypointKey: binding.key,
    canaryKey: binding.canaryKey,
    ...(binding.bypassed && { bypassed: true }),
    condition: binding.condition,
    resolution: RESOLUTIONS[object.spec?.resolution ?? 'NONE'],
    ...(isVisibilitySet && { visibilityApplied }),
    createdAt: object.metadata.creationTimestamp ?? '',
  };
}

/** Given ones count more than allocated ones. */
function entryAddresses(
  object: ServiceEntryObject,
  hostname: string,
): { address: string; length?: number }[] {
  const given = object.spec?.addresses ?? [];
  const allocated = allocates(object)
    ? (object.status?.addresses ?? [])
        .filter((each) => each.host === undefined || each.host === hostname)
        .flatMap(({ value }) =>
          value !== undefined && parseIp(value) !== undefined ? [value] : [],
        )
    : [];
  return (given.length > 0 ? given : allocated).map((text) => {
    const [base, length] = text.split('/');
    const address = canonicalIp(base);
    return length === undefined ? { address } : { address, length: Number(length) };
  });
}

/**
 * Whether virtual addresses are allocated for its hosts: it has none, somebody resolves it (clients of NONE have the real
 * address already), and nobody opted out.
 */
export function allocates(object: ServiceEntryObject): boolean {
  const { addresses = [], resolution = 'NONE' } = object.spec ?? {};
  const isWanted = object.metadata.labels?.[LABEL.autoAllocate] !== 'false';
  return isWanted && addresses.length === 0 && resolution !== 'NONE';
}

/** A wildcard is no name that somebody could look up, but where the proxy reads it from the traffic. */
export function allocatingHosts(object: ServiceEntryObject): string[] {
  if (!allocates(object)) return [];
  const { hosts = [], resolution } = object.spec ?? {};
  return hosts.filter((host) => !host.includes('*') || resolution === 'DYNAMIC_DNS');
}

/** Which of several entries of one namespace for one host is in force, or of all namespaces is canonical: the oldest. */
export function oldestEntry(entries: readonly BoundService[]): BoundService | undefined {
  const identity = ({ service, createdAt }: BoundService) => ({
    namespace: service.namespace,
    name: service.name,
    createdAt,
  });
  return [...entries].sort((left, right) => byAge(identity(left), identity(right)))[0];
}
