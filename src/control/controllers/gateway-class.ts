/**
 * GatewayClasses: the built-in ones are made where they are absent (as istiod does), and every class of our controllers is told that it
 * is accepted and what of the Gateway API it serves. Classes of the same name that somebody else controls are left alone.
 */
import { isDeepStrictEqual } from 'node:util';
import { rfc3339 } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import { GATEWAY_CONTROLLER } from '#config/compile/gateway-api/route-status.ts';
import type { Condition } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { GATEWAY_CLASSES } from '../derive/gateway-class.ts';
import { SUPPORTED_FEATURES } from '../derive/supported-features.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import { FIELD_MANAGER } from './field-manager.ts';

/** Istio's names: a Gateway made for Istio is served by either control plane. */
const WAYPOINT_CONTROLLER = 'istio.io/mesh-controller';
/** At most 64 characters. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  [WAYPOINT_CONTROLLER]: 'Waypoint proxies: HTTP routing and policy for services',
  [GATEWAY_CONTROLLER]: 'Gateways: traffic that enters or leaves the mesh',
};

export const BUILT_IN_CLASSES: readonly string[] = [...WAYPOINT_CLASSES, ...GATEWAY_CLASSES];

export interface GatewayClass extends KubeObject {
  spec?: { controllerName?: string };
  status?: { conditions?: Condition[]; supportedFeatures?: { name: string }[] };
}

/** `isDefault`: of several control planes one writes what is of no revision; the others only what nobody has written yet. */
export async function reconcileClass(
  deps: InformerDeps,
  name: string,
  known: { class: GatewayClass | undefined; isDefault: boolean },
): Promise<void> {
  const gatewayClass = known.class ?? (await makeClass(deps, name));
  const { status } = gatewayClass ?? {};
  if (gatewayClass === undefined) return;
  const isWritten = status?.conditions?.some(
    (each) => each.type === 'Accepted' && each.status === 'True',
  );
  if (isWritten === true && !known.isDefault) return;
  const wanted = classStatus(gatewayClass, rfc3339(deps.clock, 's'));
  if (wanted === undefined) return;
  await deps.client.update<GatewayClass>(
    RESOURCES.gatewayClasses,
    { ...gatewayClass, status: wanted },
    { fieldManager: FIELD_MANAGER, subresource: 'status' },
  );
}

async function makeClass(
  { client }: InformerDeps,
  name: string,
): Promise<GatewayClass | undefined> {
  if (!BUILT_IN_CLASSES.includes(name)) return undefined;
  const controllerName = WAYPOINT_CLASSES.includes(name) ? WAYPOINT_CONTROLLER : GATEWAY_CONTROLLER;
  const object = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name },
    spec: { controllerName, description: DESCRIPTIONS[controllerName] },
  };
  const options = { fieldManager: FIELD_MANAGER };
  try {
    return await client.create<GatewayClass>(RESOURCES.gatewayClasses, object, options);
  } catch (error) {
    if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
    return client.get<GatewayClass>(RESOURCES.gatewayClasses, { name });
  }
}

/** Undefined: it says so already, or is not ours. A class of the waypoint controller counts by its name alone. */
export function classStatus(
  { metadata, spec, status = {} }: GatewayClass,
  now: string,
): GatewayClass['status'] {
  const isGateway = spec?.controllerName === GATEWAY_CONTROLLER;
  const isWaypoint =
    spec?.controllerName === WAYPOINT_CONTROLLER && WAYPOINT_CLASSES.includes(metadata.name);
  if (!isGateway && !isWaypoint) return undefined;
  const before = status.conditions ?? [];
  const previous = before.find(({ type }) => type === 'Accepted');
  const accepted: Condition = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: 'Handled by Tulle',
    lastTransitionTime: previous?.status === 'True' ? previous.lastTransitionTime : now,
    ...(metadata.generation !== undefined && { observedGeneration: metadata.generation }),
  };
  const wanted = {
    ...status,
    conditions: [...before.filter(({ type }) => type !== 'Accepted'), accepted],
    ...(isGateway && { supportedFeatures: SUPPORTED_FEATURES.map((name) => ({ name })) }),
  };
  return isDeepStrictEqual(status, wanted) ? undefined : wanted;
}
