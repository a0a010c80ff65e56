/** Sources of the Gateway API's kinds, and of what they refer to for TLS: Secrets and ConfigMaps, of which only PEM is kept. */
import type { SourceCollection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type {
  BackendTlsPolicyObject,
  GrpcRouteObject,
  HttpRouteObject,
  ListenerSetObject,
  ReferenceGrantObject,
  TcpRouteObject,
  TlsRouteObject,
} from '#config/compile/gateway-api/kinds.ts';
import type { ConfigMap, Secret } from '#kube/client/kinds.ts';
import type { KubeObject, Selection } from '#kube/client/kube-client.ts';

export interface GatewayApiSources {
  readonly httpRoutes: SourceCollection<KubeObject & HttpRouteObject>;
  readonly grpcRoutes: SourceCollection<KubeObject & GrpcRouteObject>;
  readonly tcpRoutes: SourceCollection<KubeObject & TcpRouteObject>;
  readonly tlsRoutes: SourceCollection<KubeObject & TlsRouteObject>;
  readonly referenceGrants: SourceCollection<KubeObject & ReferenceGrantObject>;
  readonly backendTlsPolicies: SourceCollection<KubeObject & BackendTlsPolicyObject>;
  readonly listenerSets: SourceCollection<KubeObject & ListenerSetObject>;
  readonly secrets: SourceCollection<Secret>;
  /** Those with certificates; MeshConfig's has a source of its own. */
  readonly configMaps: SourceCollection<ConfigMap>;
}

export function gatewayApiSources(graph: Graph): GatewayApiSources {
  return {
    httpRoutes: graph.source('httpRoutes'),
    grpcRoutes: graph.source('grpcRoutes'),
    tcpRoutes: graph.source('tcpRoutes'),
    tlsRoutes: graph.source('tlsRoutes'),
    referenceGrants: graph.source('referenceGrants'),
    backendTlsPolicies: graph.source('backendTlsPolicies'),
    listenerSets: graph.source('listenerSets'),
    secrets: graph.source('secrets'),
    configMaps: graph.source('configMaps'),
  };
}

/** The Gateway API's CRDs are installed by choice, and not all of them in every channel and release. */
export const OPTIONAL_KINDS: ReadonlySet<string> = new Set<keyof GatewayApiSources>([
  'httpRoutes',
  'grpcRoutes',
  'tcpRoutes',
  'tlsRoutes',
  'referenceGrants',
  'backendTlsPolicies',
  'listenerSets',
]);

/** Large, many, and never TLS material (as Istio: pilot/pkg/credentials/kube). */
export const SECRET_SELECTION: Selection = {
  fieldSelector: 'type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token',
};

/** Keys that hold TLS material, by Kubernetes' names and Istio's. */
const PEM_KEYS = ['tls.crt', 'tls.key', 'ca.crt', 'ca.crl', 'cert', 'key', 'cacert', 'crl'];

/** The object without what is no TLS material: a cluster's Secrets and ConfigMaps are mostly other things. */
export function keepPem<T extends KubeObject>(object: T): T {
  const { data } = object as { data?: Record<string, string> };
  const kept: Record<string, string> = {};
  for (const key of PEM_KEYS) if (data?.[key] !== undefined) kept[key] = data[key];
  const { binaryData: _binary, stringData: _string, ...rest } = object as Record<string, unknown>;
  return { ...rest, data: kept } as unknown as T;
}
