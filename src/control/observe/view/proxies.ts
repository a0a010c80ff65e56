/** Proxies and replicas of the control plane as rows of the console's mesh page. Pure. */
import { rfc3339At } from '#base/clock.ts';
import type { EjectedEndpoint } from '#console/api/graph.ts';
import type { CertificateRow, ControlRow, ProxyRow } from '#console/api/mesh.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { CERTIFICATE_EXPIRING_PART } from '../../limits.ts';
import type { Ejection, ProxyStatus, StatusAnswer } from '../api.ts';
import type { ProcessUse } from '../counter-rate.ts';
import type { ReportState } from '../intake.ts';
import type { PeerWord } from '../peers.ts';

/** What the proxies' process metrics said, by `namespace/name`. */
export type UseOf = (key: string) => ProcessUse | undefined;

/** What is known of its telemetry stream, to whichever replica. */
export type ReportOf = (key: string) => ReportState | undefined;

export function proxyRows(
  status: Pick<StatusAnswer, 'proxies' | 'waypoints'>,
  from: { use: UseOf; isGateway: (key: string) => boolean; report: ReportOf },
): ProxyRow[] {
  return status.proxies.map((proxy) => {
    const key = `${proxy.namespace}/${proxy.name}`;
    const use = from.use(key);
    const { detail } = proxy;
    const report = from.report(key);
    return {
      kind: proxy.kind === 'node' ? 'node' : from.isGateway(key) ? 'gateway' : 'waypoint',
      namespace: proxy.namespace,
      name: proxy.name,
      node: proxy.node,
      version: detail?.version ?? '',
      sync: proxy.sync,
      detail: problemOf(proxy),
      memoryBytes: detail?.memoryBytes ?? use?.memoryBytes,
      cpu: use?.cpu,
      serves:
        proxy.kind === 'node'
          ? (detail?.workloads?.length ?? 0)
          : servedBy(proxy, status.waypoints),
      connections: detail?.connections,
      // One without a stream is scraped.
      reportedAt: report === undefined ? proxy.scrapedAt : rfc3339At(report.reportedMs),
      clockOffsetMs: report && Math.round(report.clockOffsetMs),
    };
  });
}

function problemOf({ sync, types, scrapeError, detail }: ProxyStatus): string {
  const nack = types.find((type) => type.nack !== undefined)?.nack;
  if (sync === 'disconnected') return 'no stream to any replica of the control plane';
  if (nack !== undefined) return `refused its configuration: ${nack}`;
  return detail?.notReady || scrapeError || '';
}

function servedBy(proxy: ProxyStatus, waypoints: StatusAnswer['waypoints']): number {
  const own = waypoints.filter(
    ({ namespace, name }) => namespace === proxy.namespace && proxy.name.startsWith(`${name}-`),
  );
  return own.reduce((sum, { services }) => sum + services.length, 0);
}

export function ejectedEndpoints(
  ejections: readonly Ejection[],
  workloadOf: (namespace: string, pod: string) => string,
): EjectedEndpoint[] {
  return ejections.map(({ upstream, endpoint, workload, reason, remainingMs, by }) => ({
    address: endpoint,
    workload: workload === undefined ? '' : workloadOf(upstream.split('/', 1)[0], workload),
    service: upstream,
    reason,
    remainingMs,
    by,
  }));
}

export function certificateRows(proxies: readonly ProxyStatus[], nowMs: number): CertificateRow[] {
  return proxies.flatMap(({ namespace, name, certificates }) =>
    certificates.map((each) => ({
      principal: each.principal,
      proxy: `${namespace}/${name}`,
      ...(each.notBefore !== undefined && { notBefore: each.notBefore }),
      notAfter: each.notAfter,
      state: stateOf(each, nowMs),
      ...(each.serial !== undefined && { serial: each.serial }),
    })),
  );
}

/** A proxy renews at half of a certificate's life: one that has little left was not renewed. */
export function stateOf(
  { notBefore, notAfter }: { notBefore?: string; notAfter: string },
  nowMs: number,
): CertificateRow['state'] {
  const end = Date.parse(notAfter);
  if (!(end > nowMs)) return 'expired';
  const begin = notBefore === undefined ? end - 24 * 3600_000 : Date.parse(notBefore);
  return end - nowMs < (end - begin) * CERTIFICATE_EXPIRING_PART ? 'expiring' : 'valid';
}

export interface ControlFacts {
  readonly own: StatusAnswer['control'];
  readonly revision: string;
  /** Proxies that are connected to this replica. */
  readonly proxies: number;
  readonly use: ProcessUse;
  readonly pushesPerSecond: number | undefined;
  readonly pods: Iterable<Pod>;
  readonly namespace: string;
  /** Replicas that did not answer. */
  readonly silent: readonly string[];
  /** What the others said, by the name of the replica's pod. */
  readonly words: ReadonlyMap<string, PeerWord>;
}

export function controlRows(facts: ControlFacts): ControlRow[] {
  const { own } = facts;
  const self: ControlRow = {
    pod: own.pod,
    version: own.version,
    revision: facts.revision,
    isLeader: own.leader,
    isReady: own.ready,
    startedAt: own.startedAt,
    memoryBytes: facts.use.memoryBytes,
    cpu: facts.use.cpu,
    proxies: facts.proxies,
    ...(facts.pushesPerSecond !== undefined && { pushesPerSecond: facts.pushesPerSecond }),
  };
  const others = [...facts.pods].flatMap(({ metadata, status, spec }): ControlRow[] => {
    const { name, namespace, labels } = metadata;
    if (namespace !== facts.namespace || labels?.app !== 'istiod' || name === own.pod) return [];
    const isReady =
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ===
      true;
    const word = facts.words.get(name);
    return [
      {
        pod: name,
        version: imageTag(spec.containers[0]?.image ?? ''),
        revision: labels['istio.io/rev'] ?? 'default',
        isLeader: word?.leads,
        isReady: isReady && !facts.silent.includes(name),
        startedAt: status?.startTime ?? metadata.creationTimestamp ?? '',
        proxies: word?.streams.length ?? 0,
      },
    ];
  });
  return [self, ...others.sort((left, right) => (left.pod < right.pod ? -1 : 1))];
}

function imageTag(image: string): string {
  return /:([^:/@]+)(@.*)?$/.exec(image)?.[1] ?? '';
}
