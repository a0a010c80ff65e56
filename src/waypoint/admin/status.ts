/** What `:15020/status` answers: endpoints with health and learned protocol, ejections with reason and end, versions. */
import type { Clock } from '#base/clock.ts';
import { processCpuSeconds } from '#base/process-cpu.ts';
import { VERSION } from '#base/version.ts';
import type { SvidStatus } from '#identity/svid/svid-store.ts';
import type { XdsClientStatus } from '#xds/client/xds-client.ts';
import type { Engine, HttpEndpoint, HttpGroup } from '../engine.ts';
import type { Runtime } from '../runtime.ts';

export interface StatusSources {
  readonly clock: Clock;
  readonly engine: Engine;
  readonly name: string;
  readonly xds: () => XdsClientStatus | undefined;
  readonly certificates: () => readonly SvidStatus[];
  readonly draining: () => boolean;
  /** Of clients, open. */
  readonly connections: () => number;
}

const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

export function buildStatus(sources: StatusSources) {
  const { engine, clock } = sources;
  const groups = [...engine.upstreams.groups];
  const now = clock.wallTime();
  return {
    role: 'waypoint',
    version: VERSION,
    memoryBytes: process.memoryUsage.rss(),
    cpuSeconds: processCpuSeconds(),
    name: sources.name,
    draining: sources.draining(),
    connections: sources.connections(),
    activeRequests: engine.active,
    config: {
      version: engine.snapshot?.version ?? 0,
      services: [...(engine.snapshot?.services ?? [])].map((service) => service.key),
      problems: engine.snapshot?.problems ?? [],
      xds: sources.xds(),
    },
    upstreams: groups.map(groupStatus),
    ejections: groups.flatMap((group) =>
      group.states
        .filter((state) => state.health.state === 'ejected')
        .map((state) => ejectionStatus(group, state, now)),
    ),
    certificates: sources.certificates().map(({ notBefore, notAfter, ...rest }) => ({
      ...rest,
      notBefore: iso(notBefore),
      notAfter: iso(notAfter),
    })),
  };
}

function groupStatus(group: HttpGroup) {
  const { upstream, subset, port, policy } = group.config;
  return {
    key: group.key,
    upstream: upstream.hostname,
    subset,
    port,
    loadBalancer: policy.loadBalancer,
    activeRequests: group.active,
    activeRetries: group.retries.active,
    connections: group.share.connections,
    pending: group.share.pending,
    endpoints: group.states.map((state) => ({
      name: state.endpoint.name,
      uid: state.endpoint.uid,
      address: state.address,
      state: state.health.state,
      protocol: state.pool.protocol,
      transport: state.endpoint.protocol,
      activeRequests: state.active,
      requestsTotal: state.requestsTotal,
      connections: state.connections,
      ejectionsTotal: state.health.ejectionsTotal,
    })),
  };
}

function ejectionStatus(group: HttpGroup, state: HttpEndpoint, nowMs: number) {
  const { ejection } = state.health;
  return {
    upstream: group.config.upstream.hostname,
    subset: group.config.subset,
    port: group.config.port,
    endpoint: state.address,
    workload: state.endpoint.name,
    reason: ejection?.reason ?? '',
    at: iso(ejection?.atMs),
    until: iso(ejection?.untilMs),
    remainingMs: Math.max(0, (ejection?.untilMs ?? nowMs) - nowMs),
  };
}

/** What the admin servers ask, without what only a mesh knows. */
export function statusOf(
  runtime: Runtime,
  name: string,
  sources: Pick<Parameters<typeof buildStatus>[0], 'xds' | 'certificates'>,
) {
  const { clock, engine, registry } = runtime;
  return {
    registry,
    status: () =>
      buildStatus({
        clock,
        engine,
        name,
        ...sources,
        draining: () => runtime.isDraining,
        connections: () => [...runtime.server.open()].length,
      }),
    notReady: () => undefined as string | undefined,
  };
}
