/** One accepted stream of bytes on its way to a service: an HBONE tunnel, or a plain connection in static mode. */
import type { TraceContext } from '#telemetry/tracing/trace-context.ts';
import type { Source } from './source.ts';

export interface Tunnel {
  /** Another once the workload is known that was not when the tunnel was made. */
  source: Source;
  /** Host part of the authority: a virtual address, a workload address or a host name. */
  readonly host: string;
  readonly port: number;
  readonly security: 'mutual_tls' | 'none';
  /** `ip:port`, for log lines. */
  readonly remote: string;
  /** Of the client, where it is known. */
  readonly remotePort?: number;
  readonly local: string;
  /** Set when it came in at a gateway's listener. */
  readonly gateway?: GatewayPart;
  /** HTTP/2 runs on it; set when the first bytes are known. */
  isH2: boolean;
  /** Of the CONNECT that carries it. */
  readonly trace?: TraceContext;
  /** Its first request may belong to that trace; set when there was one. */
  hadRequest?: boolean;
}

export interface GatewayPart {
  /** Key of the `Place` in the snapshot where its requests are looked up. */
  readonly place: string;
  /** What the connection was made under; it ends when they change. */
  readonly terms: string;
  readonly scheme: 'http' | 'https';
  /** Server name that the client asked for. */
  readonly sni: string | undefined;
  /** Value of `x-forwarded-client-cert`, when the client proved one. */
  readonly clientCertificate: string | undefined;
}
