/** Requests one by one: live (tap), the recent ones, and traces. */
import type { TapFilter } from '#telemetry/requests/request-record.ts';
import type { RequestsRequest } from '../../console-data.ts';
import type { ConsoleDeps } from '../console-deps.ts';
import type { EventStream, EventStreams } from '../events.ts';
import { TAP_PER_SECOND_DEFAULT, TAP_PER_SECOND_MAX } from '../limits.ts';
import { badParameter, notFound } from '../problem.ts';
import type { Call, Route } from '../router.ts';
import { FILTER_QUERY, requestsFilter, visibleTo } from './asked.ts';

const TRACE_ID = /^[0-9a-f]{32}$/i;

export function trafficRoutes(deps: ConsoleDeps, streams: EventStreams): Route[] {
  const { data } = deps;
  return [
    {
      method: 'GET',
      path: '/api/v1/tap',
      access: 'reader',
      query: [...FILTER_QUERY, 'perSecond'],
      handle: (call) => tap(deps, streams, call),
    },
    {
      method: 'GET',
      path: '/api/v1/requests',
      access: 'reader',
      query: [...FILTER_QUERY, 'from', 'to', 'at', 'limit'],
      handle: async (call) => ({
        requests: await data.requests(requestsFilter(call.query, call.reader, times(call))),
      }),
    },
    {
      method: 'GET',
      path: '/api/v1/traces',
      access: 'reader',
      query: [...FILTER_QUERY, 'from', 'to', 'at', 'limit', 'sort'],
      handle: (call) =>
        data.traces({
          ...requestsFilter(call.query, call.reader, times(call)),
          sort: call.query.oneOf('sort', ['newest', 'slowest']) ?? 'newest',
        }),
    },
    {
      method: 'GET',
      path: '/api/v1/traces/{traceId}',
      access: 'reader',
      async handle({ path, reader }) {
        if (!TRACE_ID.test(path.traceId))
          throw badParameter('traceId', 'is not 32 hexadecimal digits', 'as in GET /api/v1/traces');
        const trace = await data.trace(path.traceId.toLowerCase(), visibleTo(reader));
        if (trace === undefined)
          throw notFound(
            `trace ${path.traceId} is not kept, or never was`,
            'GET /api/v1/traces lists those that are',
          );
        return trace;
      },
    },
  ];
}

function times({ query }: Call) {
  const fromMs = query.timeMs('from');
  // The moment that a page looks at is the end of what it shows.
  const toMs = query.timeMs('to') ?? query.timeMs('at');
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs)
    throw badParameter('from', 'is not before to', 'give an earlier time');
  return { fromMs, toMs };
}

/** The proxies are asked for what the filter takes; what comes is shown as far as somebody can read it, the rest is counted. */
function tap(deps: ConsoleDeps, streams: EventStreams, call: Call): Response {
  const request = requestsFilter(call.query, call.reader);
  const perSecondMax =
    call.query.integer('perSecond', { from: 1, to: TAP_PER_SECOND_MAX }) ?? TAP_PER_SECOND_DEFAULT;
  return streams.open(call, (stream) => {
    const flow = new BoundedFlow(stream, perSecondMax);
    // Throws when too many ask at once.
    const stopAsking = deps.tap(tapFilter(request, perSecondMax), () => undefined);
    const timer = deps.clock.every(1000, () => flow.tick());
    const stopShowing = deps.data.tap(request, (row) => flow.show(row));
    return () => {
      timer.cancel();
      stopAsking();
      stopShowing();
    };
  });
}

class BoundedFlow {
  readonly #stream: EventStream;
  readonly #perSecondMax: number;
  #shown = 0;
  #dropped = 0;

  constructor(stream: EventStream, perSecondMax: number) {
    this.#stream = stream;
    this.#perSecondMax = perSecondMax;
  }

  show(row: object): void {
    if (this.#shown >= this.#perSecondMax) {
      this.#dropped += 1;
      return;
    }
    this.#shown += 1;
    this.#stream.send('request', row);
  }

  tick(): void {
    if (this.#dropped > 0) this.#stream.send('dropped', { count: this.#dropped });
    this.#shown = 0;
    this.#dropped = 0;
  }
}

/** What proxies can judge themselves: nodes and edges of the graph are the store's words. */
export function tapFilter(request: RequestsRequest, perSecondMax: number): TapFilter {
  const { visible, status } = request;
  const namespaces =
    visible === undefined
      ? request.namespaces
      : request.namespaces.length === 0
        ? visible
        : request.namespaces.filter((each) => visible.includes(each));
  return {
    namespaces,
    workloads: request.workloads,
    services: request.services,
    methods: request.methods,
    pathPrefix: request.pathPrefix,
    statusFrom: status?.from ?? 0,
    statusTo: status?.to ?? 599,
    onlyFailed: request.onlyFailed,
    perSecondMax,
  };
}
