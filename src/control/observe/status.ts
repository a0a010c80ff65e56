/** `tulle status` as JSON: what control knows of itself, each proxy, each waypoint and the configuration. Pure. */
import type { Finding } from '#config/compile/finding.ts';
import type { Gateway } from '#kube/client/kinds.ts';
import { keyOf, namespaceOf } from '../derive/mesh.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import type { Ejection, ProxyStatus, StatusAnswer } from './api.ts';
import type { ScrapeState, ScrapeTarget } from './collector.ts';

export interface ProxyFacts {
  readonly targets: readonly ScrapeTarget[];
  readonly scrape: (key: string) => ScrapeState | undefined;
  readonly streams: readonly ProxySyncState[];
}

export interface WaypointFacts {
  readonly gateways: Iterable<Gateway>;
  /** Services by the key of the waypoint that serves them. */
  readonly served: (waypointKey: string) => readonly string[];
}

export interface StatusInput extends ProxyFacts, WaypointFacts {
  readonly generatedAt: string;
  readonly control: StatusAnswer['control'];
  readonly findings: readonly Finding[];
}

export function buildStatus(input: StatusInput): StatusAnswer {
  const { generatedAt, control, findings } = input;
  const [proxies, waypoints] = [proxyStatuses(input), waypointStatuses(input)];
  return { generatedAt, control, proxies, waypoints, findings };
}

export function proxyStatuses(input: ProxyFacts): ProxyStatus[] {
  const streams = new Map(
    input.streams.map((state) => [`${state.namespace}/${state.name}`, state]),
  );
  return input.targets.map((target) =>
    proxyStatus(target, streams.get(target.key), input.scrape(target.key)),
  );
}

export function waypointStatuses(input: WaypointFacts): StatusAnswer['waypoints'] {
  return [...input.gateways]
    .filter(({ spec }) => WAYPOINT_CLASSES.includes(spec.gatewayClassName))
    .map((gateway) => ({
      namespace: namespaceOf(gateway),
      name: gateway.metadata.name,
      programmed:
        gateway.status?.conditions?.some(
          ({ type, status }) => type === 'Programmed' && status === 'True',
        ) === true,
      services: input.served(keyOf(gateway)),
    }));
}

/** What of it a reader sees who sees only some namespaces. */
export function seenStatus(
  status: StatusAnswer,
  sees: (namespace: string) => boolean,
): StatusAnswer {
  const namespaceOfFinding = (resource: string) => /^\S+ ([^/]+)\//.exec(resource)?.[1] ?? '';
  return {
    ...status,
    proxies: status.proxies.filter(({ namespace }) => sees(namespace)),
    waypoints: status.waypoints.filter(({ namespace }) => sees(namespace)),
    findings: status.findings.filter(({ resource }) => sees(namespaceOfFinding(resource))),
  };
}

export function ejectionsOf(scrape: ScrapeState | undefined): Ejection[] {
  return (scrape?.report?.ejections ?? []).map((each) => ({
    upstream: upstreamKey(each.upstream ?? '', scrape?.target.key ?? ''),
    subset: each.subset,
    endpoint: each.endpoint ?? '',
    workload: each.workload,
    reason: each.reason ?? '',
    remainingMs: each.remainingMs,
    by: scrape?.target.key ?? '',
  }));
}

/** Waypoints report host names: a cluster host name says its namespace, any other is seen from the waypoint's. */
function upstreamKey(upstream: string, proxy: string): string {
  if (upstream.includes('/')) return upstream;
  const [, inName, marker] = upstream.split('.');
  return `${marker === 'svc' ? inName : proxy.split('/', 1)[0]}/${upstream}`;
}

function proxyStatus(
  target: ScrapeTarget,
  stream: ProxySyncState | undefined,
  scrape: ScrapeState | undefined,
): ProxyStatus {
  const [namespace, name] = target.key.split('/');
  const { scrapedAt, error, report } = scrape ?? {};
  return {
    kind: target.kind,
    namespace,
    name,
    node: target.node,
    ip: target.ip,
    connected: stream !== undefined,
    sync: syncOf(stream),
    types: (stream?.types ?? []).map(
      ({ typeUrl, resources, nonceSent, nonceAcked, nack, state }) => ({
        typeUrl,
        resources,
        nonceSent,
        nonceAcked,
        nack,
        state,
      }),
    ),
    scrapedAt,
    scrapeError: error,
    certificates: (report?.certificates ?? []).map((each) => ({
      principal: each.principal ?? '',
      notBefore: each.notBefore,
      notAfter: each.notAfter ?? '',
      serial: each.serial,
    })),
    ejections: ejectionsOf(scrape),
    detail: report,
  };
}

function syncOf(stream: ProxySyncState | undefined): ProxyStatus['sync'] {
  if (stream === undefined) return 'disconnected';
  if (stream.types.some(({ state }) => state === 'refused')) return 'refused';
  if (stream.types.length === 0 || stream.types.some(({ state }) => state === 'waiting'))
    return 'waiting';
  return 'synced';
}
