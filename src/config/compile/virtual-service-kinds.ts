/** VirtualService as its resources are written (networking.istio.io v1 = v1beta1 = v1alpha3; protobuf's JSON). */
import type { ConfigObject, DestinationSpec } from './istio-kinds.ts';

export interface StringMatchSpec {
  exact?: string;
  prefix?: string;
  regex?: string;
}

/** A double in protobuf's JSON: a number, or its text. */
export interface PercentSpec {
  value?: number | string;
}

export interface HeaderOperationsSpec {
  set?: Record<string, string>;
  add?: Record<string, string>;
  remove?: string[];
}

export interface HeadersSpec {
  request?: HeaderOperationsSpec;
  response?: HeaderOperationsSpec;
}

export interface RouteDestinationSpec {
  destination?: DestinationSpec;
  weight?: number;
  headers?: HeadersSpec;
}

export interface HttpMatchSpec {
  name?: string;
  uri?: StringMatchSpec;
  scheme?: StringMatchSpec;
  method?: StringMatchSpec;
  authority?: StringMatchSpec;
  headers?: Record<string, StringMatchSpec | null>;
  withoutHeaders?: Record<string, StringMatchSpec | null>;
  queryParams?: Record<string, StringMatchSpec | null>;
  ignoreUriCase?: boolean;
  port?: number;
  sourceLabels?: Record<string, string>;
  sourceNamespace?: string;
  gateways?: string[];
  statPrefix?: string;
}

export interface RedirectSpec {
  uri?: string;
  /** Not in the CRD; what Istio makes of Gateway API redirects. */
  prefixRewrite?: string;
  authority?: string;
  scheme?: string;
  port?: number;
  derivePort?: string;
  redirectCode?: number;
}

export interface DirectResponseSpec {
  status?: number;
  body?: { string?: string; bytes?: string };
}

export interface RewriteSpec {
  uri?: string;
  authority?: string;
  uriRegexRewrite?: { match?: string; rewrite?: string };
}

export interface RetrySpec {
  attempts?: number;
  perTryTimeout?: string;
  retryOn?: string;
  retryRemoteLocalities?: boolean | null;
  retryIgnorePreviousHosts?: boolean | null;
  backoff?: string;
}

export interface FaultSpec {
  delay?: {
    percent?: number;
    percentage?: PercentSpec;
    fixedDelay?: string;
    exponentialDelay?: string;
  };
  abort?: {
    percentage?: PercentSpec;
    httpStatus?: number;
    grpcStatus?: string;
    http2Error?: string;
  };
}

export interface CorsSpec {
  allowOrigin?: string[];
  allowOrigins?: StringMatchSpec[];
  allowMethods?: string[];
  allowHeaders?: string[];
  exposeHeaders?: string[];
  maxAge?: string;
  allowCredentials?: boolean | null;
  unmatchedPreflights?: string;
}

export interface MirrorSpec {
  destination?: DestinationSpec;
  percentage?: PercentSpec;
}

export interface DelegateSpec {
  name?: string;
  namespace?: string;
}

export interface HttpRouteSpec {
  name?: string;
  match?: (HttpMatchSpec | null)[] | null;
  route?: RouteDestinationSpec[];
  redirect?: RedirectSpec;
  directResponse?: DirectResponseSpec;
  delegate?: DelegateSpec;
  rewrite?: RewriteSpec;
  timeout?: string;
  retries?: RetrySpec;
  fault?: FaultSpec;
  mirror?: DestinationSpec;
  mirrors?: MirrorSpec[];
  mirrorPercent?: number | null;
  /** An older spelling of it, which the CRD keeps. */
  mirror_percent?: number | null;
  mirrorPercentage?: PercentSpec;
  corsPolicy?: CorsSpec;
  headers?: HeadersSpec;
}

/** What the matches of TLS and TCP rules share. */
interface L4MatchSpec {
  destinationSubnets?: string[];
  port?: number;
  sourceLabels?: Record<string, string>;
  sourceNamespace?: string;
  gateways?: string[];
}

export interface TlsMatchSpec extends L4MatchSpec {
  sniHosts?: string[];
}

export interface TcpMatchSpec extends L4MatchSpec {
  sourceSubnet?: string;
}

export interface TlsRouteSpec {
  match?: TlsMatchSpec[];
  route?: RouteDestinationSpec[];
}

export interface TcpRouteSpec {
  match?: TcpMatchSpec[];
  route?: RouteDestinationSpec[];
}

export interface VirtualServiceSpec {
  hosts?: string[] | null;
  gateways?: string[];
  exportTo?: string[];
  http?: HttpRouteSpec[];
  tls?: TlsRouteSpec[];
  tcp?: TcpRouteSpec[];
}

export type VirtualServiceObject = ConfigObject<VirtualServiceSpec>;
