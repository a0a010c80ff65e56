/** The page's end of the graph's worker: one for all graphs. Streams begin before the page that shows them is there; who comes finds what they told. */
import type { GraphAnswer, GraphDelta, GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { LayoutAnswer, LayoutRequest } from '../layout/types.ts';
import type { Scene } from '../scene/marks.ts';
import { unpackedScene } from '../scene/packed-scene.ts';
import type { FarView } from './far-view.ts';
import type { FromWorker, GraphHead, GraphPart, StreamState, ToWorker } from './messages.ts';

/** A large graph that can be seen from far away while its nodes and edges are on their way. */
export interface BegunGraph extends Pick<GraphHead, 'graph' | 'nodeCount' | 'edgeCount'> {
  /** By namespace. */
  readonly scene: Scene;
}

export interface GraphListener {
  onState(state: StreamState): void;
  onBegun(begun: BegunGraph): void;
  /** `far`: made of it beforehand; its scene is that of what was begun. */
  onGraph(graph: GraphAnswer, far: FarView | undefined): void;
  onDelta(delta: GraphDelta): void;
}

/** It is rendered, its effects follow, it is painted, and then it is on the screen. */
const FRAMES_TO_PAINT = 3;
/** A page that is not seen gets no frames to wait for; one on a busy machine gets them late. */
const FRAME_PATIENCE_MS = 1000;

let worker: Worker | undefined;
let count = 0;
const layouts = new Map<number, (answer: LayoutAnswer) => void>();
const streams = new Map<number, Followed>();
let early: Followed | undefined;

export function layOutAside(request: LayoutRequest): Promise<LayoutAnswer> {
  count += 1;
  const id = count;
  return new Promise((resolve) => {
    layouts.set(id, resolve);
    tell({ kind: 'layout', id, request }, [request.ends.buffer, request.weights.buffer]);
  });
}

/** Before there is a page: a worker takes a while to start, and the graph a while to come. Ends if it cannot be had and nobody follows it yet. */
export function openEarly(address: string): void {
  early = new Followed(address);
}

/** Returns what ends it. */
export function followGraph(address: string, listener: GraphListener): () => void {
  const begun = early;
  early = undefined;
  const isSame = begun?.address === address && !begun.isOver;
  if (!isSame) begun?.close();
  const followed = isSame ? begun : new Followed(address);
  followed.follow(listener);
  return () => followed.close();
}

class Followed {
  readonly address: string;
  readonly #id: number;
  #listener: GraphListener | undefined;
  #state: StreamState = 'connecting';
  #coming: ComingGraph | undefined;
  isOver = false;

  constructor(address: string) {
    this.address = address;
    count += 1;
    this.#id = count;
    streams.set(this.#id, this);
    tell({ kind: 'open', id: this.#id, address });
  }

  follow(listener: GraphListener): void {
    this.#listener = listener;
    listener.onState(this.#state);
    if (this.#coming !== undefined) this.#show(this.#coming);
  }

  close(): void {
    this.isOver = true;
    streams.delete(this.#id);
    tell({ kind: 'close', id: this.#id });
  }

  take(message: Exclude<FromWorker, { kind: 'layout' }>): void {
    switch (message.kind) {
      case 'state':
        this.#state = message.state;
        if (message.state === 'lost' && this.#listener === undefined) this.close();
        else this.#listener?.onState(message.state);
        break;
      case 'head':
        this.#coming = { head: message.head, nodes: [], edges: [] };
        this.#show(this.#coming);
        break;
      case 'part':
        this.#add(message.part);
        break;
      case 'delta':
        this.#listener?.onDelta(message.delta);
        break;
    }
  }

  /** The rest is asked for when what was begun is painted: taking thousands of edges over would hold the first picture up. */
  #show(coming: ComingGraph): void {
    if (this.#listener === undefined) return;
    const { scene, ...begun } = coming.head;
    if (scene === undefined) {
      this.#more();
      return;
    }
    coming.scene = unpackedScene(scene);
    this.#listener.onBegun({ ...begun, scene: coming.scene });
    afterPaint(() => this.#more());
  }

  #more(): void {
    if (!this.isOver) tell({ kind: 'more', id: this.#id });
  }

  #add({ nodes, edges, layout, isLast }: GraphPart): void {
    const coming = this.#coming;
    if (coming === undefined) return;
    for (const node of nodes) coming.nodes.push(node);
    for (const edge of edges) coming.edges.push(edge);
    coming.layout ??= layout;
    if (!isLast) {
      this.#more();
      return;
    }
    this.#coming = undefined;
    const { scene, layout: whole } = coming;
    const graph = { ...coming.head.graph, nodes: coming.nodes, edges: coming.edges };
    this.#listener?.onGraph(
      graph,
      scene === undefined || whole === undefined ? undefined : { scene, layout: whole },
    );
  }
}

interface ComingGraph {
  readonly head: GraphHead;
  readonly nodes: GraphNode[];
  readonly edges: GraphEdge[];
  scene?: Scene;
  layout?: LayoutAnswer;
}

function afterPaint(act: () => void): void {
  let isDone = false;
  const once = () => {
    if (isDone) return;
    isDone = true;
    act();
  };
  const wait = (frames: number) =>
    requestAnimationFrame(() => (frames === 0 ? once() : wait(frames - 1)));
  wait(FRAMES_TO_PAINT);
  setTimeout(once, FRAME_PATIENCE_MS);
}

function tell(message: ToWorker, given: Transferable[] = []): void {
  worker ??= start();
  worker.postMessage(message, given);
}

function start(): Worker {
  const started = new Worker(GRAPH_WORKER);
  started.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind !== 'layout') {
      streams.get(data.id)?.take(data);
      return;
    }
    layouts.get(data.id)?.(data.answer);
    layouts.delete(data.id);
  });
  return started;
}
