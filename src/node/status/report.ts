/** What the status and admin ports say: gathered from the parts of the proxy and from its data workers. */
import { rfc3339At } from '#base/clock.ts';
import type { Drain } from '#base/drain.ts';
import { processCpuSeconds } from '#base/process-cpu.ts';
import { VERSION } from '#base/version.ts';
import { certsOf } from '#identity/svid/certs-dump.ts';
import type { ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import { type JsonMembers, list, value } from '#telemetry/admin/json-stream.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import type { Assembly } from '../assemble.ts';
import type { WorkerReport } from '../worker/messages.ts';
import type { WorkloadProxy } from '../workload/workload-proxy.ts';
import * as dump from './config-dump.ts';
import { matchingConnections, reportOf } from './connections.ts';
import { exposeNodeMetrics } from './node-metrics.ts';
import type { StatusSource } from './servers.ts';

export interface ReportParts {
  nodeName: string;
  podName: string;
  assembly: Assembly;
  proxies(): readonly WorkloadProxy[];
  /** Undefined for a static node. */
  xds: XdsClient | undefined;
  drain: Drain;
  notReady(): string | undefined;
}

export function statusSource(parts: ReportParts): StatusSource {
  const { context, registry, levels } = parts.assembly;
  exposeNodeMetrics(parts);
  const notReady = () => (parts.drain.state === 'serving' ? parts.notReady() : 'draining');
  return {
    podName: parts.podName,
    registry,
    levels,
    notReady,
    status: (reports) => statusOf(parts, notReady(), reports),
    reports: async (filter, limit) => (await context.workers?.reports(filter, limit)) ?? [],
    connections: (filter, limit, reports) => connectionsOf(parts, { filter, limit, reports }),
    config: (reports) => configOf(parts, reports),
    certificates: () => ({ certificates: list(certsOf(context.identities)) }),
    limits: (reports) => ({
      pods: list([...context.usages.report(), ...reports.flatMap(({ usages }) => usages)]),
    }),
  };
}

function statusOf(
  parts: ReportParts,
  notReady: string | undefined,
  reports: readonly WorkerReport[],
): object {
  const { context } = parts.assembly;
  return {
    role: 'node',
    version: VERSION,
    memoryBytes: process.memoryUsage.rss(),
    cpuSeconds: processCpuSeconds(),
    threads: 1 + reports.length,
    node: parts.nodeName,
    ready: notReady === undefined,
    notReady,
    drain: parts.drain.state,
    snapshot: snapshotOf(parts),
    xds: parts.xds?.status(),
    workloads: parts.proxies().map((proxy) => ({
      namespace: proxy.pod.namespace,
      name: proxy.pod.name,
      uid: proxy.pod.uid,
      principal: proxy.principal,
      ready: proxy.ready,
      inboundConnections: proxy.live.inbound,
      outboundConnections: proxy.live.outbound,
      peers: proxy.live.peers,
    })),
    certificates: context.identities.status().map(({ notBefore, notAfter, ...certificate }) => ({
      ...certificate,
      notBefore: timeOf(notBefore),
      notAfter: timeOf(notAfter),
    })),
    revocation: context.revocations?.status(),
    tunnels: [...context.pool.status(), ...reports.flatMap(({ tunnels }) => tunnels)],
    connections: reports.reduce(
      (sum, { connectionsTotal }) => sum + connectionsTotal,
      context.telemetry.live.size,
    ),
  };
}

interface ConnectionsWanted {
  filter: ConnectionFilter;
  limit: number;
  reports: readonly WorkerReport[];
}

function connectionsOf(parts: ReportParts, wanted: ConnectionsWanted): JsonMembers {
  const { context } = parts.assembly;
  const { filter, limit, reports } = wanted;
  const own = matchingConnections(context, filter);
  const sum = (count: (report: WorkerReport) => number) =>
    reports.reduce((total, report) => total + count(report), 0);
  const now = context.clock.now();
  function* shown() {
    let left = limit;
    for (const record of own) {
      if (left-- <= 0) return;
      yield reportOf(record, now);
    }
    for (const connection of reports.flatMap(({ connections }) => connections)) {
      if (left-- <= 0) return;
      yield connection;
    }
  }
  return {
    total: value(context.telemetry.live.size + sum((report) => report.connectionsTotal)),
    matched: value(own.length + sum((report) => report.connectionsMatched)),
    limit: value(limit),
    connections: list(shown()),
  };
}

function configOf(parts: ReportParts, reports: readonly WorkerReport[]): JsonMembers {
  const { context } = parts.assembly;
  const { current } = context.state;
  return {
    snapshot: value(current.version),
    workloads: list(dump.workloadsOf(current)),
    services: list(dump.servicesOf(current)),
    policies: list(dump.policiesOf(current)),
    telemetry: list(dump.telemetryScopesOf(current)),
    certificates: list(certsOf(context.identities)),
    workloadState: value(workloadStateOf(parts)),
    config: value({
      node: parts.nodeName,
      trustDomain: context.trustDomain,
      threads: 1 + reports.length,
      limits: context.usages.limits,
    }),
    version: value({ version: VERSION, component: 'ztunnel', implementation: 'tulle' }),
  };
}

function workloadStateOf({ proxies, assembly }: ReportParts): object {
  const { trustDomain } = assembly.context;
  return Object.fromEntries(
    proxies().map(({ pod, ready }) => {
      const { name, namespace, serviceAccount } = pod;
      const info = { name, namespace, serviceAccount, trustDomain };
      return [pod.uid, { state: ready ? 'Up' : 'Pending', info }];
    }),
  );
}

function snapshotOf(parts: ReportParts): object {
  const { version, workloads, services, authorizations } = parts.assembly.context.state.current;
  return {
    version,
    workloads: workloads.size,
    services: services.size,
    authorizations: authorizations.length,
  };
}

function timeOf(wallTimeMs: number | undefined): string | undefined {
  return wallTimeMs === undefined ? undefined : rfc3339At(wallTimeMs);
}
