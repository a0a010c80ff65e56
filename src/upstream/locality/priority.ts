/**
 * Which endpoints come first: the priority of each relative to where the proxy runs, 0 the best, without gaps. Pure
 * (Istio: pilot/pkg/networking/core/loadbalancer/loadbalancer.go).
 */
import type { Endpoint, LocalityPolicy } from '#model/route/route-table.ts';
import type { Locality } from '#model/workload/workload.ts';
import { type ProxyPlace, placeLabel } from './place.ts';

type Placed = Pick<Endpoint, 'locality' | 'node' | 'labels'>;

const NETWORK = 'topology.istio.io/network';
/** Same subzone, same zone, same region, elsewhere, elsewhere and not the region to fail over to. */
const LOCALITY_RANKS = 5;

/** One for each endpoint, in their order. */
export function priorities(
  endpoints: readonly Placed[],
  policy: LocalityPolicy | undefined,
  place: ProxyPlace,
): number[] {
  if (policy === undefined || policy.distribute !== undefined) return endpoints.map(() => 0);
  const { failover = [], failoverPriority = [] } = policy;
  const byLabel = compact(
    endpoints.map((endpoint) => labelRank(endpoint, failoverPriority, place)),
  );
  // With labels alone the region says nothing more, unless failover between regions is asked for as well.
  if (failoverPriority.length > 0 && failover.length === 0 && policy.scope !== 'region')
    return byLabel;
  return compact(
    endpoints.map(
      ({ locality }, at) => byLabel[at] * LOCALITY_RANKS + localityRank(locality, policy, place),
    ),
  );
}

function localityRank(locality: Locality, policy: LocalityPolicy, place: ProxyPlace): number {
  const own = place.locality;
  if (locality.region === own.region) {
    if (policy.scope === 'region') return 0;
    if (locality.zone !== own.zone) return 2;
    return locality.subzone === own.subzone ? 0 : 1;
  }
  const target = policy.failover?.find(({ from }) => from === own.region);
  if (target === undefined) return 3;
  return target.to === locality.region ? 3 : 4;
}

/** 0 when every label agrees, else the lower the later the first that does not. */
function labelRank(endpoint: Placed, labels: readonly string[], place: ProxyPlace): number {
  let apart = 0;
  for (const [at, label] of labels.entries()) {
    const [name, given] = label.split('=', 2);
    // An endpoint that says no network is in the proxy's own.
    const own = given ?? placeLabel(place, name);
    const theirs = placeLabel(
      name === NETWORK ? { ...endpoint, network: place.network } : endpoint,
      name,
    );
    if (own === theirs) continue;
    // Another network is worse than any disagreement within one, and the other labels still count there.
    if (at === 0 && name === NETWORK) apart = labels.length;
    else return labels.length - at + apart;
  }
  return apart;
}

/** The same order without gaps. */
function compact(ranks: readonly number[]): number[] {
  const order = [...new Set(ranks)].sort((left, right) => left - right);
  const position = new Map(order.map((rank, at) => [rank, at]));
  return ranks.map((rank) => position.get(rank) ?? 0);
}
