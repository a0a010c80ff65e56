/** What `tulle why` is asked and answers: stable JSON, also of the control plane's API. Extend it, do not break it. */

export interface WhyRequest {
  readonly source?: {
    readonly namespace?: string;
    readonly serviceAccount?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ip?: string;
    readonly trustDomain?: string;
    /** Defaults to true when `serviceAccount` is given. */
    readonly mtls?: boolean;
    /** `namespace/name` of the client: where there is one, it says the rest. */
    readonly workload?: string;
  };
  readonly destination: {
    /** Short name, full name, virtual address or workload address. */
    readonly host: string;
    /** As the client dials it. */
    readonly port: number;
    /** `namespace/name`: asks about one workload. */
    readonly workload?: string;
  };
  /** `namespace/name`: the request enters there instead of coming from a workload of the mesh. */
  readonly gateway?: string;
  /** `sidecar` answers as Istio's sidecars would: routes at the client, selector policies complete at the destination. */
  readonly mode?: 'ambient' | 'sidecar';
  /** Default: the service port's. */
  readonly protocol?: 'http' | 'http2' | 'grpc' | 'tcp' | 'tls' | 'https';
  readonly sni?: string;
  readonly method?: string;
  /** With the query. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface WhyPolicy {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly rule?: number;
  readonly action: string;
  readonly matched: boolean;
  readonly reason: string;
}

export interface WhyEndpoint {
  readonly address: string;
  readonly port: number;
  /** `namespace/name`. */
  readonly workload?: string;
  /** `region/zone/subzone`. */
  readonly locality?: string;
}

export interface WhyDestination {
  readonly host: string;
  readonly port: number;
  readonly subset?: string;
  /** Percent of the whole. */
  readonly weight: number;
  readonly endpoints: readonly WhyEndpoint[];
}

export interface WhyOperations {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export interface WhyAnswer {
  readonly verdict: 'forward' | 'deny' | 'redirect' | 'respond' | 'reset' | 'no-route';
  /** What the client sees when the mesh itself answers. */
  readonly status?: number;
  readonly reason: string;
  readonly policies: readonly WhyPolicy[];
  readonly route?: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly rule?: string | number;
    readonly reason: string;
  };
  readonly destinations: readonly WhyDestination[];
  readonly request?: WhyOperations & { readonly host?: string; readonly path?: string };
  readonly response?: WhyOperations;
  readonly redirect?: { readonly status: number; readonly location: string };
  readonly mirrors?: readonly {
    readonly host: string;
    readonly port: number;
    readonly subset?: string;
    readonly percent: number;
  }[];
  readonly fault?: {
    readonly delayMs?: number;
    readonly delayPercent?: number;
    readonly abortStatus?: number;
    readonly abortGrpcStatus?: number;
    readonly abortPercent?: number;
  };
  readonly timeoutMs?: number;
  readonly retries?: {
    readonly attempts: number;
    readonly perTryTimeoutMs?: number;
    readonly on: readonly string[];
  };
  readonly mtls: {
    readonly client: 'hbone' | 'istio-mtls' | 'plaintext' | 'simple';
    readonly server: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  };
  /** Every hop and decision in order, in plain words. */
  readonly steps: readonly string[];
}
