/** What `/status`, `/connections` and `/config_dump` say. */
import { rfc3339At } from '#base/clock.ts';
import type { Drain } from '#base/drain.ts';
import { formatHostPort } from '#base/ip.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import type { Assembly } from '../assemble.ts';
import type { NodeContext } from '../workload/context.ts';
import type { WorkloadProxy } from '../workload/workload-proxy.ts';
import type { StatusSource } from './servers.ts';

export interface ReportParts {
  nodeName: string;
  assembly: Assembly;
  proxies(): readonly WorkloadProxy[];
  /** Undefined for a static node. */
  xds: XdsClient | undefined;
  drain: Drain;
  notReady(): string | undefined;
}

export function statusSource(parts: ReportParts): StatusSource {
  const { context, registry } = parts.assembly;
  const notReady = () => (parts.drain.state === 'serving' ? parts.notReady() : 'draining');
  return {
    registry,
    notReady,
    status: (reports) => ({
      role: 'node',
      threads: 1 + reports.length,
      node: parts.nodeName,
      ready: notReady() === undefined,
      notReady: notReady(),
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
      tunnels: [...context.pool.status(), ...reports.flatMap(({ tunnels }) => tunnels)],
      connections: reports.reduce(
        (sum, { connections }) => sum + connections.length,
        context.telemetry.live.size,
      ),
    }),
    reports: async () => (await context.workers?.reports()) ?? [],
    connections: () => connectionsOf(context),
    config: () => {
      const { workloads, services, authorizations, version } = context.state.current;
      return {
        version,
        workloads: [...workloads.values()].map((workload) => ({
          ...workload,
          services: Object.fromEntries(workload.services),
        })),
        services: [...services.values()],
        authorizations,
      };
    },
  };
}

/** The live connections of this thread. */
export function connectionsOf(context: NodeContext): object[] {
  return [...context.telemetry.live].map((record) => ({
    direction: record.facts.direction,
    source: formatHostPort(record.facts.source.address, record.facts.source.port),
    sourceWorkload: record.facts.sourceWorkload?.uid,
    sourceIdentity: record.facts.sourceIdentity,
    destination: formatHostPort(record.facts.destination.address, record.facts.destination.port),
    authority: record.facts.hboneAuthority,
    service: record.facts.service,
    destinationWorkload: record.facts.destinationWorkload?.uid,
    ageMs: Math.round(context.clock.now() - record.startedAt),
    receivedBytes: record.receivedBytes,
    sentBytes: record.sentBytes,
  }));
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
