/** Which Gateways are ours to serve as gateways: by their class, and who controls it. */
import { GATEWAY_CONTROLLER } from '#config/compile/gateway-api/route-status.ts';
import type { Gateway } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';

export const GATEWAY_CLASSES = ['istio', 'tulle'];

/** A class object of another controller is not ours, whatever its name. */
export function isOurGateway(gateway: Gateway, gatewayClass: KubeObject | undefined): boolean {
  const { spec } = (gatewayClass ?? {}) as { spec?: { controllerName?: string } };
  if (spec?.controllerName !== undefined) return spec.controllerName === GATEWAY_CONTROLLER;
  return GATEWAY_CLASSES.includes(gateway.spec.gatewayClassName);
}
