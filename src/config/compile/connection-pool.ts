/** DestinationRule.connectionPool, with Istio's and the mesh's defaults. */
import type { ConnectionPoolPolicy } from '#model/route/route-table.ts';
import type { ConnectionPoolSpec, KeepaliveSpec } from './destination-rule-kinds.ts';
import type { Findings } from './finding.ts';
import { duration } from './scalars.ts';

/** Istio's mesh defaults: 10 s to connect, an hour of idleness. */
export const DEFAULT_POOL: ConnectionPoolPolicy = {
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 3_600_000,
  h2Upgrade: 'default',
};

/** What MeshConfig gives where a pool says nothing: connectTimeout, tcpKeepalive, h2UpgradePolicy. */
export type PoolDefaults = Partial<
  Pick<ConnectionPoolPolicy, 'connectTimeoutMs' | 'tcpKeepalive' | 'h2Upgrade'>
>;

export const H2_UPGRADE: Readonly<Record<string, ConnectionPoolPolicy['h2Upgrade']>> = {
  DEFAULT: 'default',
  UPGRADE: 'upgrade',
  DO_NOT_UPGRADE: 'do-not-upgrade',
};

/** Only what is given: the rest is the defaults'. */
export function compileConnectionPool(
  spec: ConnectionPoolSpec,
  path: string,
  findings: Findings,
): Partial<ConnectionPoolPolicy> {
  const tcp = spec.tcp ?? {};
  const http = spec.http ?? {};
  const time = (text: string | undefined, name: string) =>
    duration(text, `${path}.${name}`, findings);
  const policy = http.h2UpgradePolicy ?? 'DEFAULT';
  const h2Upgrade = H2_UPGRADE[policy];
  if (h2Upgrade === undefined)
    findings.invalid(`${path}.http.h2UpgradePolicy`, `unknown policy ${policy}`);
  const tcpIdleTimeoutMs = time(tcp.idleTimeout, 'tcp.idleTimeout');
  // HTTP's counts first, TCP's where it is absent (Istio: applyConnectionPool). 0 = never.
  const idleTimeoutMs = time(http.idleTimeout, 'http.idleTimeout') ?? tcpIdleTimeoutMs;
  const keepAlive = http.http2KeepAlive;
  const values: Record<keyof ConnectionPoolPolicy, unknown> = {
    connectTimeoutMs: time(tcp.connectTimeout, 'tcp.connectTimeout') || undefined,
    // A zero count is "unset" in the API.
    maxConnections: tcp.maxConnections || undefined,
    maxPendingRequests: http.http1MaxPendingRequests || undefined,
    maxRequests: http.http2MaxRequests || undefined,
    maxRequestsPerConnection: http.maxRequestsPerConnection || undefined,
    maxRetries: http.maxRetries || undefined,
    idleTimeoutMs,
    h2Upgrade: policy === 'DEFAULT' ? undefined : h2Upgrade,
    useClientProtocol: http.useClientProtocol || undefined,
    maxConcurrentStreams: http.maxConcurrentStreams || undefined,
    maxConnectionDurationMs: time(tcp.maxConnectionDuration, 'tcp.maxConnectionDuration'),
    tcpIdleTimeoutMs,
    tcpKeepalive: tcp.tcpKeepalive && compileKeepalive(tcp.tcpKeepalive, time),
    http2KeepAlive: keepAlive && {
      intervalMs: time(keepAlive.interval, 'http.http2KeepAlive.interval'),
      timeoutMs: time(keepAlive.timeout, 'http.http2KeepAlive.timeout'),
    },
  };
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<ConnectionPoolPolicy>;
}

/** An empty block turns keepalive on with the system's times. */
export function compileKeepalive(
  spec: KeepaliveSpec,
  time: (text: string | undefined, name: string) => number | undefined,
): NonNullable<ConnectionPoolPolicy['tcpKeepalive']> {
  const timeMs = time(spec.time, 'tcp.tcpKeepalive.time');
  const intervalMs = time(spec.interval, 'tcp.tcpKeepalive.interval');
  return {
    ...(spec.probes && { probes: spec.probes }),
    ...(timeMs && { timeMs }),
    ...(intervalMs && { intervalMs }),
  };
}
