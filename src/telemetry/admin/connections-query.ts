/** What `/connections` of an admin port is asked for: which connections, and how many of them. */
import { CONNECTIONS_SHOWN, CONNECTIONS_SHOWN_MAX } from '../limits.ts';

export interface ConnectionFilter {
  readonly direction?: string;
  readonly namespace?: string;
  /** Name of the workload, or `namespace/name`. */
  readonly pod?: string;
}

const MEMBERS = ['direction', 'namespace', 'pod', 'limit'];
const DIRECTIONS = ['inbound', 'outbound'];

/** `answer`'s word for what was asked. What cannot be understood is refused: an empty answer would look like no connections. */
export function answerConnections(
  request: Request,
  answer: (filter: ConnectionFilter, limit: number) => Response | Promise<Response>,
): Response | Promise<Response> {
  const query = new URL(request.url).searchParams;
  const unknown = [...query.keys()].find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) return refusal(`${unknown}: want one of ${MEMBERS.join(', ')}`);
  const direction = query.get('direction') ?? undefined;
  if (direction !== undefined && !DIRECTIONS.includes(direction))
    return refusal(`direction: want one of ${DIRECTIONS.join(', ')}`);
  const limit = Number(query.get('limit') ?? CONNECTIONS_SHOWN);
  if (!Number.isInteger(limit) || limit < 0 || limit > CONNECTIONS_SHOWN_MAX) {
    return refusal(`limit: want a number up to ${CONNECTIONS_SHOWN_MAX}`);
  }
  const filter = {
    direction,
    namespace: query.get('namespace') ?? undefined,
    pod: query.get('pod') ?? undefined,
  };
  return answer(filter, limit);
}

function refusal(want: string): Response {
  return new Response(`${want}\n`, { status: 400 });
}
