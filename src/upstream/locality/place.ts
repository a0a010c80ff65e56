/** Where the proxy itself runs: what localities and failover labels are compared to. */
import type { Endpoint } from '#model/route/route-table.ts';
import type { Locality } from '#model/workload/workload.ts';

export interface ProxyPlace {
  readonly locality: Locality;
  readonly node: string;
  readonly network: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const UNKNOWN_PLACE: ProxyPlace = {
  locality: { region: '', zone: '', subzone: '' },
  node: '',
  network: '',
  labels: {},
};

export function isSamePlace(left: ProxyPlace, right: ProxyPlace): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

type Placed = Pick<Endpoint, 'locality' | 'node' | 'labels'> & { readonly network?: string };

/** A label of the proxy or of an endpoint; topology labels follow from where it runs, whatever the pod's labels say. */
export function placeLabel(placed: Placed, name: string): string {
  switch (name) {
    case 'topology.kubernetes.io/region':
      return placed.locality.region;
    case 'topology.kubernetes.io/zone':
      return placed.locality.zone;
    case 'topology.istio.io/subzone':
      return placed.locality.subzone;
    case 'kubernetes.io/hostname':
      return placed.node;
    case 'topology.istio.io/network':
      return placed.labels[name] ?? placed.network ?? '';
    default:
      return placed.labels[name] ?? '';
  }
}

/** `region/zone/subzone` of a pattern; `*` and what is left out fit everything (Istio's util.LocalityMatch). */
export function localityMatches(locality: Locality, pattern: string): boolean {
  const [region, zone = '*', subzone = '*'] = pattern.split('/');
  return (
    fits(region, locality.region) && fits(zone, locality.zone) && fits(subzone, locality.subzone)
  );
}

function fits(pattern: string, value: string): boolean {
  return pattern === '*' || pattern === '' || pattern === value;
}
