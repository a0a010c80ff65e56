/** Builders for the tables of the compile tests. */

import type { DestinationRuleSpec, VirtualServiceSpec } from '#config/compile/istio-kinds.ts';
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
}

function metadata({ name = 'product-service', namespace = 'shop', created }: MetaOptions) {
  return { name, namespace, creationTimestamp: created ?? '2026-01-01T00:00:00Z' };
}

export function virtualService(spec: VirtualServiceSpec, meta: MetaOptions = {}) {
  return { metadata: metadata(meta), spec };
}

export function destinationRule(spec: DestinationRuleSpec, meta: MetaOptions = {}) {
  return { metadata: metadata(meta), spec };
}
