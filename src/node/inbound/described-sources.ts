/**
 * Who is at the other end of a tunnel, for telemetry: found by address, or, where an address says nothing (the peer is of
 * another network, or discovery does not know it), as the peer's `baggage` describes it. Policy never reads this.
 */
import { type Baggage, parseBaggage } from '#hbone/baggage.ts';
import { type Identity, type Principal, parseIdentity } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { BAGGAGE_CHARS_MAX, DESCRIBED_SOURCES_MAX } from '../limits.ts';
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
  /** The same description is the same object: telemetry tells edges apart by it. */
  readonly #known = new Map<string, Workload>();

  find(snapshot: MeshSnapshot, facts: SourceFacts): Workload | undefined {
    const { local, address, forwardedNetwork } = facts;
    // Beyond a gateway addresses are of another network and may be taken here (as ztunnel decides).
    const elsewhere =
      forwardedNetwork !== undefined &&
      forwardedNetwork.toLowerCase() !== local.network.toLowerCase();
    const found = elsewhere ? undefined : snapshot.workloadAt(local.network, address);
    return found ?? this.described(facts);
  }

  /** As the peer describes itself; the namespace and account are those that it proved. */
  described({
    principal,
    baggage,
  }: Pick<SourceFacts, 'principal' | 'baggage'>): Workload | undefined {
    const identity = principal === undefined ? undefined : parseIdentity(principal);
    if (identity === undefined || baggage === undefined) return undefined;
    if (baggage === '' || baggage.length > BAGGAGE_CHARS_MAX) return undefined;
    const key = `${principal} ${baggage}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= DESCRIBED_SOURCES_MAX) this.#known.clear();
    const workload = workloadOf(key, identity, parseBaggage(baggage));
    this.#known.set(key, workload);
    return workload;
  }
}

/** The identity is proved and wins; the rest is what the peer says of itself. */
function workloadOf(uid: string, identity: Identity, baggage: Baggage): Workload {
  const { workloadName, canonicalName, canonicalRevision, clusterId, region, zone } = baggage;
  return {
    ...identity,
    uid,
    name: workloadName || canonicalName,
    addresses: [],
    network: '',
    protocol: 'hbone',
    node: '',
    workloadName,
    workloadType: baggage.workloadType || 'pod',
    canonicalName,
    canonicalRevision,
    clusterId,
    locality: { region, zone, subzone: '' },
    healthy: true,
    hostNetwork: false,
    nativeTunnel: false,
    hostname: '',
    capacity: 1,
    waypoint: undefined,
    services: new Map(),
    authorizationPolicies: [],
  };
}
