/**
 * How much of this process one pod may have. Every limit leaves room for neighbours: they derive from the open files
 * that the process may have, because a descriptor is what runs out first.
 */
import { STREAMS_ACCEPTED_MAX } from '#hbone/limits.ts';
import * as limits from '../limits.ts';

export interface PodLimits {
  /** Accepted on 15006 and 15008, handshakes included. */
  readonly inboundConnectionsMax: number;
  /** Accepted on 15001. */
  readonly outboundConnectionsMax: number;
  /** Incoming tunnels over all HBONE connections. */
  readonly streamsMax: number;
  /** Connections of either direction that wait for their decision or their dial. */
  readonly pendingConnectsMax: number;
  /** Bytes read from one side that the other has not taken; at the limit reading stops. */
  readonly bufferedBytesMax: number;
  /** Streams one peer may have on one HBONE connection, as SETTINGS tells it. */
  readonly peerStreamsMax: number;
}

export function podLimitsFor(openFilesMax: number, chosen: Partial<PodLimits> = {}): PodLimits {
  // Each proxied connection takes two descriptors: a pod can have half of all with both directions at their limit.
  const share = Math.floor(openFilesMax / limits.POD_DESCRIPTOR_SHARE);
  const connections = Math.min(
    Math.max(share, limits.POD_CONNECTIONS_MIN),
    limits.POD_CONNECTIONS_MAX,
  );
  return {
    inboundConnectionsMax: connections,
    outboundConnectionsMax: connections,
    streamsMax: connections,
    pendingConnectsMax: Math.min(connections, limits.POD_PENDING_CONNECTS_MAX),
    bufferedBytesMax: limits.POD_BUFFERED_BYTES_MAX,
    peerStreamsMax: STREAMS_ACCEPTED_MAX,
    ...chosen,
  };
}

/** What each of several threads enforces of limits that hold for the process. */
export function shareOf(whole: PodLimits, threads: number): PodLimits {
  const share = (value: number) => Math.ceil(value / threads);
  return {
    inboundConnectionsMax: share(whole.inboundConnectionsMax),
    outboundConnectionsMax: share(whole.outboundConnectionsMax),
    streamsMax: share(whole.streamsMax),
    pendingConnectsMax: share(whole.pendingConnectsMax),
    bufferedBytesMax: share(whole.bufferedBytesMax),
    // Of one HBONE connection, which is one thread's.
    peerStreamsMax: whole.peerStreamsMax,
  };
}
