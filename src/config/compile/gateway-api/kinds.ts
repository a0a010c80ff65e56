/**
 * The parts of the Gateway API's kinds (gateway.networking.k8s.io) that the compilers read. Defaults of the CRDs are not
 * relied on: objects also come from files that no API server has seen.
 */
import type { ConfigObject } from '../istio-kinds.ts';

export interface ParentRef {
  group?: string;
  kind?: string;
  namespace?: string;
  name: string;
  sectionName?: string;
  port?: number;
}
export interface BackendRef {
  group?: string;
  kind?: string;
  name: string;
  namespace?: string;
  port?: number;
  weight?: number;
}
interface LocalRef {
  group?: string;
  kind?: string;
  name: string;
}
interface NamespacedRef extends LocalRef {
  namespace?: string;
}

interface ValueMatch {
  type?: string;
  name: string;
  value: string;
}
export interface HttpMatch {
  path?: { type?: string; value?: string };
  headers?: ValueMatch[];
  queryParams?: ValueMatch[];
  method?: string;
}
export interface GrpcMatch {
  method?: { type?: string; service?: string; method?: string };
  headers?: ValueMatch[];
}
interface NameValue {
  name: string;
  value: string;
}
export interface HeaderModifier {
  set?: NameValue[];
  add?: NameValue[];
  remove?: string[];
}
export interface PathModifier {
  type?: string;
  replaceFullPath?: string;
  replacePrefixMatch?: string;
}
export interface CorsFilter {
  allowOrigins?: string[];
  allowCredentials?: boolean;
  allowMethods?: string[];
  allowHeaders?: string[];
  exposeHeaders?: string[];
  maxAge?: number;
}
export interface MirrorFilter {
  backendRef: BackendRef;
  percent?: number;
  fraction?: { numerator: number; denominator?: number };
}
export interface RedirectFilter {
  scheme?: string;
  hostname?: string;
  path?: PathModifier;
  port?: number;
  statusCode?: number;
}
/** Of HTTPRoutes and GRPCRoutes. */
export interface RouteFilter {
  type: string;
  requestHeaderModifier?: HeaderModifier;
  responseHeaderModifier?: HeaderModifier;
  requestMirror?: MirrorFilter;
  requestRedirect?: RedirectFilter;
  urlRewrite?: { hostname?: string; path?: PathModifier };
  cors?: CorsFilter;
  extensionRef?: LocalRef;
}
export interface FilteredBackendRef extends BackendRef {
  filters?: RouteFilter[];
}
export interface SessionPersistence {
  sessionName?: string;
  type?: string;
  absoluteTimeout?: string;
  idleTimeout?: string;
  cookieConfig?: { lifetimeType?: string };
}
export interface HttpRule {
  name?: string;
  matches?: HttpMatch[];
  filters?: RouteFilter[];
  backendRefs?: FilteredBackendRef[];
  timeouts?: { request?: string; backendRequest?: string };
  retry?: { codes?: number[]; attempts?: number; backoff?: string };
  sessionPersistence?: SessionPersistence;
}
export interface GrpcRule {
  name?: string;
  matches?: GrpcMatch[];
  filters?: RouteFilter[];
  backendRefs?: FilteredBackendRef[];
  sessionPersistence?: SessionPersistence;
}
export interface BytesRule {
  name?: string;
  backendRefs?: BackendRef[];
}
export interface RouteSpec<R> {
  parentRefs?: ParentRef[];
  useDefaultGateways?: string;
  hostnames?: string[];
  rules?: R[];
}

/** What the API server writes back; only whose word it is matters to us. */
export interface RouteObject<R> extends ConfigObject<RouteSpec<R>> {
  metadata: ConfigObject<RouteSpec<R>>['metadata'] & { generation?: number };
}
export type HttpRouteObject = RouteObject<HttpRule>;
export type GrpcRouteObject = RouteObject<GrpcRule>;
export type TcpRouteObject = RouteObject<BytesRule>;
export type TlsRouteObject = RouteObject<BytesRule>;

export interface ReferenceGrantSpec {
  from?: { group?: string; kind: string; namespace: string }[];
  to?: { group?: string; kind: string; name?: string }[];
}
export type ReferenceGrantObject = ConfigObject<ReferenceGrantSpec>;

export interface NamespaceRule {
  from?: string;
  selector?: LabelSelectorSpec;
}
export interface LabelSelectorSpec {
  matchLabels?: Record<string, string>;
  matchExpressions?: {
    key: string;
    operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    values?: string[];
  }[];
}
export interface ListenerSpec {
  name: string;
  hostname?: string;
  port: number;
  protocol: string;
  tls?: {
    mode?: string;
    certificateRefs?: NamespacedRef[];
    options?: Record<string, string>;
  };
  allowedRoutes?: {
    namespaces?: NamespaceRule;
    kinds?: { group?: string; kind: string }[];
  };
}
/** How client certificates of HTTPS listeners are checked. */
export interface FrontendValidation {
  caCertificateRefs?: NamespacedRef[];
  mode?: string;
}
export interface GatewaySpec {
  gatewayClassName: string;
  listeners?: ListenerSpec[];
  addresses?: { type?: string; value?: string }[];
  allowedListeners?: { namespaces?: NamespaceRule };
  defaultScope?: string;
  infrastructure?: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    parametersRef?: LocalRef;
  };
  tls?: {
    backend?: { clientCertificateRef?: NamespacedRef };
    frontend?: {
      default?: { validation?: FrontendValidation };
      perPort?: { port: number; tls?: { validation?: FrontendValidation } }[];
    };
  };
}
export interface GatewayObject extends ConfigObject<GatewaySpec> {
  metadata: ConfigObject<GatewaySpec>['metadata'] & { generation?: number };
}
export interface ListenerSetSpec {
  parentRef: NamespacedRef;
  listeners?: ListenerSpec[];
}
export interface ListenerSetObject extends ConfigObject<ListenerSetSpec> {
  metadata: ConfigObject<ListenerSetSpec>['metadata'] & { generation?: number };
}

export interface BackendTlsPolicySpec {
  targetRefs?: { group?: string; kind: string; name: string; sectionName?: string }[];
  validation?: {
    hostname?: string;
    caCertificateRefs?: LocalRef[];
    wellKnownCACertificates?: string;
    subjectAltNames?: { type: string; hostname?: string; uri?: string }[];
  };
  options?: Record<string, string>;
}
export interface BackendTlsPolicyObject extends ConfigObject<BackendTlsPolicySpec> {
  metadata: ConfigObject<BackendTlsPolicySpec>['metadata'] & { generation?: number };
}

export const GATEWAY_GROUP = 'gateway.networking.k8s.io';
