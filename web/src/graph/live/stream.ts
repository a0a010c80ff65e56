/**
 * A graph's live stream, in the worker: reads it, takes the whole graph apart so that the page is never held up by it, and comes back after it was lost, later each
 * time. What changes is told only after the page has all of it.
 */
import type { DeltaTable, GraphDelta, GraphTable } from '#console/api/graph.ts';
import type { LayoutAnswer } from '../layout/types.ts';
import { packedScene } from '../scene/packed-scene.ts';
import { EdgeReader, edgeCount, edgesOf } from './edge-table.ts';
import { EventReader } from './event-reader.ts';
import { farViewOf, isFarFirst } from './far-view.ts';
import type { GraphHead, GraphPart, StreamState } from './messages.ts';

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
/** Taking over so many holds the page up for a few milliseconds. */
const NODES_IN_PART = 250;
const EDGES_IN_PART = 500;

export interface StreamListener {
  onState(state: StreamState): void;
  onHead(head: GraphHead): void;
  onPart(part: GraphPart): void;
  onDelta(delta: GraphDelta): void;
}

export class GraphStream {
  readonly #address: string;
  readonly #on: StreamListener;
  readonly #abort = new AbortController();
  #retryMs = FIRST_RETRY_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFirst = true;
  /** What the page has not asked for yet. */
  #parts: Iterator<GraphPart> | undefined;
  #deltas: GraphDelta[] = [];

  constructor(address: string, on: StreamListener) {
    this.#address = address;
    this.#on = on;
    this.#open();
  }

  /** The next part. */
  more(): void {
    const part = this.#parts?.next().value;
    if (part === undefined) return;
    this.#on.onPart(part);
    if (!part.isLast) return;
    this.#parts = undefined;
    for (const delta of this.#deltas) this.#on.onDelta(delta);
    this.#deltas = [];
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  #open(): void {
    this.#on.onState('connecting');
    this.#read().catch((error: unknown) => {
      if (this.#abort.signal.aborted) return;
      console.debug('the stream of the graph is lost:', error);
      this.#on.onState('lost');
      this.#timer = setTimeout(() => this.#open(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    });
  }

  /** Ends only by throwing: a stream has no end. */
  async #read(): Promise<never> {
    const { signal } = this.#abort;
    const headers = { accept: 'text/event-stream' };
    const response = await fetch(this.#address, { signal, headers, cache: 'no-store' });
    const type = response.headers.get('content-type') ?? '';
    if (!response.ok || response.body === null || !type.startsWith('text/event-stream'))
      throw new Error(`${response.status} ${type}`);
    this.#retryMs = FIRST_RETRY_MS;
    this.#on.onState('open');
    const bytes = response.body.getReader();
    const events = new EventReader();
    for (;;) {
      const { value, done } = await bytes.read();
      if (done) throw new Error('it ended');
      for (const { name, data } of events.push(value)) {
        if (name === 'graph') this.#begin(JSON.parse(data) as GraphTable);
        else if (name === 'delta') this.#change(JSON.parse(data) as DeltaTable);
      }
    }
  }

  #begin(graph: GraphTable): void {
    const { nodes, edges } = graph;
    // Later ones come to a page that shows the graph already, each node at its place.
    const far = this.#isFirst && isFarFirst(nodes) ? farViewOf(nodes, edges) : undefined;
    this.#isFirst = false;
    this.#deltas = [];
    this.#parts = partsOf(graph, far?.layout);
    this.#on.onHead({
      graph: { ...graph, nodes: [], edges: [] },
      nodeCount: nodes.length,
      edgeCount: edgeCount(edges),
      scene: far === undefined ? undefined : packedScene(far.scene),
    });
  }

  #change(table: DeltaTable): void {
    const delta = { ...table, edges: edgesOf(table.edges) };
    if (this.#parts === undefined) this.#on.onDelta(delta);
    else this.#deltas.push(delta);
  }
}

/** At least one. */
function* partsOf(
  { nodes, edges }: Pick<GraphTable, 'nodes' | 'edges'>,
  layout: LayoutAnswer | undefined,
): Generator<GraphPart, undefined> {
  for (let at = 0; at < nodes.length; at += NODES_IN_PART)
    yield {
      nodes: nodes.slice(at, at + NODES_IN_PART),
      edges: [],
      layout: at === 0 ? layout : undefined,
      isLast: false,
    };
  const reader = new EdgeReader(edges);
  for (let at = 0; at < edgeCount(edges); at += EDGES_IN_PART)
    yield { nodes: [], edges: reader.next(EDGES_IN_PART), isLast: false };
  yield { nodes: [], edges: [], isLast: true };
}
