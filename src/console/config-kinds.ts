/** Kinds of objects that configure the mesh, where they live in the API, and how they are called in addresses of the console. */
import type { ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';

/** Of two with one name the first is meant by the bare name. */
export const CONFIG_KINDS: readonly ResourceRef[] = [
  RESOURCES.gateways,
  RESOURCES.httpRoutes,
  RESOURCES.grpcRoutes,
  RESOURCES.tcpRoutes,
  RESOURCES.tlsRoutes,
  RESOURCES.listenerSets,
  RESOURCES.referenceGrants,
  RESOURCES.backendTlsPolicies,
  RESOURCES.gatewayClasses,
  RESOURCES.virtualServices,
  RESOURCES.destinationRules,
  RESOURCES.serviceEntries,
  RESOURCES.workloadEntries,
  RESOURCES.istioGateways,
  RESOURCES.sidecars,
  RESOURCES.telemetries,
  RESOURCES.authorizationPolicies,
  RESOURCES.requestAuthentications,
  RESOURCES.peerAuthentications,
  RESOURCES.localRateLimits,
  RESOURCES.loadSheddings,
];

/** `HTTPRoute`, or with its group, as kubectl takes it: `Gateway.networking.istio.io`. */
export function configKind(text: string): ResourceRef | undefined {
  return CONFIG_KINDS.find(({ kind, group }) => text === kind || text === `${kind}.${group}`);
}

export function isOfKind(
  object: { readonly apiVersion: string; readonly kind: string },
  ref: ResourceRef,
): boolean {
  return object.kind === ref.kind && object.apiVersion.split('/', 1)[0] === ref.group;
}

export function refOf(object: {
  readonly apiVersion: string;
  readonly kind: string;
}): ResourceRef | undefined {
  return CONFIG_KINDS.find((ref) => isOfKind(object, ref));
}
