/** DestinationRule as its resources are written (networking.istio.io v1 = v1beta1 = v1alpha3; protobuf's JSON). */
import type { ConfigObject } from './istio-kinds.ts';
import type { PercentSpec } from './virtual-service-kinds.ts';

export interface KeepaliveSpec {
  probes?: number;
  time?: string;
  interval?: string;
}

export interface TcpPoolSpec {
  maxConnections?: number;
  connectTimeout?: string;
  tcpKeepalive?: KeepaliveSpec;
  maxConnectionDuration?: string;
  idleTimeout?: string;
}

export interface HttpPoolSpec {
  http1MaxPendingRequests?: number;
  http2MaxRequests?: number;
  maxRequestsPerConnection?: number;
  maxRetries?: number;
  idleTimeout?: string;
  h2UpgradePolicy?: string;
  useClientProtocol?: boolean;
  maxConcurrentStreams?: number;
  http2KeepAlive?: { interval?: string; timeout?: string };
}

export interface ConnectionPoolSpec {
  tcp?: TcpPoolSpec;
  http?: HttpPoolSpec;
}

export interface OutlierSpec {
  /** Deprecated, without effect. */
  consecutiveErrors?: number;
  splitExternalLocalOriginErrors?: boolean;
  consecutiveLocalOriginFailures?: number;
  consecutiveGatewayErrors?: number;
  consecutive5xxErrors?: number;
  interval?: string;
  baseEjectionTime?: string;
  maxEjectionPercent?: number;
  minHealthPercent?: number;
  outlierDetectionHttpErrorCodes?: number[];
}

export interface ConsistentHashSpec {
  httpHeaderName?: string;
  httpCookie?: {
    name?: string;
    path?: string;
    ttl?: string;
    attributes?: { name?: string; value?: string }[];
  };
  useSourceIp?: boolean;
  httpQueryParameterName?: string;
  /** 64-bit numbers are texts in protobuf's JSON. */
  ringHash?: { minimumRingSize?: number | string };
  maglev?: { tableSize?: number | string };
  /** Deprecated. */
  minimumRingSize?: number | string;
}

export interface LocalitySettingSpec {
  distribute?: { from?: string; to?: Record<string, number> }[];
  failover?: { from?: string; to?: string }[];
  failoverPriority?: string[];
  enabled?: boolean;
}

export interface ZoneAwareSpec {
  enabled?: boolean;
  failover?: { from?: string; to?: string }[];
  failoverPriority?: string[];
  minClusterSize?: number;
}

export interface WarmupSpec {
  duration?: string;
  minimumPercent?: number;
  aggression?: number;
}

export interface LoadBalancerSpec {
  simple?: string;
  consistentHash?: ConsistentHashSpec;
  localityLbSetting?: LocalitySettingSpec;
  zoneAwareLbSetting?: ZoneAwareSpec;
  /** Deprecated. */
  warmupDurationSecs?: string;
  warmup?: WarmupSpec;
  backendUtilization?: object;
}

export interface ClientTlsSpec {
  mode?: string;
  clientCertificate?: string;
  privateKey?: string;
  caCertificates?: string;
  caCrl?: string;
  credentialName?: string;
  subjectAltNames?: string[];
  sni?: string;
  insecureSkipVerify?: boolean;
}

export interface PortPolicySpec {
  port?: { number?: number };
  loadBalancer?: LoadBalancerSpec;
  connectionPool?: ConnectionPoolSpec;
  outlierDetection?: OutlierSpec;
  tls?: ClientTlsSpec;
}

export interface TunnelSpec {
  protocol?: string;
  targetHost?: string;
  targetPort?: number;
}

export interface TrafficPolicySpec extends Omit<PortPolicySpec, 'port'> {
  portLevelSettings?: PortPolicySpec[];
  tunnel?: TunnelSpec;
  proxyProtocol?: { version?: string };
  retryBudget?: {
    percent?: PercentSpec;
    minRetryConcurrency?: number;
    budgetInterval?: string;
  };
}

export interface SubsetSpec {
  name?: string;
  labels?: Record<string, string>;
  trafficPolicy?: TrafficPolicySpec;
}

export interface DestinationRuleSpec {
  host?: string;
  trafficPolicy?: TrafficPolicySpec;
  subsets?: SubsetSpec[];
  exportTo?: string[];
  workloadSelector?: { matchLabels?: Record<string, string> };
}

export type DestinationRuleObject = ConfigObject<DestinationRuleSpec>;
