/** What one can look for in a trace, out of its spans: services, nodes of the graph, methods, paths, status. Pure. */

import { rfc3339At } from '#base/clock.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import type { TraceRow } from '../api/traffic.ts';
import type { TracesRequest, Visible } from '../console-data.ts';
import { endOf, milliseconds, rootOf, startOf } from './waterfall.ts';

export interface TraceFacts extends TraceRow {
  /** Ids of nodes that it passed. */
  readonly places: readonly string[];
  readonly namespaces: readonly string[];
  readonly hosts: readonly string[];
  readonly method: string;
  readonly path: string;
}

const NANOS_PER_MS = 1_000_000n;

export function factsOf(traceId: string, spans: readonly Span[]): TraceFacts {
  const root = rootOf(spans);
  const start = startOf(spans);
  const places = new Set<string>();
  const namespaces = new Set<string>();
  const hosts = new Set<string>();
  for (const { attributes } of spans) {
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
export function isWanted(facts: TraceFacts, request: TracesRequest): boolean {
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
  if (node !== undefined && !facts.places.includes(node)) return false;
  if (edge !== undefined) {
    const [source, target] = edge.split(' ');
    // What came from outside has no place of its own.
    const isFrom =
      facts.places.includes(source) || source === 'unknown' || source.startsWith('gateway/');
    if (!isFrom || !facts.places.includes(target)) return false;
  }
  return true;
}

/** All of it must be the reader's: a trace shows every hop. What names no namespace is for those who see all. */
export function isTraceVisible({ namespaces }: TraceFacts, visible: Visible): boolean {
  if (visible === undefined) return true;
  return namespaces.length > 0 && namespaces.every((each) => visible.includes(each));
}

function text(value: string | number | boolean | undefined): string {
  return value === undefined ? '' : String(value);
}
