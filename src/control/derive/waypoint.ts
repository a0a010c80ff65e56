/**
 * Waypoints (Gateways of a waypoint class) and who is bound to one. Unlike Istio's, a binding fails closed: traffic
 * for a waypoint that is not ready, or not there, is refused by the node proxy instead of passing it by, so L7 policy
 * is never skipped in silence. The reason is reported as a condition.
 */
import { canonicalIp, parseIp } from '#base/ip.ts';
import type { Gateway, LabelSelector } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { compileLabelSelector, matchLabels } from '#kube/meta/label-selector.ts';
import type { GatewayAddress, WeightedWaypoint } from '#model/service/service.ts';
import type { MeshSettings } from './mesh.ts';
import { ANNOTATION, DEFAULT_MESH, keyOf, LABEL, namespaceOf } from './mesh.ts';

export const WAYPOINT_CLASSES = ['istio-waypoint', 'tulle-waypoint'];
export const HBONE_PORT = 15008;

export type TrafficType = 'service' | 'workload' | 'all' | 'none';

export interface Waypoint {
  /** `namespace/name` of the Gateway. */
  readonly key: string;
  readonly namespace: string;
  readonly className: string;
  /** Undefined until the Gateway has an address. */
  readonly address: GatewayAddress | undefined;
  readonly trafficType: TrafficType;
  readonly allowed: { readonly from: string; readonly selector: LabelSelector | undefined };
}

export interface WaypointBinding {
  readonly waypoint: GatewayAddress | undefined;
  /** Key of the waypoint that is in force. */
  readonly key: string | undefined;
  /** Another that takes a share of the connections, and both with their shares. */
  readonly canaryKey?: string;
  readonly weighted?: readonly WeightedWaypoint[];
  /** Said to be so: gateways send their traffic through the waypoint as well. */
  readonly ingress?: boolean;
  /** Gateways pass the waypoint by: its owner said so. */
  readonly bypassed?: boolean;
  /** Undefined when no waypoint is asked for. */
  readonly condition:
    | { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string }
    | undefined;
}

const UNBOUND: WaypointBinding = { waypoint: undefined, key: undefined, condition: undefined };

/** Undefined for Gateways of other classes. */
export function deriveWaypoint(
  gateway: Gateway,
  gatewayClass: KubeObject | undefined,
  { network }: Pick<MeshSettings, 'network'>,
): Waypoint | undefined {
  if (!WAYPOINT_CLASSES.includes(gateway.spec.gatewayClassName)) return undefined;
  const listener = gateway.spec.listeners?.find((each) => each.protocol === 'HBONE');
  const namespaces = listener?.allowedRoutes?.namespaces;
  const label =
    gateway.metadata.labels?.[LABEL.waypointFor] ??
    gatewayClass?.metadata.labels?.[LABEL.waypointFor];
  return {
    key: keyOf(gateway),
    namespace: namespaceOf(gateway),
    className: gateway.spec.gatewayClassName,
    address: addressOf(gateway, network),
    trafficType: isTrafficType(label) ? label : 'service',
    allowed: { from: namespaces?.from ?? 'Same', selector: namespaces?.selector },
  };
}

export interface BindingInput {
  readonly object: KubeObject;
  readonly namespaceLabels: Readonly<Record<string, string>> | undefined;
  readonly namespaceAnnotations?: Readonly<Record<string, string>>;
  /** Traffic and configuration stay within the namespace: a waypoint elsewhere is refused. */
  readonly confined?: boolean;
  /** What becomes of traffic while the waypoint is not ready. */
  readonly unready: 'refuse' | 'bypass';
  /** What kind of destination asks. */
  readonly for: 'service' | 'workload';
  readonly waypoint: (key: string) => Waypoint | undefined;
}

export function bindWaypoint(input: BindingInput): WaypointBinding {
  const { object, namespaceLabels } = input;
  const labels = object.metadata.labels ?? {};
  // A waypoint's own Service and pods never have a waypoint.
  if (labels[LABEL.gatewayManaged] !== undefined || labels[LABEL.gatewayName] !== undefined)
    return UNBOUND;
  const own = labels[LABEL.useWaypoint] !== undefined;
  const source = own ? labels : (namespaceLabels ?? {});
  const name = source[LABEL.useWaypoint];
  if (name === undefined || name === '' || name === 'none') return UNBOUND;
  const key = `${source[LABEL.useWaypointNamespace] ?? namespaceOf(object)}/${name}`;
  const waypoint = input.waypoint(key);
  const ingressLabel =
    labels[LABEL.ingressUseWaypoint] ?? namespaceLabels?.[LABEL.ingressUseWaypoint];
  const ingress =
    input.for !== 'service'
      ? {}
      : {
          ...(ingressLabel === 'true' && { ingress: true }),
          ...(ingressLabel === 'false' && { bypassed: true }),
        };
  const refuse = (reason: string, message: string): WaypointBinding => ({
    ...UNBOUND,
    condition: { status: 'False', reason, message },
  });
  const wait = (what: string): WaypointBinding => {
    const isRefused = input.unready === 'refuse';
    const message = `${what}; traffic ${isRefused ? 'is refused' : 'passes it by'} until it is ready`;
    return {
      ...(isRefused ? { ...ingress, waypoint: expectedAddress(key), key } : UNBOUND),
      condition: { status: 'False', reason: 'WaypointIsNotReady', message },
    };
  };
  if (input.confined === true && !key.startsWith(`${namespaceOf(object)}/`)) {
    const message = `an entry that only its namespace sees cannot use waypoint ${key}`;
    return refuse('CrossNamespaceWaypointForbidden', message);
  }
  if (waypoint === undefined) {
    // What a missing waypoint would serve is unknown; by default that is services.
    const missing = `waypoint ${key} does not exist`;
    return own || input.for === 'service' ? wait(missing) : UNBOUND;
  }
  if (waypoint.trafficType !== 'all' && waypoint.trafficType !== input.for) {
    // Namespace labels reach pods too: that a service waypoint does not serve them is no mistake.
    if (!own && input.for === 'workload') return UNBOUND;
    const message = `waypoint ${key} serves ${waypoint.trafficType}, not ${input.for}`;
    return refuse('UnsupportedTrafficType', message);
  }
  if (!isAllowed(waypoint, namespaceOf(object), namespaceLabels))
    return refuse(
      'AttachmentDenied',
      `waypoint ${key} does not allow namespace ${namespaceOf(object)}`,
    );
  if (waypoint.address === undefined) return wait(`waypoint ${key} has no address yet`);
  const message = `Successfully attached to waypoint ${key}`;
  const condition = { status: 'True', reason: 'WaypointAccepted', message } as const;
  const bound = { ...ingress, waypoint: waypoint.address, key, condition };
  return { ...bound, ...canaryOf(input, own, waypoint.address) };
}

/** The canary takes its share once it is ready and allowed; until then the first has everything. */
function canaryOf(
  input: BindingInput,
  /** The object names its waypoint itself: what its namespace says of a canary is about another. */
  own: boolean,
  first: GatewayAddress,
): Pick<WaypointBinding, 'canaryKey' | 'weighted'> {
  const { object, namespaceLabels, namespaceAnnotations } = input;
  const { labels, annotations } = object.metadata;
  const isNamespaces = !own && labels?.[LABEL.useCanary] === undefined;
  const source = (isNamespaces ? namespaceLabels : labels) ?? {};
  const name = source[LABEL.useCanary];
  const text =
    annotations?.[ANNOTATION.canaryWeight] ??
    (own ? undefined : namespaceAnnotations?.[ANNOTATION.canaryWeight]);
  const weight = Number(text ?? 0);
  const isShare = Number.isInteger(weight) && weight > 0 && weight <= 100;
  if (input.for !== 'service' || name === undefined || !isShare) return {};
  const canaryKey = `${source[LABEL.useCanaryNamespace] ?? namespaceOf(object)}/${name}`;
  const canary = input.waypoint(canaryKey);
  const serves = canary?.trafficType === 'service' || canary?.trafficType === 'all';
  if (canary?.address === undefined || !serves) return {};
  if (!isAllowed(canary, namespaceOf(object), namespaceLabels)) return {};
  const weighted = [
    { destination: first, weight: 100 - weight },
    { destination: canary.address, weight },
  ].filter((each) => each.weight > 0);
  return { canaryKey, weighted };
}

/** Where the waypoint will be: its Service bears the Gateway's name. */
function expectedAddress(key: string): GatewayAddress {
  const [namespace, name] = key.split('/');
  const hostname = `${name}.${namespace}.svc.${DEFAULT_MESH.domain}`;
  return { service: { namespace, hostname }, hbonePort: HBONE_PORT };
}

function isAllowed(
  waypoint: Waypoint,
  namespace: string,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const { from, selector } = waypoint.allowed;
  if (from === 'All') return true;
  if (from === 'Same') return namespace === waypoint.namespace;
  if (from !== 'Selector' || selector === undefined) return false;
  return matchLabels(compileLabelSelector(selector), labels);
}

/** A host name is preferred to an address: it survives the Service's re-creation (Istio: ambient/waypoints.go). */
function addressOf(gateway: Gateway, network: string): GatewayAddress | undefined {
  const addresses = gateway.status?.addresses ?? [];
  const hostname = addresses.find((each) => each.type === 'Hostname')?.value;
  if (hostname !== undefined) {
    const namespace = namespaceOf(gateway);
    return { service: { namespace, hostname }, hbonePort: HBONE_PORT };
  }
  const address = addresses.find(({ value }) => parseIp(value ?? '') !== undefined)?.value;
  return address === undefined
    ? undefined
    : { address: { network, address: canonicalIp(address) }, hbonePort: HBONE_PORT };
}

function isTrafficType(text: string | undefined): text is TrafficType {
  return text === 'service' || text === 'workload' || text === 'all' || text === 'none';
}
