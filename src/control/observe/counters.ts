/**
 * One proxy's counters from scrape to scrape: turns its exposition into differences and books them on edges. The
 * first scrape of a proxy is the baseline: what flowed before we looked is not shown as a burst.
 */
import type { EdgeKey, EdgeSample, EdgeStore } from './edge-store.ts';
import type { Sample } from './exposition.ts';
import { readExposition } from './exposition.ts';

const WATCHED = new Set([
  'istio_requests_total',
  'istio_request_duration_milliseconds_bucket',
  'istio_tcp_connections_opened_total',
  'istio_tcp_sent_bytes_total',
  'istio_tcp_received_bytes_total',
]);

type Labels = Sample['labels'];

export class ProxyCounters {
  #values = new Map<string, number>();
  #primed = false;

  /** `isWaypoint` tells waypoint workloads apart from others, by `namespace/name`. */
  read(
    text: string,
    into: { store: EdgeStore; second: number; isWaypoint: (key: string) => boolean },
  ): void {
    const next = new Map<string, number>();
    readExposition(
      text,
      (name) => WATCHED.has(name),
      (sample) => {
        const id = sample.name + JSON.stringify(sample.labels);
        next.set(id, sample.value);
        const before = this.#values.get(id);
        if (before === undefined && !this.#primed) return;
        // A counter that fell was reset with its process: all of it is new.
        const restarted = before !== undefined && sample.value < before;
        const difference = restarted ? sample.value : sample.value - (before ?? 0);
        if (difference > 0) book(sample, difference, into);
      },
    );
    this.#values = next;
    this.#primed = true;
  }
}

function book(
  sample: Sample,
  difference: number,
  into: { store: EdgeStore; second: number; isWaypoint: (key: string) => boolean },
): void {
  const { name, labels } = sample;
  const http = name.startsWith('istio_request');
  for (const key of edgesOf(labels, http, into.isWaypoint)) {
    const target = into.store.sample(key, into.second);
    if (http) bookHttp(target, sample, difference);
    else bookTcp(target, sample, difference);
  }
}

function bookHttp(target: EdgeSample, { name, labels }: Sample, difference: number): void {
  if (name === 'istio_request_duration_milliseconds_bucket') {
    const bound = labels.le ?? '+Inf';
    target.latency[bound] = (target.latency[bound] ?? 0) + difference;
    return;
  }
  const code = labels.response_code ?? '0';
  target.requests += difference;
  target.codes[code] = (target.codes[code] ?? 0) + difference;
  if (code === '0' || code.startsWith('5')) target.errors += difference;
  if (labels.connection_security_policy === 'mutual_tls') target.mtlsRequests += difference;
}

function bookTcp(target: EdgeSample, { name, labels }: Sample, difference: number): void {
  if (name === 'istio_tcp_sent_bytes_total') target.sent += difference;
  else if (name === 'istio_tcp_received_bytes_total') target.received += difference;
  else {
    target.opened += difference;
    if (labels.connection_security_policy === 'mutual_tls') target.mtlsOpened += difference;
  }
}

/**
 * HTTP: client → service, and service → the workload that answered. TCP: as the source's node proxy reports it; as
 * the destination's reports it only for clients outside the mesh, which have no proxy of their own.
 */
function edgesOf(labels: Labels, http: boolean, isWaypoint: (key: string) => boolean): EdgeKey[] {
  const source = workloadId(labels, 'source', isWaypoint);
  const destination = workloadId(labels, 'destination', isWaypoint);
  const service = serviceId(labels);
  if (http) {
    if (labels.reporter !== 'waypoint') return [];
    const edges: EdgeKey[] = [{ source, destination: service ?? destination, protocol: 'http' }];
    if (service !== undefined && destination !== 'unknown')
      edges.push({ source: service, destination, protocol: 'http' });
    return edges;
  }
  const foreign = source === 'unknown';
  if (labels.reporter === 'source' && !foreign)
    return [{ source, destination: service ?? destination, protocol: 'tcp' }];
  if (labels.reporter === 'destination' && (foreign || source.startsWith('waypoint/')))
    return [{ source, destination, protocol: 'tcp' }];
  return [];
}

function workloadId(
  labels: Labels,
  side: 'source' | 'destination',
  isWaypoint: (key: string) => boolean,
): string {
  const name = known(labels[`${side}_workload`]);
  if (name === undefined) return 'unknown';
  const key = `${known(labels[`${side}_workload_namespace`]) ?? ''}/${name}`;
  return `${isWaypoint(key) ? 'waypoint' : 'workload'}/${key}`;
}

function serviceId(labels: Labels): string | undefined {
  const hostname = known(labels.destination_service);
  if (hostname === undefined) return undefined;
  // The label's own namespace is the waypoint's for Istio's proxies: a cluster host name carries the right one.
  const [, inName, marker] = hostname.split('.');
  const namespace = marker === 'svc' ? inName : (known(labels.destination_service_namespace) ?? '');
  return `service/${namespace}/${hostname}`;
}

function known(text: string | undefined): string | undefined {
  return text === undefined || text === '' || text === 'unknown' ? undefined : text;
}
