/** The waypoint's own HTTP: 15020 /metrics and /status, 15021 /healthz/ready. */
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { EXPOSITION_CONTENT_TYPE, type MetricRegistry } from '#telemetry/metrics/registry.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';

export interface AdminSource {
  registry: MetricRegistry;
  status(): object;
  /** Undefined when ready, else what is missing. */
  notReady(): string | undefined;
}

export function startAdmin(
  source: AdminSource,
  ports: { metrics: number; readiness: number | undefined },
): Disposer {
  const answers: Record<string, () => Response> = {
    '/metrics': () =>
      new Response(source.registry.expose(), {
        headers: { 'content-type': EXPOSITION_CONTENT_TYPE },
      }),
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
  const servers = wanted.map((port) => serve(port, answers));
  return () => {
    for (const server of servers) void server.stop(true);
  };
}

function serve(port: number, answers: Record<string, () => Response>) {
  try {
    return Bun.serve({
      hostname: '0.0.0.0',
      port,
      fetch: (request) =>
        answers[new URL(request.url).pathname]?.() ?? new Response('not found\n', { status: 404 }),
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
