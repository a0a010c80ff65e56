/** 15020 metrics and status for everybody, 15021 readiness, 15000 admin on loopback only. */
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { LogLevels } from '#base/log.ts';
import { wildcardAddress } from '#net/wildcard.ts';
import { answerConnections, type ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import { type JsonMembers, jsonAnswer } from '#telemetry/admin/json-stream.ts';
import { answerLogging } from '#telemetry/admin/logging.ts';
import { answerMetrics } from '#telemetry/admin/metrics-answer.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { WorkerReport } from '../worker/messages.ts';

/** Says whose ports these are: src/node/started.ts. */
export const STARTED_PATH = '/healthz/started';

export interface StatusSource {
  /** Of the pod that this process runs in. */
  podName: string;
  registry: MetricRegistry;
  levels: LogLevels;
  /** Undefined when ready, else what is missing. */
  notReady(): string | undefined;
  /** What the data workers count, with up to `limit` connections each; empty without any. */
  reports(filter: ConnectionFilter, limit: number): Promise<readonly WorkerReport[]>;
  status(reports: readonly WorkerReport[]): object;
  connections(
    filter: ConnectionFilter,
    limit: number,
    reports: readonly WorkerReport[],
  ): JsonMembers;
  config(reports: readonly WorkerReport[]): JsonMembers;
  certificates(): JsonMembers;
  limits(reports: readonly WorkerReport[]): JsonMembers;
}

export interface StatusPorts {
  admin: number;
  metrics: number;
  readiness: number;
}

export interface StatusServers {
  readonly ports: StatusPorts;
  stop: Disposer;
}

type Route = (source: StatusSource, request: Request) => Response | Promise<Response>;

/** Counts only: what a scrape needs. */
const counts = (source: StatusSource) => source.reports({}, 0);

const METRICS: Route = async (source, request) => {
  const samples = (await counts(source)).flatMap((report) => report.samples);
  return answerMetrics(source.registry, request, samples);
};
const READY: Route = (source) => {
  const missing = source.notReady();
  return missing === undefined
    ? new Response('ready\n')
    : new Response(`not ready: ${missing}\n`, { status: 503 });
};
const STARTED: Route = ({ podName }) => new Response(`${podName}\n`);
const PUBLIC: Record<string, Route> = {
  '/metrics': METRICS,
  '/stats/prometheus': METRICS,
  '/status': async (source) => Response.json(source.status(await counts(source))),
};
const ADMIN: Record<string, Route> = {
  '/': () => new Response(INDEX),
  ...PUBLIC,
  '/config_dump': async (source) => jsonAnswer(source.config(await counts(source))),
  '/connections': (source, request) =>
    answerConnections(request, async (filter, limit) =>
      jsonAnswer(source.connections(filter, limit, await source.reports(filter, limit))),
    ),
  '/certs': (source) => jsonAnswer(source.certificates()),
  '/logging': (source, request) => answerLogging(request, source.levels),
  '/healthz': () => new Response('ok\n'),
  '/healthz/ready': READY,
  '/debug/limits': async (source) => jsonAnswer(source.limits(await counts(source))),
};

const INDEX = `/config_dump    workloads, services, policies, certificates, pods of this node
/connections    what is open now; ?direction=inbound|outbound &namespace= &pod= &limit=
/certs          certificates by identity: state, serial, validity, roots, last error
/logging        POST ?level=info or ?level=info,access=debug or ?reset; GET shows it
/debug/limits   what each pod uses of its limits, and how often it was refused
/status         everything in short, as JSON
/metrics        Prometheus text
/healthz        the process answers
/healthz/ready  it serves everything it should
`;

export function startStatusServers(source: StatusSource, ports: StatusPorts): StatusServers {
  const servers: ReturnType<typeof serve>[] = [];
  const stop = () => {
    for (const server of servers) void server.stop(true);
  };
  try {
    servers.push(serve('127.0.0.1', ports.admin, ADMIN, source));
    servers.push(serve(wildcardAddress(), ports.metrics, PUBLIC, source));
    servers.push(
      serve(
        wildcardAddress(),
        ports.readiness,
        { '/healthz/ready': READY, [STARTED_PATH]: STARTED },
        source,
      ),
    );
  } catch (error) {
    stop();
    throw error;
  }
  const [admin, metrics, readiness] = servers.map((server) => server.port ?? 0);
  return { ports: { admin, metrics, readiness }, stop };
}

function serve(
  hostname: string,
  port: number,
  routes: Record<string, Route>,
  source: StatusSource,
) {
  try {
    return Bun.serve({
      hostname,
      port,
      fetch(request) {
        const route = routes[new URL(request.url).pathname];
        return route === undefined
          ? new Response('not found\n', { status: 404 })
          : route(source, request);
      },
    });
  } catch (cause) {
    throw new MeshError('NODE_OPTIONS', `cannot serve ${hostname}:${port}: ${messageOf(cause)}`, {
      side: 'self',
      hint: 'another process has the port: ss -ltnp; or choose others with --admin-port, --metrics-port, --readiness-port',
      cause,
    });
  }
}
