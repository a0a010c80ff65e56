/**
 * What one pod has of this process now, against its limits. Made with its proxy; connections, tunnels and pipes count
 * themselves in and out. A limit that is hit refuses the newcomer of this pod only.
 */
import { MeshError } from '#base/errors.ts';
import type { LoopShare } from '#net/fair/fair-loop.ts';
import type { BufferAccount } from '#net/pipe/outbox.ts';
import {
  DATAGRAMS_WAITING_MAX,
  PENDING_QUERIES_PER_POD_MAX,
  TCP_CONNECTIONS_PER_POD_MAX,
} from '../dns/limits.ts';
import { NODE_ERRORS } from '../errors.ts';
import { type LimitName, Meter } from './meter.ts';
import type { PodLimits } from './pod-limits.ts';

/** Told of every refusal; `refused` counts all of that limit so far. */
export type OnLimit = (hit: { limit: LimitName; max: number; refused: number }) => void;

export class PodUsage implements BufferAccount {
  /** Bytes that wait in pipes. */
  bytes = 0;
  readonly bytesMax: number;
  /** Bytes that peers sent into tunnels faster than they are read. */
  readonly queued: BufferAccount;
  readonly inbound: Meter;
  readonly outbound: Meter;
  readonly streams: Meter;
  readonly pending: Meter;
  /** Look-ups that wait for discovery or for a name server. */
  readonly dnsQueries: Meter;
  readonly dnsConnections: Meter;
  /** Look-ups that wait for a turn of the event loop. */
  readonly dnsDatagrams: Meter;
  readonly limits: PodLimits;
  /** Its part of the event loop. */
  readonly share: LoopShare;

  constructor(limits: PodLimits, share: LoopShare, onLimit: OnLimit) {
    this.limits = limits;
    this.share = share;
    this.bytesMax = limits.bufferedBytesMax;
    this.queued = { bytes: 0, bytesMax: limits.bufferedBytesMax };
    this.inbound = new Meter('inbound-connections', limits.inboundConnectionsMax, onLimit);
    this.outbound = new Meter('outbound-connections', limits.outboundConnectionsMax, onLimit);
    this.streams = new Meter('streams', limits.streamsMax, onLimit);
    this.pending = new Meter('pending-connects', limits.pendingConnectsMax, onLimit);
    this.dnsQueries = new Meter('dns-queries', PENDING_QUERIES_PER_POD_MAX, onLimit);
    this.dnsConnections = new Meter('dns-connections', TCP_CONNECTIONS_PER_POD_MAX, onLimit);
    this.dnsDatagrams = new Meter('dns-datagrams', DATAGRAMS_WAITING_MAX, onLimit);
  }

  get meters(): readonly Meter[] {
    return [
      this.inbound,
      this.outbound,
      this.streams,
      this.pending,
      this.dnsQueries,
      this.dnsConnections,
      this.dnsDatagrams,
    ];
  }
}

/** Why a newcomer is refused at this meter. */
export function limitError(meter: Meter): MeshError {
  const message = `limit reached: the pod has ${meter.max} ${meter.limit}`;
  const hint = NODE_ERRORS.NODE_LIMIT;
  return new MeshError('NODE_LIMIT', message, { side: 'self', hint, decidedBy: meter.limit });
}
