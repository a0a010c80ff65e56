/** Traffic distribution: the field of a Service, or the annotation on it or its namespace, as scopes of locality. */
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { LoadBalancing } from '#model/service/service.ts';
import { ANNOTATION } from './mesh.ts';

export function distributionOf(
  object: KubeObject,
  namespace: KubeObject | undefined,
  field?: string,
): string | undefined {
  return (
    field ??
    object.metadata.annotations?.[ANNOTATION.trafficDistribution] ??
    namespace?.metadata.annotations?.[ANNOTATION.trafficDistribution]
  );
}

/** `Any`, and words that nobody knows, prefer nothing. */
export function loadBalancing(
  distribution: string | undefined,
  includeUnhealthy: boolean,
): LoadBalancing | undefined {
  switch (distribution) {
    case 'PreferClose':
    case 'PreferSameZone':
      return { mode: 'failover', scopes: ['network', 'region', 'zone'], includeUnhealthy };
    case 'PreferSameNode': {
      const scopes = ['network', 'region', 'zone', 'subzone', 'node'] as const;
      return { mode: 'failover', scopes, includeUnhealthy };
    }
    default:
      return includeUnhealthy ? { mode: 'unspecified', scopes: [], includeUnhealthy } : undefined;
  }
}
