/**
 * HTTP on the console's port and unix socket: the overview page, and the JSON of api.ts. It binds where it is told and
 * asks for nothing; in the lab the port is inside the pod network and the host reaches it through the socket.
 */
import { chmodSync, rmSync } from 'node:fs';
import { MeshError, messageOf } from '#base/errors.ts';
import { CONTROL_ERRORS } from '../errors.ts';
import { SAMPLES_MAX, WINDOW_SECONDS_DEFAULT } from '../limits.ts';
import type { GraphAnswer, StatusAnswer } from './api.ts';
import { OVERVIEW_PAGE } from './page.ts';

export interface Answers {
  graph(query: { namespace: string | undefined; windowSeconds: number }): GraphAnswer;
  status(): StatusAnswer;
}

export interface HttpEnd {
  readonly port: number | undefined;
  stop(): Promise<void>;
}

type Handler = (request: Request) => Response;
export type ListenAddress = { hostname: string; port: number } | { unix: string };

export function consoleHandler(answers: Answers): Handler {
  return (request) => {
    const url = new URL(request.url);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return failure(405, `${request.method} is not allowed here`);
    switch (url.pathname) {
      case '/':
        return new Response(OVERVIEW_PAGE, {
          headers: {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy':
              "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
          },
        });
      case '/api/graph':
        return graph(answers, url.searchParams);
      case '/api/status':
        return json(answers.status());
      default:
        return failure(404, `nothing at ${url.pathname}: try /, /api/graph or /api/status`);
    }
  };
}

function graph(answers: Answers, query: URLSearchParams): Response {
  const text = query.get('window') ?? String(WINDOW_SECONDS_DEFAULT);
  const windowSeconds = Number(text.replace(/s$/, ''));
  if (!Number.isInteger(windowSeconds) || windowSeconds < 1 || windowSeconds > SAMPLES_MAX)
    return failure(400, `window=${text} is not a number of seconds from 1 to ${SAMPLES_MAX}`);
  const namespace = query.get('namespace') || undefined;
  return json(answers.graph({ namespace, windowSeconds }));
}

function json(value: unknown): Response {
  return Response.json(value, { headers: { 'cache-control': 'no-store' } });
}

function failure(status: number, message: string): Response {
  return Response.json({ error: message }, { status });
}

/** Throws CONTROL_LISTEN_FAILED when the port or path is taken. */
export function serveHttp(address: ListenAddress, handler: Handler): HttpEnd {
  const where = 'unix' in address ? address.unix : `${address.hostname}:${address.port}`;
  try {
    // A socket file that a killed process left behind would keep us from binding.
    if ('unix' in address) rmSync(address.unix, { force: true });
    const server = Bun.serve({ ...address, fetch: handler });
    if ('unix' in address) chmodSync(address.unix, 0o600);
    return { port: server.port, stop: () => server.stop(true) };
  } catch (error) {
    throw new MeshError('CONTROL_LISTEN_FAILED', `cannot listen on ${where}: ${messageOf(error)}`, {
      side: 'self',
      hint: CONTROL_ERRORS.CONTROL_LISTEN_FAILED,
      cause: error,
    });
  }
}
