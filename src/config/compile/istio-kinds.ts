/** The parts of Istio's kinds that the compilers read (networking and security, v1 = v1beta1 = v1alpha3). */

export interface ConfigMeta {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  creationTimestamp?: string;
}
export interface ConfigObject<S> {
  metadata: ConfigMeta;
  spec?: S;
}

export interface StringMatchSpec {
  exact?: string;
  prefix?: string;
  regex?: string;
}
export interface DestinationSpec {
  host?: string;
  subset?: string;
  port?: { number?: number };
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
  headers?: Record<string, StringMatchSpec>;
  withoutHeaders?: Record<string, StringMatchSpec>;
  queryParams?: Record<string, StringMatchSpec>;
  ignoreUriCase?: boolean;
  port?: number;
  sourceLabels?: Record<string, string>;
  sourceNamespace?: string;
  gateways?: string[];
}
export interface RedirectSpec {
  uri?: string;
  authority?: string;
  scheme?: string;
  port?: number;
  derivePort?: string;
  redirectCode?: number;
}
export interface RetrySpec {
  attempts?: number;
  perTryTimeout?: string;
  retryOn?: string;
  backoff?: string;
}
export interface HttpRouteSpec {
  name?: string;
  match?: HttpMatchSpec[];
  route?: RouteDestinationSpec[];
  redirect?: RedirectSpec;
  directResponse?: { status?: number; body?: { string?: string; bytes?: string } };
  delegate?: object;
  rewrite?: {
    uri?: string;
    authority?: string;
    uriRegexRewrite?: { match?: string; rewrite?: string };
  };
  timeout?: string;
  retries?: RetrySpec;
  headers?: HeadersSpec;
  fault?: object;
  mirror?: object;
  mirrors?: object[];
  corsPolicy?: object;
}
export interface VirtualServiceSpec {
  hosts?: string[];
  gateways?: string[];
  exportTo?: string[];
  http?: HttpRouteSpec[];
  tcp?: object[];
  tls?: object[];
}

export interface ConnectionPoolSpec {
  tcp?: { maxConnections?: number; connectTimeout?: string; idleTimeout?: string };
  http?: {
    http1MaxPendingRequests?: number;
    http2MaxRequests?: number;
    maxRequestsPerConnection?: number;
    maxRetries?: number;
    idleTimeout?: string;
    h2UpgradePolicy?: string;
  };
}
export interface OutlierSpec {
  consecutive5xxErrors?: number;
  consecutiveGatewayErrors?: number;
  interval?: string;
  baseEjectionTime?: string;
  maxEjectionPercent?: number;
  minHealthPercent?: number;
}
export interface PolicySpec {
  loadBalancer?: { simple?: string; consistentHash?: object; localityLbSetting?: object };
  connectionPool?: ConnectionPoolSpec;
  outlierDetection?: OutlierSpec;
  tls?: { mode?: string };
}
export interface TrafficPolicySpec extends PolicySpec {
  portLevelSettings?: (PolicySpec & { port?: { number?: number } })[];
}
export interface DestinationRuleSpec {
  host?: string;
  trafficPolicy?: TrafficPolicySpec;
  subsets?: { name?: string; labels?: Record<string, string>; trafficPolicy?: TrafficPolicySpec }[];
  exportTo?: string[];
  workloadSelector?: object;
}

export type VirtualServiceObject = ConfigObject<VirtualServiceSpec>;
export type DestinationRuleObject = ConfigObject<DestinationRuleSpec>;

/** Who a compiled object is, and since when: the older of two wins. */
export interface ObjectIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly createdAt: string;
}

export function identityOf(object: { metadata: ConfigMeta }): ObjectIdentity {
  const { name, namespace, creationTimestamp } = object.metadata;
  return { namespace: namespace ?? '', name, createdAt: creationTimestamp ?? '' };
}

/** Oldest first, then by name, then by namespace: the order in which conflicts are decided. */
export function byAge(left: ObjectIdentity, right: ObjectIdentity): number {
  return (
    compare(left.createdAt, right.createdAt) ||
    compare(left.name, right.name) ||
    compare(left.namespace, right.namespace)
  );
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
