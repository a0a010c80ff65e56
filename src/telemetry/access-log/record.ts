/** One finished request or connection as the access log writes it. Names follow Envoy's operators. */
export interface AccessRecord {
  /** Milliseconds since the epoch, when the request began. */
  readonly startMs: number;
  readonly method: string;
  /** X-ENVOY-ORIGINAL-PATH, else the path. */
  readonly path: string;
  readonly protocol: string;
  /** 0 when no response was sent. */
  readonly responseCode: number;
  readonly responseFlags: string;
  readonly responseCodeDetails: string;
  readonly upstreamTransportFailure: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  /** Negative when no upstream answered. */
  readonly upstreamServiceMs: number;
  readonly forwardedFor: string | undefined;
  readonly userAgent: string | undefined;
  readonly requestId: string | undefined;
  readonly authority: string;
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly downstreamLocal: string;
  readonly downstreamRemote: string;
  readonly routeName: string;
  /** Server name of TLS (%REQUESTED_SERVER_NAME%). */
  readonly serverName?: string;
  /** Ours, last on the line: where it went instead, which resource is at fault. Empty for nothing to say. */
  readonly note: string;
}
