/** Builders for the tables of the compile tests. */

import type { DestinationRuleSpec } from '#config/compile/destination-rule-kinds.ts';
import type { IstioGatewaySpec, SidecarSpec } from '#config/compile/gateway-kinds.ts';
import type { VirtualServiceSpec } from '#config/compile/virtual-service-kinds.ts';
import type { AppProtocol, Service } from '#model/service/service.ts';

export function service(
  name: string,
  ports: Record<number, AppProtocol> = { 80: 'http' },
  namespace = 'shop',
): Service {
  return {
    name,
    namespace,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    addresses: [{ network: '', address: '198.19.0.10' }],
    ports: Object.entries(ports).map(([port, appProtocol]) => ({
      servicePort: Number(port),
      targetPort: 8080,
      appProtocol,
    })),
    subjectAltNames: [],
    waypoint: undefined,
    loadBalancing: undefined,
    canonical: true,
    visibility: 'public',
    ipFamilies: 'automatic',
  };
}

export interface MetaOptions {
  name?: string;
  namespace?: string;
  created?: string;
  annotations?: Record<string, string>;
}

function metadata({
  name = 'product-service',
  namespace = 'shop',
  created,
  annotations,
}: MetaOptions) {
  return { name, namespace, creationTimestamp: created ?? '2026-01-01T00:00:00Z', annotations };
}

export function virtualService(spec: VirtualServiceSpec, meta: MetaOptions = {}) {
  return { metadata: metadata(meta), spec };
}

export function destinationRule(spec: DestinationRuleSpec, meta: MetaOptions = {}) {
  return { metadata: metadata(meta), spec };
}

export function istioGateway(spec: IstioGatewaySpec, meta: MetaOptions = {}) {
  return { metadata: metadata(meta), spec };
}

export function sidecarObject(spec: SidecarSpec, meta: MetaOptions = {}) {
  return { metadata: metadata(meta), spec };
}
