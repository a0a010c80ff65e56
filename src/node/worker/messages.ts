/**
 * What the main thread of a node proxy and its data workers say to each other. Everything is copied on the way
 * (structured clone); only file descriptors are shared, since they belong to the process.
 */

import type { Principal } from '#model/identity/spiffe.ts';
import type { TracingProvider } from '#model/telemetry/settings.ts';
import type { TlsIdentity } from '#net/connection.ts';
import type { ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import type { MetricSample } from '#telemetry/metrics/samples.ts';
import type { Offered } from '#telemetry/report/outbox.ts';
import type { TapFilter } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import type { AccessLogFormat } from '../access-log.ts';
import type { DnsOptions } from '../dns/dns-context.ts';
import type { SnapshotChange } from '../state/snapshot-change.ts';
import type { ConnectionReport } from '../status/connections.ts';
import type { PodLimits } from '../usage/pod-limits.ts';
import type { UsageReport } from '../usage/usages.ts';
import type { ProxyOptions } from '../workload/workload-proxy.ts';
import type { RelayedFlow } from './flow-relay.ts';

export interface WorkerStart {
  readonly trustDomain: string;
  /** As `LogLevels` reads them. */
  readonly levels: string;
  readonly logFormat: AccessLogFormat;
  readonly crlFile: string | undefined;
  readonly dns: DnsOptions | undefined;
  readonly proxy: string | undefined;
  /** This thread's share. */
  readonly podLimits: PodLimits;
}

export interface RelayedIdentity {
  readonly principal: Principal;
  readonly identity: TlsIdentity;
  /** Wall time from which it is no longer given out; undefined: never. */
  readonly expiresAt: number | undefined;
}

export interface ServedPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** The worker owns the descriptor; undefined: the proxy's own namespace. */
  readonly netns: { readonly fd: number; readonly inode: number } | undefined;
}

export type ToWorker =
  | { kind: 'start'; start: WorkerStart }
  | { kind: 'change'; change: SnapshotChange }
  | { kind: 'identity'; identity: RelayedIdentity }
  | { kind: 'serve'; pod: ServedPod; options: ProxyOptions; identity: RelayedIdentity | undefined }
  | { kind: 'levels'; levels: string }
  /** Connections that somebody wants to see, in the place of those before; undefined: nobody is there. */
  | { kind: 'taps'; filters: readonly TapFilter[] | undefined }
  /** Takes nothing new; then says how many run, until none do. */
  | { kind: 'leave'; uid: string }
  | { kind: 'resume'; uid: string }
  | { kind: 'force'; uid: string; reason: string }
  | { kind: 'stop'; uid: string; reason: string }
  /** With up to `limit` of the connections that the filter leaves. */
  | { kind: 'report'; id: number; filter: ConnectionFilter; limit: number };

/** What a worker adds to the metrics and to the admin answers. */
export interface WorkerReport {
  readonly samples: readonly MetricSample[];
  readonly connections: readonly ConnectionReport[];
  readonly connectionsMatched: number;
  readonly connectionsTotal: number;
  readonly usages: readonly UsageReport[];
  readonly tunnels: readonly object[];
}

export type FromWorker =
  | { kind: 'ready'; uid: string }
  | { kind: 'failed'; uid: string; message: string }
  | { kind: 'remaining'; uid: string; count: number }
  | { kind: 'log'; text: string }
  | { kind: 'span'; span: Span; provider: TracingProvider | undefined }
  /** Of the second that ended. */
  | { kind: 'flow'; flow: RelayedFlow }
  | { kind: 'offered'; offered: Offered }
  | { kind: 'report'; id: number; report: WorkerReport };
