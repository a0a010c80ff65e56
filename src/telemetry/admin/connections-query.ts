/** What `/connections` of an admin port is asked for: which connections, and how many of them. */
import { CONNECTIONS_SHOWN, CONNECTIONS_SHOWN_MAX } from '../limits.ts';

export interface ConnectionFilter {
  readonly direction?: string;
  readonly namespace?: string;
  /** Name of the workload, or `namespace/name`. */
  readonly pod?: string;
}

/** `answer`'s word for what was asked; a limit that is none is refused. */
export function answerConnections(
  request: Request,
  answer: (filter: ConnectionFilter, limit: number) => Response | Promise<Response>,
): Response | Promise<Response> {
  const query = new URL(request.url).searchParams;
  const limit = Number(query.get('limit') ?? CONNECTIONS_SHOWN);
  if (!Number.isInteger(limit) || limit < 0 || limit > CONNECTIONS_SHOWN_MAX) {
    const want = `limit: want a number up to ${CONNECTIONS_SHOWN_MAX}\n`;
    return new Response(want, { status: 400 });
  }
  const filter = {
    direction: query.get('direction') ?? undefined,
    namespace: query.get('namespace') ?? undefined,
    pod: query.get('pod') ?? undefined,
  };
  return answer(filter, limit);
}
