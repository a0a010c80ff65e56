/** The console's thread: an engine, what the control loop tells it, and a second hand. Started by console-thread.ts. */
import { systemClock, type Timer } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { LogFields, Logger, LogLevel } from '#base/log.ts';
import { PrometheusClient, type PrometheusOptions } from '../prometheus/client.ts';
import { PrometheusHistory } from '../prometheus/history.ts';
import { ConsoleEngine } from './console-engine.ts';
import type { Answers, FromEngine, Question, ToEngine } from './messages.ts';
import { readSink } from './sink-wire.ts';

declare const self: Worker;

const TICK_MS = 1000;

function send(message: FromEngine): void {
  if (
    message.kind === 'followed' ||
    (message.kind === 'answer' && message.value instanceof Uint8Array)
  ) {
    const bytes = message.kind === 'followed' ? message.json : (message.value as Uint8Array);
    self.postMessage(message, [bytes.buffer as ArrayBuffer]);
  } else self.postMessage(message);
}

const log = relayed('');

function relayed(scope: string): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) =>
      send({
        kind: 'log',
        level,
        message: scope === '' ? message : `${scope}: ${message}`,
        fields,
      });
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (name) => relayed(name),
  };
}

function answersOf(engine: ConsoleEngine, past: PrometheusHistory | undefined): Answers {
  return {
    graphJson: (request, packing) =>
      past !== undefined && request.atMs !== undefined
        ? past.graph(request, packing)
        : // What is handed over is gone here: others may still be given the same answer.
          engine.graphJson(request, packing).slice(),
    timeline: (request) => engine.timeline(request),
    series: (request) => past?.series(request) ?? engine.series(request),
    changes: (request) => engine.store.history.list(request),
    change: (version, visible) => engine.store.history.get(version, visible),
    traffic: (windowSeconds) => engine.traffic(windowSeconds),
    mtlsCells: (request) => engine.mtlsCells(request),
    policyHits: (sinceMs) => engine.requests.policyHits(sinceMs),
    requests: (request) => engine.requests.find(request),
    traces: (request) => engine.traces.find(request),
    trace: (traceId, visible) => engine.traces.get(traceId, visible),
    storeState: () => engine.storeState(),
  };
}

function run(engine: ConsoleEngine, past: PrometheusHistory | undefined): void {
  const answers = answersOf(engine, past);
  // One answer a turn: who asks meanwhile is not kept waiting for all of them.
  let preparing: Timer | undefined;
  const prepare = () => {
    try {
      preparing = engine.prepare() ? systemClock.after(0, prepare) : undefined;
    } catch (error) {
      preparing = undefined;
      log.error('a graph could not be made ahead', { error: messageOf(error) });
    }
  };
  let newestMs = 0;
  const second = systemClock.every(TICK_MS, () => {
    engine.tick();
    engine.beginPreparing();
    send({ kind: 'booked', beforeMs: engine.store.recorder.heldSinceMs ?? newestMs });
    preparing ??= systemClock.after(0, prepare);
  });
  const handlers: {
    [Kind in ToEngine['kind']]: (message: Extract<ToEngine, { kind: Kind }>) => void;
  } = {
    start: () => undefined,
    sink: ({ bytes, sentMs }) => {
      newestMs = sentMs;
      readSink(bytes, {
        opened: (proxy) => void engine.store.recorder.opened(proxy),
        edge: (proxy, edge) => engine.edge(proxy, edge),
        frame: (proxy, frame, at) => engine.frame(proxy, frame, at),
      });
    },
    spans: ({ spans }) => engine.traces.add(spans, systemClock.wallTime()),
    records: ({ records }) => engine.requests.add(records),
    dropped: (dropped) => engine.dropped(dropped),
    mesh: ({ update }) => engine.updateMesh(update),
    changes: ({ changes }) => engine.store.history.add(changes),
    ask: ({ id, question }) => answer(answers, id, question),
    follow: ({ id, request }) =>
      engine.follow(id, request, (event, json) =>
        send({ kind: 'followed', id, event, json: json.slice() }),
      ),
    join: ({ id, listener }) => {
      const json = engine.followedGraph(id);
      if (json !== undefined)
        send({ kind: 'followed', id, event: 'graph', json: json.slice(), listener });
    },
    unfollow: ({ id }) => engine.unfollow(id),
    close: () => {
      second.cancel();
      preparing?.cancel();
      engine.close();
      send({ kind: 'closed' });
    },
  };
  self.onmessage = ({ data }: MessageEvent<ToEngine>) =>
    (handlers[data.kind] as (message: ToEngine) => void)(data);
  send({ kind: 'ready', lastSeconds: engine.store.recorder.lastSeconds() });
}

function answer(answers: Answers, id: number, { name, args }: Question): void {
  // One question must not end the thread that books what proxies say.
  const failed = (error: unknown) => {
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    send({ kind: 'failed', id, message: messageOf(error), stack });
  };
  try {
    const value = (answers[name] as (...args: unknown[]) => unknown)(...args);
    if (!(value instanceof Promise)) send({ kind: 'answer', id, value });
    else void value.then((later: unknown) => send({ kind: 'answer', id, value: later }), failed);
  } catch (error) {
    failed(error);
  }
}

self.onmessage = ({ data }: MessageEvent<ToEngine>) => {
  if (data.kind !== 'start') return;
  const { directory, limits, prometheus, clusterId } = data;
  const engine = new ConsoleEngine({ clock: systemClock, log, directory }, limits);
  run(engine, prometheus && historyOf(engine, prometheus, clusterId));
};

function historyOf(
  engine: ConsoleEngine,
  prometheus: PrometheusOptions,
  clusterId: string,
): PrometheusHistory {
  const client = new PrometheusClient({ clock: systemClock, fetch }, prometheus);
  const { match } = prometheus;
  return new PrometheusHistory({ log: log.child('prometheus'), engine, client, match, clusterId });
}
