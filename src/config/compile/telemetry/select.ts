/**
 * Which Telemetries are in force where, from the outermost to the innermost (Istio: applicableTelemetries, ShouldAttachPolicy): the root
 * namespace's, the proxy's namespace's, at a waypoint that of the service, then those that single out this proxy or service.
 */
import { byAge } from '../istio-kinds.ts';
import type { CompiledTelemetry } from './compiled.ts';

export interface TelemetryPlace {
  readonly namespace: string;
  /** Of the pod; waypoints are not chosen by labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** The Gateway (Gateway API) that the pod is of. */
  readonly gateway?: string;
  /** Its class: the pod is a waypoint's. */
  readonly waypointClass?: string;
  /** At a waypoint: what the request is for. */
  readonly service?: {
    readonly kind: 'Service' | 'ServiceEntry';
    readonly namespace: string;
    readonly name: string;
  };
}

export interface TelemetryLookup {
  readonly rootNamespace: string;
  /** Those of a namespace, in any order. */
  ofNamespace(namespace: string): readonly CompiledTelemetry[];
}

export function applicableTelemetries(
  place: TelemetryPlace,
  { rootNamespace, ofNamespace }: TelemetryLookup,
): CompiledTelemetry[] {
  const inOrder = (namespace: string) =>
    [...ofNamespace(namespace)].sort((left, right) => byAge(left.identity, right.identity));
  // The oldest: a second one for a whole namespace is without effect.
  const wide = (namespace: string) => inOrder(namespace).filter(isNamespaceWide).slice(0, 1);
  const { namespace, service, waypointClass } = place;
  const levels = wide(rootNamespace);
  if (waypointClass !== undefined) {
    const ofClass = `GatewayClass/${rootNamespace}/${waypointClass}`;
    levels.push(...inOrder(rootNamespace).filter(({ targets }) => targets.includes(ofClass)));
  }
  if (namespace !== rootNamespace) levels.push(...wide(namespace));
  let attachedIn = namespace;
  if (waypointClass !== undefined && service !== undefined && service.namespace !== namespace) {
    attachedIn = service.namespace;
    if (attachedIn !== rootNamespace) levels.push(...wide(attachedIn));
  }
  levels.push(...inOrder(attachedIn).filter((each) => isAttached(each, place)));
  return levels;
}

export function isNamespaceWide({ selector, targets }: CompiledTelemetry): boolean {
  return selector === undefined && targets.length === 0;
}

function isAttached({ selector, targets }: CompiledTelemetry, place: TelemetryPlace): boolean {
  const { namespace, labels, gateway, waypointClass, service } = place;
  if (targets.length > 0) {
    const own = gateway === undefined ? undefined : `Gateway/${namespace}/${gateway}`;
    const asked = service && `${service.kind}/${service.namespace}/${service.name}`;
    return targets.some((target) => target === own || target === asked);
  }
  if (selector === undefined || waypointClass !== undefined) return false;
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}
