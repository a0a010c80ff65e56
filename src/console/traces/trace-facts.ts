/** What one can look for in a trace, out of its spans: services, nodes of the graph, methods, paths, status. Pure. */

import { rfc3339At } from '#base/clock.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import type { TraceRow } from '../api/traffic.ts';
import type { TracesRequest, Visible } from '../console-data.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import { endOf, milliseconds, rootOf, startOf } from './waterfall.ts';

export interface TraceFacts extends TraceRow {
  /** Ids of nodes that it passed, proxies as if they were workloads like others. */
  readonly places: readonly string[];
  /** `waypoint/NAMESPACE/POD` and `gateway/NAMESPACE/POD` that made spans. Undefined: an earlier version wrote it. */
  readonly proxies?: readonly string[];
  readonly namespaces: readonly string[];
  readonly hosts: readonly string[];
  readonly method: string;
  readonly path: string;
}

/** What waypoints and gateways begin their `node_id` with, as Envoy's; node proxies have none. */
const ROLES: Readonly<Record<string, string>> = { waypoint: 'waypoint', router: 'gateway' };
const NANOS_PER_MS = 1_000_000n;

export function factsOf(traceId: string, spans: readonly Span[]): TraceFacts {
  const root = rootOf(spans);
  const start = startOf(spans);
  const places = new Set<string>();
  const namespaces = new Set<string>();
  const hosts = new Set<string>();
  const proxies = new Set<string>();
  for (const { attributes, proxy } of spans) {
    const role = ROLES[text(attributes.node_id).split('~', 1)[0]];
    if (role !== undefined && proxy !== '') proxies.add(`${role}/${proxy}`);
    for (const side of ['source', 'destination'] as const) {
      const namespace = text(attributes[`istio.${side}_namespace`]);
      const workload = text(attributes[`istio.${side}_workload`]);
      const app = text(attributes[`istio.${side}_app`]);
      const version = text(attributes[`istio.${side}_app_version`]);
      if (namespace === '') continue;
      namespaces.add(namespace);
      if (workload !== '') places.add(`workload/${namespace}/${workload}`);
      if (app !== '') places.add(`app/${namespace}/${app}`);
      if (app !== '' && version !== '') places.add(`app/${namespace}/${app}/${version}`);
    }
    const host = text(attributes['server.address']);
    const [name, namespace, marker] = host.split('.');
    if (host !== '') hosts.add(host);
    if (marker === 'svc') {
      places.add(`service/${namespace}/${name}`);
      namespaces.add(namespace);
    }
  }
  const attributes = root?.attributes ?? {};
  const status = Number(attributes['http.response.status_code'] ?? attributes['http.status_code']);
  const isError = spans.some((span) => span.status === 'error') || status >= 500;
  return {
    traceId,
    at: rfc3339At(Number(start / NANOS_PER_MS)),
    durationMs: milliseconds(endOf(spans) - start),
    name: root?.name ?? '',
    spans: spans.length,
    services: [...new Set(spans.map(({ service }) => service))],
    status: isError ? 'error' : 'ok',
    statusCode: status > 0 ? status : undefined,
    places: [...places],
    proxies: [...proxies],
    namespaces: [...namespaces],
    hosts: [...hosts],
    method: text(attributes['http.request.method'] ?? attributes['http.method']),
    path: text(attributes['url.path'] ?? attributes['http.url']),
  };
}

export function rowOf(facts: TraceFacts): TraceRow {
  const { traceId, at, durationMs, name, spans, services, status, statusCode } = facts;
  return { traceId, at, durationMs, name, spans, services, status, statusCode };
}

/** Whether a trace is what was asked for. Time and failure are asked of the database. */
export function isWanted(facts: TraceFacts, request: TracesRequest, mesh: MeshPicture): boolean {
  const { namespaces, workloads, services, methods, pathPrefix, status, node, edge, visible } =
    request;
  if (!isTraceVisible(facts, visible)) return false;
  if (namespaces.length > 0 && !facts.namespaces.some((each) => namespaces.includes(each)))
    return false;
  if (workloads.length > 0 && !workloads.some((key) => facts.places.includes(`workload/${key}`)))
    return false;
  if (
    services.length > 0 &&
    !services.some((each) => facts.hosts.includes(each) || facts.services.includes(each))
  )
    return false;
  if (methods.length > 0 && !methods.includes(facts.method)) return false;
  if (pathPrefix !== '' && !facts.path.startsWith(pathPrefix)) return false;
  if (status !== undefined) {
    const code = facts.statusCode ?? 0;
    if (code < status.from || code > status.to) return false;
  }
  if (node === undefined && edge === undefined) return true;
  const places = placesOf(facts, mesh);
  if (node !== undefined && !places.has(node)) return false;
  if (edge === undefined) return true;
  const [source, target] = edge.split(' ');
  // What came from outside has no place of its own.
  return (places.has(source) || source === 'unknown') && places.has(target);
}

/** Ids of the graph's nodes, waypoints and gateways by their workload, as nodes.ts calls them. */
function placesOf({ places, proxies = [] }: TraceFacts, mesh: MeshPicture): ReadonlySet<string> {
  const found = new Set<string>();
  for (const place of places) {
    const key = place.startsWith('workload/') ? place.slice('workload/'.length) : '';
    const role = mesh.workloads.get(key)?.role;
    found.add(role === undefined ? place : `${role}/${key}`);
  }
  for (const proxy of proxies) {
    const at = proxy.indexOf('/');
    const key = mesh.workloadOfProxy(proxy.slice(at + 1));
    found.add(`${mesh.workloads.get(key)?.role ?? proxy.slice(0, at)}/${key}`);
  }
  return found;
}

/** All of it must be the reader's: a trace shows every hop. What names no namespace is for those who see all. */
export function isTraceVisible({ namespaces }: TraceFacts, visible: Visible): boolean {
  if (visible === undefined) return true;
  return namespaces.length > 0 && namespaces.every((each) => visible.includes(each));
}

function text(value: string | number | boolean | undefined): string {
  return value === undefined ? '' : String(value);
}
