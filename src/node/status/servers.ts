/** 15020 metrics and status for everybody, 15021 readiness, 15000 admin on loopback only. */
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { EXPOSITION_CONTENT_TYPE, type MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { WorkerReport } from '../worker/messages.ts';

export interface StatusSource {
  registry: MetricRegistry;
  /** Undefined when ready, else what is missing. */
  notReady(): string | undefined;
  /** What the data workers count; empty without any. */
  reports(): Promise<readonly WorkerReport[]>;
  status(reports: readonly WorkerReport[]): object;
  /** Those of this thread. */
  connections(): readonly object[];
  config(): object;
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

type Route = (source: StatusSource) => Response | Promise<Response>;

const METRICS: Route = async (source) => {
  const samples = (await source.reports()).flatMap((report) => report.samples);
  const headers = { 'content-type': EXPOSITION_CONTENT_TYPE };
  return new Response(source.registry.expose(samples), { headers });
};
const READY: Route = (source) => {
  const missing = source.notReady();
  return missing === undefined
    ? new Response('ready\n')
    : new Response(`not ready: ${missing}\n`, { status: 503 });
};
const PUBLIC: Record<string, Route> = {
  '/metrics': METRICS,
  '/stats/prometheus': METRICS,
  '/status': async (source) => Response.json(source.status(await source.reports())),
};
const ADMIN: Record<string, Route> = {
  ...PUBLIC,
  '/config_dump': (source) => Response.json(source.config()),
  '/connections': async (source) => {
    const others = (await source.reports()).flatMap((report) => report.connections);
    return Response.json([...source.connections(), ...others]);
  },
};

export function startStatusServers(source: StatusSource, ports: StatusPorts): StatusServers {
  const servers: ReturnType<typeof serve>[] = [];
  const stop = () => {
    for (const server of servers) void server.stop(true);
  };
  try {
    servers.push(serve('127.0.0.1', ports.admin, ADMIN, source));
    servers.push(serve('0.0.0.0', ports.metrics, PUBLIC, source));
    servers.push(serve('0.0.0.0', ports.readiness, { '/healthz/ready': READY }, source));
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
        return route === undefined ? new Response('not found\n', { status: 404 }) : route(source);
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
