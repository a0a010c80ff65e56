/** ServiceEntry, WorkloadEntry and WorkloadGroup as their resources are written (networking.istio.io; protobuf's JSON). */

export interface WorkloadEntrySpec {
  address?: string;
  ports?: Record<string, number>;
  labels?: Record<string, string>;
  network?: string;
  locality?: string;
  weight?: number;
  serviceAccount?: string;
}

export interface ServiceEntrySpec {
  hosts?: string[];
  addresses?: string[];
  ports?: { number: number; protocol?: string; name?: string; targetPort?: number }[];
  location?: string;
  resolution?: string;
  endpoints?: WorkloadEntrySpec[];
  subjectAltNames?: string[];
  exportTo?: string[];
  workloadSelector?: { labels?: Record<string, string> };
}

export interface ProbeSpec {
  initialDelaySeconds?: number;
  timeoutSeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
  httpGet?: {
    path?: string;
    port?: number;
    host?: string;
    scheme?: string;
    httpHeaders?: { name?: string; value?: string }[];
  };
  tcpSocket?: { host?: string; port?: number };
  exec?: { command?: string[] };
  grpc?: { port?: number; service?: string };
}

export interface WorkloadGroupSpec {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  template?: WorkloadEntrySpec;
  probe?: ProbeSpec;
}
