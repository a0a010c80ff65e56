/** Shares of localities by weight (localityLbSetting.distribute), as seen from where the proxy runs. Pure. */
import type { Endpoint, LocalityPolicy } from '#model/route/route-table.ts';
import { localityMatches, type ProxyPlace } from './place.ts';

export interface LocalityShare<T> {
  readonly endpoints: readonly T[];
  /** Relative. */
  readonly weight: number;
}

/**
 * Undefined when no entry is for the proxy's locality: then there are no shares. Endpoints that the entry does not name
 * get nothing. A pattern that fits several localities divides its share by the weights of their endpoints.
 */
export function localityShares<T>(
  members: readonly T[],
  policy: LocalityPolicy | undefined,
  options: { place: ProxyPlace; endpointOf: (member: T) => Pick<Endpoint, 'locality' | 'weight'> },
): LocalityShare<T>[] | undefined {
  const { place, endpointOf } = options;
  const entry = policy?.distribute?.find(({ from }) => localityMatches(place.locality, from));
  if (entry === undefined) return undefined;
  const localities = new Map<string, T[]>();
  for (const member of members) {
    const { region, zone, subzone } = endpointOf(member).locality;
    const key = `${region}/${zone}/${subzone}`;
    const group = localities.get(key);
    if (group === undefined) localities.set(key, [member]);
    else group.push(member);
  }
  const shares: LocalityShare<T>[] = [];
  for (const [pattern, weight] of Object.entries(entry.to)) {
    const fitting = [...localities].filter(([, group]) =>
      localityMatches(endpointOf(group[0]).locality, pattern),
    );
    const sizes = fitting.map(([, group]) =>
      group.reduce((sum, member) => sum + endpointOf(member).weight, 0),
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    for (const [at, [key, endpoints]] of fitting.entries()) {
      localities.delete(key);
      shares.push({ endpoints, weight: total === 0 ? 0 : (weight * sizes[at]) / total });
    }
  }
  return shares;
}
