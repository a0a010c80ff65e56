/**
 * Names of the places that settings are for, and which of them holds for whom: the narrowest there is.
 *
 *   proxy/<namespace>/<pod>    a waypoint or a gateway
 *   workload/<uid>             a workload of a node proxy that a selector singles out
 *   namespace/<name>           every other workload of the namespace
 */
import { DEFAULT_TELEMETRY, type ScopedTelemetry } from './settings.ts';

export const proxyScope = (namespace: string, pod: string): string => `proxy/${namespace}/${pod}`;
export const isProxyScope = (scope: string): boolean => scope.startsWith('proxy/');
export const workloadScope = (uid: string): string => `workload/${uid}`;
export const namespaceScope = (namespace: string): string => `namespace/${namespace}`;

export const DEFAULT_SCOPED: ScopedTelemetry = {
  scope: 'default',
  server: DEFAULT_TELEMETRY,
  client: DEFAULT_TELEMETRY,
};

/** What holds for a workload of a node proxy. */
export function telemetryOf(
  known: ReadonlyMap<string, ScopedTelemetry>,
  { uid, namespace }: { readonly uid: string; readonly namespace: string },
): ScopedTelemetry {
  return known.get(workloadScope(uid)) ?? known.get(namespaceScope(namespace)) ?? DEFAULT_SCOPED;
}
