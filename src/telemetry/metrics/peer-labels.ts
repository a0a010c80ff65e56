/** Label values of a workload as telemetry reports it. */
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { LATEST, type PeerLabels, UNKNOWN, UNKNOWN_PEER } from './istio.ts';

export interface PeerOptions {
  /** The principal that TLS proved; wins over what discovery says. */
  principal?: string;
  /** Report discovery's identity when TLS proved none (destination side only, as ztunnel does). */
  principalFromDiscovery?: boolean;
}

export function peerLabels(workload: Workload | undefined, options: PeerOptions = {}): PeerLabels {
  if (workload === undefined) {
    if (!options.principal) return UNKNOWN_PEER;
    return { ...UNKNOWN_PEER, principal: options.principal };
  }
  const discovered = options.principalFromDiscovery ? formatPrincipal(workload) : UNKNOWN;
  return {
    workload: workload.workloadName,
    canonicalService: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision || LATEST,
    workloadNamespace: workload.namespace,
    principal: options.principal || discovered,
    app: workload.canonicalName,
    version: workload.canonicalRevision || LATEST,
    cluster: workload.clusterId,
  };
}
