/**
 * What a route is attached to through each of its parentRefs, and why where it is not: listeners of a Gateway, or ports
 * of services for traffic within the mesh. Pure; the caller looks the parents up.
 */
import type { Attachment, NamespaceLabels, ParentKind } from './attach.ts';
import { attachToListeners } from './attach.ts';
import type { Fault } from './conditions.ts';
import type { ParentRef } from './kinds.ts';
import type { CompiledListener } from './listeners.ts';
import type { Referent } from './references.ts';
import type { CompiledRoute } from './route.ts';

export interface RouteParent {
  readonly ref: ParentRef;
  readonly kind: ParentKind;
  /** `namespace/name` of the Gateway that serves it. */
  readonly gateway?: string;
  readonly attachments: readonly Attachment[];
  /** Ports of services, by service key. */
  readonly ports: readonly { readonly service: string; readonly port: number }[];
  /** Why it is not attached. */
  readonly fault?: Fault;
  /** Of services: whether a waypoint serves the route. */
  readonly waypoint?: Fault & { readonly served: boolean };
}

/** How a Gateway or ListenerSet was found. */
export interface ListenerParent {
  /** `namespace/name`. */
  readonly gateway: string;
  readonly listeners: readonly CompiledListener[];
  /** Set when the parent takes no routes at all: a waypoint, a ListenerSet that is not allowed. */
  readonly fault?: Fault;
}

export function attachToGateway(
  route: CompiledRoute,
  ref: ParentRef,
  parent: Referent & { kind: ParentKind },
  from: { found: ListenerParent; labelsOf: NamespaceLabels },
): RouteParent {
  const { gateway, listeners, fault } = from.found;
  const common = { ref, kind: parent.kind, gateway, ports: [] };
  if (fault !== undefined) return { ...common, attachments: [], fault };
  const attached = attachToListeners(route, ref, parent, { listeners, labelsOf: from.labelsOf });
  return { ...common, ...attached };
}

/** One service that a parentRef names; a ServiceEntry has one for each of its hosts. */
export interface MeshParent {
  readonly key: string;
  readonly ports: readonly { readonly port: number; readonly name: string | undefined }[];
  /** A waypoint is in force for it, or at least asked for. */
  readonly hasWaypoint: boolean;
}

export function attachToServices(
  route: CompiledRoute,
  ref: ParentRef,
  parent: Referent & { kind: ParentKind },
  services: readonly MeshParent[],
): RouteParent {
  const { kind, namespace, name } = parent;
  const common = { ref, kind, attachments: [] };
  const named = `${kind} ${namespace}/${name}`;
  const missing = (message: string): RouteParent => {
    const fault = { reason: 'NoMatchingParent', message };
    return { ...common, ports: [], fault, waypoint: { ...fault, served: false } };
  };
  if (services.length === 0) return missing(`${named} does not exist`);
  // Only the clients' own proxies could act on it, and node proxies see no HTTP.
  if (namespace !== route.namespace) {
    const message = `a route in ${route.namespace} for ${named} is for the clients of ${route.namespace} alone, and waypoints serve all clients: move it to ${namespace}`;
    const fault = { reason: 'ConsumerRoute', message };
    return { ...common, ports: [], fault, waypoint: { ...fault, served: false } };
  }
  const ports = services.flatMap(({ key, ports }) =>
    ports
      .filter(
        (each) =>
          (!ref.port || ref.port === each.port) &&
          (!ref.sectionName || ref.sectionName === each.name),
      )
      .map(({ port }) => ({ service: key, port })),
  );
  if (ports.length === 0)
    return missing(`${named} has no port ${[ref.port, ref.sectionName].filter(Boolean).join(' ')}`);
  const served = services.some(({ hasWaypoint }) => hasWaypoint);
  const waypoint = served
    ? { served, reason: 'ResolvedWaypoints', message: 'All waypoints resolved' }
    : {
        served,
        reason: 'MissingUseWaypointLabel',
        message: `neither ${named} nor its namespace has the label istio.io/use-waypoint: nothing acts on the route (tulle waypoint apply -n ${namespace})`,
      };
  return { ...common, ports, waypoint };
}
