/** The tallies of one edge of this proxy: what its requests and connections are called in the flow book. Made once an edge and protocol. */
import type { FlowBook } from '#telemetry/flow/flow-book.ts';
import { flowPeer } from '#telemetry/flow/flow-peer.ts';
import type { FlowOutcome, FlowTally } from '#telemetry/flow/flow-tally.ts';
import type { EdgeLabels } from '#telemetry/metrics/istio.ts';
import type { HttpEndpoint } from '../engine.ts';

type Protocol = FlowTally['facts']['protocol'];

export interface EdgeNature {
  readonly labels: EdgeLabels;
  /** Undefined: none was picked. */
  readonly endpoint: HttpEndpoint | undefined;
  readonly isMutualTls: boolean;
}

export class EdgeFlows {
  readonly #book: FlowBook;
  readonly #nature: EdgeNature;
  readonly #tallies: Partial<Record<Protocol, FlowTally>> = {};

  constructor(book: FlowBook, nature: EdgeNature) {
    this.#book = book;
    this.#nature = nature;
  }

  outcome(of: {
    readonly status: number;
    readonly flags: string;
    readonly isGrpc: boolean;
    readonly grpcStatus: string;
  }): FlowOutcome {
    const grpcStatus = /^\d{1,3}$/.test(of.grpcStatus) ? Number(of.grpcStatus) : -1;
    const tally = this.tally(of.isGrpc ? 'grpc' : 'http');
    return tally.outcome(of.status, of.isGrpc ? grpcStatus : -1, of.flags);
  }

  tally(protocol: Protocol): FlowTally {
    const known = this.#tallies[protocol];
    if (known !== undefined) return known;
    const tally = this.#book.tally(edgeFacts(this.#nature, protocol));
    this.#tallies[protocol] = tally;
    return tally;
  }
}

export function edgeFacts(
  { labels, endpoint, isMutualTls }: EdgeNature,
  protocol: Protocol,
): FlowTally['facts'] {
  const isGateway = labels.reporter === 'source';
  const isForWaypoint = endpoint?.endpoint.via !== undefined;
  const destination = flowPeer(labels.destination, {
    kind: isForWaypoint ? 'waypoint' : 'workload',
    outside: labels.service.host,
  });
  return {
    reporter: isGateway ? 'gateway' : 'waypoint',
    protocol,
    source: flowPeer(labels.source, { kind: isGateway ? 'gateway' : 'workload' }),
    // What was not picked is not outside: it is not there.
    destination:
      endpoint === undefined ? { ...destination, kind: 'unknown', workload: '' } : destination,
    service: labels.service,
    isMutualTls,
  };
}
