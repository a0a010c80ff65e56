/** `/connections`: what is open now, filtered and bounded, with the numbers of what was left out. */
import { formatHostPort } from '#base/ip.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import type { ConnectionRecord } from '../telemetry.ts';
import type { NodeContext } from '../workload/context.ts';

export interface ConnectionPeer {
  /** `namespace/name` of the workload, when it is known. */
  readonly workload: string | undefined;
  readonly address: string;
  /** As mutual TLS proved it, or as it is demanded. */
  readonly identity: string | undefined;
}

export interface ConnectionReport {
  readonly direction: 'inbound' | 'outbound';
  /** The pod of this node whose connection it is, `namespace/name`. */
  readonly pod: string | undefined;
  readonly source: ConnectionPeer;
  readonly destination: ConnectionPeer;
  readonly service: string | undefined;
  /** Of the CONNECT. */
  readonly authority: string | undefined;
  readonly protocol: 'HBONE' | 'TCP';
  readonly mutualTls: boolean;
  readonly ageMs: number;
  /** Undefined where a waypoint reads HTTP: it counts the bytes of requests. */
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
}

export interface ConnectionsAnswer {
  /** All that are open. */
  readonly total: number;
  /** Those that the filters leave. */
  readonly matched: number;
  /** At most `limit` of those. */
  readonly limit: number;
  readonly connections: readonly ConnectionReport[];
}

/** Those of this thread that the filter leaves. */
export function matchingConnections(
  context: NodeContext,
  filter: ConnectionFilter,
): ConnectionRecord[] {
  return [...context.telemetry.live].filter((record) => matches(record, filter));
}

function matches({ facts }: ConnectionRecord, { direction, namespace, pod }: ConnectionFilter) {
  if (direction !== undefined && facts.direction !== direction) return false;
  if (namespace === undefined && pod === undefined) return true;
  return [facts.sourceWorkload, facts.destinationWorkload].some((workload) => {
    if (workload === undefined) return false;
    if (namespace !== undefined && workload.namespace !== namespace) return false;
    return pod === undefined || workload.name === pod || nameOf(workload) === pod;
  });
}

export function reportOf(record: ConnectionRecord, now: number): ConnectionReport {
  const { facts } = record;
  const { direction, sourceWorkload, destinationWorkload } = facts;
  const own = direction === 'outbound' ? sourceWorkload : destinationWorkload;
  return {
    direction,
    pod: nameOf(own),
    source: {
      workload: nameOf(sourceWorkload),
      address: formatHostPort(facts.source.address, facts.source.port),
      identity: facts.sourceIdentity,
    },
    destination: {
      workload: nameOf(destinationWorkload),
      address: formatHostPort(facts.destination.address, facts.destination.port),
      identity: facts.destinationIdentity,
    },
    service: facts.service,
    authority: facts.hboneAuthority,
    protocol: facts.hboneAuthority === undefined ? 'TCP' : 'HBONE',
    mutualTls: facts.mutualTls,
    ageMs: Math.round(now - record.startedAt),
    receivedBytes: record.receivedBytes,
    sentBytes: record.sentBytes,
  };
}

function nameOf(workload: Workload | undefined): string | undefined {
  return workload && `${workload.namespace}/${workload.name}`;
}
