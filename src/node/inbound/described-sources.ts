/**
 * Who is at the other end of a tunnel, for telemetry: found by address, or, where an address says nothing (the peer is of
 * another network, or discovery does not know it), as the peer's `baggage` describes it. Policy never reads this.
 */
import { DescribedPeers } from '#hbone/described-peers.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export interface SourceFacts {
  readonly local: Workload;
  readonly address: string;
  readonly principal: Principal | undefined;
  /** Fields of the CONNECT. */
  readonly baggage: string | undefined;
  readonly forwardedNetwork: string | undefined;
}

export class DescribedSources {
  readonly #described = new DescribedPeers();

  find(snapshot: MeshSnapshot, facts: SourceFacts): Workload | undefined {
    const { local, address, forwardedNetwork } = facts;
    // Beyond a gateway addresses are of another network and may be taken here (as ztunnel decides).
    const elsewhere =
      forwardedNetwork !== undefined &&
      forwardedNetwork.toLowerCase() !== local.network.toLowerCase();
    const found = elsewhere ? undefined : snapshot.workloadAt(local.network, address);
    return found ?? this.described(facts);
  }

  described({
    principal,
    baggage,
  }: Pick<SourceFacts, 'principal' | 'baggage'>): Workload | undefined {
    return this.#described.find(principal, baggage);
  }
}
