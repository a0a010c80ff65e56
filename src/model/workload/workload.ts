/** A workload: one running instance with addresses and an identity. Mirrors istio.workload.Workload (WDS). */
import type { Identity } from '../identity/spiffe.ts';
import type { GatewayAddress, ServiceKey } from '../service/service.ts';

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

export interface PortMapping {
  readonly servicePort: number;
  readonly targetPort: number;
}

export interface Workload extends Identity {
  /** `<cluster>//Pod/<namespace>/<name>` for pods. */
  readonly uid: string;
  readonly name: string;
  /** Text form, IPv4 or IPv6. */
  readonly addresses: readonly string[];
  readonly network: string;
  /** `hbone`: captured or speaking HBONE itself; `none`: plain TCP only. */
  readonly protocol: 'hbone' | 'none';
  readonly node: string;
  readonly workloadName: string;
  readonly workloadType: 'deployment' | 'cronjob' | 'pod' | 'job';
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly clusterId: string;
  readonly locality: Locality;
  readonly healthy: boolean;
  readonly hostNetwork: boolean;
  readonly nativeTunnel: boolean;
  /** Resolved on demand instead of `addresses` (DNS ServiceEntry). */
  readonly hostname: string;
  /** Relative weight, 1 by default. */
  readonly capacity: number;
  readonly waypoint: GatewayAddress | undefined;
  /** How its tunnels reach the app: with a PROXY header in front, perhaps on another port (0: the tunnel's own). */
  readonly applicationTunnel?: { readonly protocol: 'none' | 'proxy'; readonly port: number };
  /** Where workloads of other networks are reached. */
  readonly networkGateway?: GatewayAddress;
  /** Membership lives here, not on the service (WDS). */
  readonly services: ReadonlyMap<ServiceKey, readonly PortMapping[]>;
  /** `namespace/name` of selector-scoped policies. */
  readonly authorizationPolicies: readonly string[];
}
