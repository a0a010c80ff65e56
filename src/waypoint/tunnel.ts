/** One accepted stream of bytes on its way to a service: an HBONE tunnel, or a plain connection in static mode. */
import type { Source } from './source.ts';

export interface Tunnel {
  readonly source: Source;
  /** Host part of the authority: a virtual address, a workload address or a host name. */
  readonly host: string;
  readonly port: number;
  readonly security: 'mutual_tls' | 'none';
  /** `ip:port`, for log lines. */
  readonly remote: string;
  readonly local: string;
  /** HTTP/2 runs on it; set when the first bytes are known. */
  isH2: boolean;
}
