/** Istio's Gateway and Sidecar as their resources are written (networking.istio.io v1 = v1beta1 = v1alpha3). */
import type { ConnectionPoolSpec } from './destination-rule-kinds.ts';
import type { ConfigObject, DestinationSpec } from './istio-kinds.ts';

export interface ServerPortSpec {
  number?: number;
  protocol?: string;
  name?: string;
  /** Deprecated: has no effect, and is refused. */
  targetPort?: number;
}

export interface ServerTlsSpec {
  httpsRedirect?: boolean;
  mode?: string;
  serverCertificate?: string;
  privateKey?: string;
  caCertificates?: string;
  caCrl?: string;
  credentialName?: string;
  credentialNames?: string[];
  tlsCertificates?: { serverCertificate?: string; privateKey?: string; caCertificates?: string }[];
  caCertCredentialName?: string;
  subjectAltNames?: string[];
  verifyCertificateSpki?: string[];
  verifyCertificateHash?: string[];
  minProtocolVersion?: string;
  maxProtocolVersion?: string;
  cipherSuites?: string[];
  ecdhCurves?: string[];
  insecureSkipVerify?: boolean | null;
}

export interface ServerSpec {
  port?: ServerPortSpec;
  bind?: string;
  hosts?: string[];
  tls?: ServerTlsSpec;
  defaultEndpoint?: string;
  name?: string;
}

export interface IstioGatewaySpec {
  servers?: (ServerSpec | null)[];
  selector?: Record<string, string>;
}

export type IstioGatewayObject = ConfigObject<IstioGatewaySpec>;

export interface SidecarIngressSpec {
  port?: ServerPortSpec;
  bind?: string;
  captureMode?: string;
  defaultEndpoint?: string;
  tls?: ServerTlsSpec;
  connectionPool?: ConnectionPoolSpec;
}

export interface SidecarEgressSpec {
  port?: ServerPortSpec;
  bind?: string;
  captureMode?: string;
  hosts?: string[];
}

export interface SidecarSpec {
  workloadSelector?: { labels?: Record<string, string> };
  ingress?: (SidecarIngressSpec | null)[];
  egress?: (SidecarEgressSpec | null)[];
  outboundTrafficPolicy?: { mode?: string; egressProxy?: DestinationSpec };
  inboundConnectionPool?: ConnectionPoolSpec;
}

export type SidecarObject = ConfigObject<SidecarSpec>;
