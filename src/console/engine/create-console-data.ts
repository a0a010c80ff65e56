/** ConsoleData over the console's thread: questions go there, followed graphs and taps are handed out here. */
import { assert } from '#base/assert.ts';
import { rfc3339At } from '#base/clock.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { GraphAnswer } from '../api/graph.ts';
import type { StoreState } from '../api/mesh.ts';
import type {
  ConsoleData,
  ConsoleDataDeps,
  GraphListener,
  GraphRequest,
  Packing,
} from '../console-data.ts';
import { MeshPicture } from '../graph/mesh-picture.ts';
import type { StoreLimits } from '../store/telemetry-store.ts';
import { isWantedRecord, requestRow } from '../traces/request-match.ts';
import { ConsoleThread, type ThreadDeath } from './console-thread.ts';
import { MeshMirror } from './mesh-mirror.ts';
import type { FromEngine, ToEngine } from './messages.ts';
import { ThreadSink } from './thread-sink.ts';

interface Followed {
  readonly id: number;
  readonly request: GraphRequest;
  readonly listeners: Map<number, GraphListener>;
  /** Joined, and not yet told the whole. */
  readonly waiting: Map<number, GraphListener>;
}

export function createConsoleData(deps: ConsoleDataDeps, limits: StoreLimits = {}): ConsoleData {
  const { clock, log, mesh, directory, prometheus } = deps;
  const followed = new Followers((message) => void thread.tell(message));
  // What taps need of the mesh: which node a peer is.
  const picture = new MeshPicture();
  const thread: ConsoleThread = new ConsoleThread(
    { clock, log: log.child('console'), directory, prometheus, clusterId: mesh.clusterId },
    limits,
    {
      started: ({ isSuspect }) => {
        sink?.retell({ withRetained: !isSuspect });
        mirror?.restart();
        followed.retell();
      },
      ready: (lastSeconds) => sink?.know(lastSeconds),
      followed: (message) => followed.take(message),
      booked: (beforeMs) => sink?.booked(beforeMs),
    },
  );
  let sink: ThreadSink | undefined;
  let mirror: MeshMirror | undefined;
  thread.start();
  sink = new ThreadSink(clock, thread);
  mirror = new MeshMirror(
    { clock, mesh },
    {
      update: (update) => {
        picture.apply(update);
        thread.tell({ kind: 'mesh', update });
      },
      changes: (changes) => thread.tell({ kind: 'changes', changes }),
    },
  );
  mirror.restart();
  const own = { sink, mirror };
  const graphJson = async (request: GraphRequest, packing: Packing = 'identity') =>
    thread.ask('graphJson', request, packing);
  return {
    sink,
    graphJson,
    graph: async (request) => {
      const text = await graphJson({ ...request, form: 'objects' });
      return JSON.parse(new TextDecoder().decode(text)) as GraphAnswer;
    },
    subscribeGraph: (request, listener) => followed.add(request, listener),
    timeline: async (request) => thread.ask('timeline', request),
    series: async (request) => thread.ask('series', request),
    changes: async (request) => thread.ask('changes', request),
    change: async (version, visible) => thread.ask('change', version, visible),
    traffic: async (windowSeconds) => new Map(await thread.ask('traffic', windowSeconds)),
    mtlsCells: async (request) => thread.ask('mtlsCells', request),
    policyHits: async (windowSeconds) =>
      thread.ask('policyHits', clock.wallTime() - windowSeconds * 1000),
    requests: async (request) => thread.ask('requests', request),
    tap: (request, listener) =>
      own.sink.tap((record: RequestRecord) => {
        if (isWantedRecord(record, request, picture))
          listener(requestRow(record, request.visible, picture));
      }),
    traces: async (request) => thread.ask('traces', request),
    trace: async (traceId, visible) => thread.ask('trace', traceId, visible),
    storeState: async () => toldOf(await thread.ask('storeState'), thread.lastDeath),
    thread: () => ({ deaths: thread.deaths, lostSeconds: own.sink.lostFrames }),
    close: async () => {
      own.mirror.stop();
      own.sink.stop();
      await thread.close();
    },
  };
}

/** A thread that died is said for as long as somebody may wonder about the gap. */
function toldOf(state: StoreState, death: ThreadDeath | undefined): StoreState {
  if (death === undefined) return state;
  const told = `The console's thread ended at ${rfc3339At(death.atMs)} (${death.reason.split('\n')[0]}) and was started again.`;
  return { ...state, problem: state.problem === undefined ? told : `${state.problem} ${told}` };
}

/** Those who follow graphs: one computation for all who asked for the same. */
class Followers {
  readonly #tell: (message: ToEngine) => void;
  readonly #byKey = new Map<string, Followed>();
  readonly #byId = new Map<number, Followed>();
  #next = 1;

  constructor(tell: (message: ToEngine) => void) {
    this.#tell = tell;
  }

  add(request: GraphRequest, listener: GraphListener): () => void {
    assert(request.atMs === undefined, 'only what is live can be followed');
    const key = JSON.stringify(request);
    const number = this.#next++;
    let followed = this.#byKey.get(key);
    if (followed === undefined) {
      followed = { id: this.#next++, request, listeners: new Map(), waiting: new Map() };
      followed.listeners.set(number, listener);
      this.#byKey.set(key, followed);
      this.#byId.set(followed.id, followed);
      this.#tell({ kind: 'follow', id: followed.id, request });
    } else {
      followed.waiting.set(number, listener);
      this.#tell({ kind: 'join', id: followed.id, listener: number });
    }
    const joined = followed;
    return () => this.#remove(key, joined, number);
  }

  take({ id, event, json, listener }: Extract<FromEngine, { kind: 'followed' }>): void {
    const followed = this.#byId.get(id);
    if (followed === undefined) return;
    if (listener !== undefined) {
      const joined = followed.waiting.get(listener);
      if (joined === undefined) return;
      followed.waiting.delete(listener);
      followed.listeners.set(listener, joined);
      joined.graph(json);
      return;
    }
    for (const each of followed.listeners.values()) each[event](json);
  }

  /** Another thread follows nothing yet. */
  retell(): void {
    for (const { id, request, listeners, waiting } of this.#byId.values()) {
      for (const [number, listener] of waiting) listeners.set(number, listener);
      waiting.clear();
      this.#tell({ kind: 'follow', id, request });
    }
  }

  #remove(key: string, followed: Followed, number: number): void {
    followed.listeners.delete(number);
    followed.waiting.delete(number);
    if (followed.listeners.size + followed.waiting.size > 0 || !this.#byId.has(followed.id)) return;
    this.#byKey.delete(key);
    this.#byId.delete(followed.id);
    this.#tell({ kind: 'unfollow', id: followed.id });
  }
}
