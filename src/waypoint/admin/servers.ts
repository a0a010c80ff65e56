/** The waypoint's own HTTP: 15020 /metrics and /status, 15021 /healthz/ready, 15000 admin on loopback only. */
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { LogLevels } from '#base/log.ts';
import { wildcardAddress } from '#net/wildcard.ts';
import { answerConnections, type ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import { type JsonMembers, jsonAnswer } from '#telemetry/admin/json-stream.ts';
import { answerLogging } from '#telemetry/admin/logging.ts';
import { answerMetrics } from '#telemetry/admin/metrics-answer.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';

export interface AdminSource {
  registry: MetricRegistry;
  status(): object;
  /** Undefined when ready, else what is missing. */
  notReady(): string | undefined;
  /** What only the admin port tells; undefined where there is none. */
  readonly admin?: AdminAnswers;
}

export interface AdminAnswers {
  readonly levels: LogLevels;
  config(): JsonMembers;
  connections(filter: ConnectionFilter, limit: number): JsonMembers;
  certificates(): JsonMembers;
}

const INDEX = `/config_dump    configuration in force: services or gateways, destinations, TLS material by name
/connections    what is open now; ?namespace= &pod= &limit=
/certs          the certificate of this proxy: state, serial, validity, roots, last error
/logging        POST ?level=info or ?level=info,waypoint.xds=debug or ?reset; GET shows it
/status         everything in short, as JSON
/metrics        Prometheus text
/healthz/ready  it serves everything it should
`;

export function startAdmin(
  source: AdminSource,
  ports: { metrics: number; readiness: number | undefined; admin?: number },
): Disposer {
  const answers: Record<string, Answer> = {
    '/metrics': (request) => answerMetrics(source.registry, request),
    '/status': () => Response.json(source.status()),
    '/healthz/ready': () => {
      const missing = source.notReady();
      return missing === undefined
        ? new Response('ready\n')
        : new Response(`not ready: ${missing}\n`, { status: 503 });
    },
  };
  answers['/stats/prometheus'] = answers['/metrics'];
  const wanted = [ports.metrics, ports.readiness].filter((port) => port !== undefined);
  const servers = wanted.map((port) => serve(wildcardAddress(), port, answers));
  const { admin } = source;
  if (ports.admin !== undefined && admin !== undefined) {
    servers.push(serve('127.0.0.1', ports.admin, { ...answers, ...adminAnswers(admin) }));
  }
  return () => {
    for (const server of servers) void server.stop(true);
  };
}

function adminAnswers(admin: AdminAnswers): Record<string, Answer> {
  return {
    '/': () => new Response(INDEX),
    '/healthz': () => new Response('ok\n'),
    '/config_dump': () => jsonAnswer(admin.config()),
    '/certs': () => jsonAnswer(admin.certificates()),
    '/logging': (request) => answerLogging(request, admin.levels),
    '/connections': (request) =>
      answerConnections(request, (filter, limit) => jsonAnswer(admin.connections(filter, limit))),
  };
}

type Answer = (request: Request) => Response | Promise<Response>;

function serve(hostname: string, port: number, answers: Record<string, Answer>) {
  try {
    return Bun.serve({
      hostname,
      port,
      fetch: (request) =>
        answers[new URL(request.url).pathname]?.(request) ??
        new Response('not found\n', { status: 404 }),
    });
  } catch (cause) {
    throw new MeshError(
      'WAYPOINT_LISTEN_FAILED',
      `cannot serve port ${port}: ${messageOf(cause)}`,
      {
        side: 'self',
        hint: WAYPOINT_ERRORS.WAYPOINT_LISTEN_FAILED,
        cause,
      },
    );
  }
}
