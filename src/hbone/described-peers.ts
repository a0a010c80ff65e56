/** Peers as their `baggage` describes them, for telemetry where discovery does not know who is at an address. Policy never reads this. */
import { type Identity, type Principal, parseIdentity } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { type Baggage, parseBaggage } from './baggage.ts';
import { BAGGAGE_CHARS_MAX, DESCRIBED_PEERS_MAX } from './limits.ts';

export class DescribedPeers {
  /** The same description is the same object: telemetry tells edges apart by it. */
  readonly #known = new Map<string, Workload>();

  /** As the peer describes itself; the namespace and account are those that it proved. Undefined: it proved or says nothing. */
  find(principal: Principal | undefined, baggage: string | undefined): Workload | undefined {
    const identity = principal === undefined ? undefined : parseIdentity(principal);
    if (identity === undefined || baggage === undefined) return undefined;
    if (baggage === '' || baggage.length > BAGGAGE_CHARS_MAX) return undefined;
    const key = `${principal} ${baggage}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= DESCRIBED_PEERS_MAX) this.#known.clear();
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
