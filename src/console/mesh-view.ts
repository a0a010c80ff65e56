/**
 * What the console must know of the mesh besides its traffic. The control plane implements it over its collections; everything is
 * read when asked, nothing is copied ahead.
 */
import type { Finding } from './api/config.ts';
import type { EjectedEndpoint } from './api/graph.ts';
import type { EndpointRow, PodRow } from './api/lists.ts';
import type { CertificatesAnswer, ControlRow, ProxyRow } from './api/mesh.ts';

export interface NamespaceView {
  readonly name: string;
  readonly isEnrolled: boolean;
  /** `namespace/name` of its waypoint, or empty. */
  readonly waypoint: string;
  readonly mtlsMode: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'MIXED';
  /** `PeerAuthentication namespace/name` that says so, or `default`. */
  readonly mtlsFrom: string;
}

export interface WorkloadView {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** Deployment, StatefulSet, Pod, WorkloadEntry, … */
  readonly kind: string;
  readonly app: string;
  readonly versions: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly identity: string;
  readonly isCaptured: boolean;
  readonly notCaptured: string;
  readonly role: 'workload' | 'waypoint' | 'gateway';
  readonly waypoint: string;
  readonly replicas: { readonly ready: number; readonly desired: number };
  /** Keys of services that it is an endpoint of. */
  readonly services: readonly string[];
  /** Annotation `health.kiali.io/rate`: how many failures are borne. */
  readonly healthRate?: string;
  pods(): readonly PodRow[];
}

export interface ServiceView {
  /** `namespace/host`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly kind: 'Service' | 'ServiceEntry';
  readonly isExternal: boolean;
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
  }[];
  readonly waypoint: string;
  /** Keys of its workloads. */
  readonly workloads: readonly string[];
  readonly healthRate?: string;
  endpoints(): readonly EndpointRow[];
}

/** A weighted choice of a route in force. */
export interface SplitView {
  /** `Kind namespace/name`. */
  readonly route: string;
  /** Key of the service that is asked for. */
  readonly service: string;
  readonly parts: readonly {
    readonly percent: number;
    /** Keys of workloads that the part reaches. */
    readonly workloads: readonly string[];
  }[];
}

export interface ConfigView {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly createdAt: string;
  readonly object: Readonly<Record<string, unknown>>;
  readonly enforced?: { readonly by: number; readonly of: number };
}

export interface MeshView {
  readonly version: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  /** Grows with each change of anything below but the states of proxies. */
  readonly revision: number;
  namespaces(): Iterable<NamespaceView>;
  workloads(): Iterable<WorkloadView>;
  workload(key: string): WorkloadView | undefined;
  services(): Iterable<ServiceView>;
  service(key: string): ServiceView | undefined;
  splits(): readonly SplitView[];
  /** Istio's, Gateway API's and our own kinds. */
  config(): Iterable<ConfigView>;
  findings(): readonly Finding[];
  proxies(): readonly ProxyRow[];
  control(): readonly ControlRow[];
  problems(): readonly { readonly message: string; readonly since: string }[];
  ejected(): readonly EjectedEndpoint[];
  certificates(): CertificatesAnswer;
  /** Called after each change of configuration or endpoints, in order; the returned function ends it. */
  onChange(listener: (change: MeshChange) => void): () => void;
}

export interface MeshChange {
  readonly atMs: number;
  readonly kind: 'config' | 'endpoints' | 'deployment';
  readonly resource: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly summary: string;
  /** As YAML; empty where there was or is none. */
  readonly before: string;
  readonly after: string;
}
