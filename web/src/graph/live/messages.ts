/** What the page and its worker tell each other. Plain values. */
import type { GraphAnswer, GraphDelta, GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { LayoutAnswer, LayoutRequest } from '../layout/types.ts';
import type { PackedScene } from '../scene/packed-scene.ts';

export type StreamState = 'connecting' | 'open' | 'lost';

/** `id` names a layout or a stream; the page counts both. */
export type ToWorker =
  | { readonly kind: 'layout'; readonly id: number; readonly request: LayoutRequest }
  | { readonly kind: 'open'; readonly id: number; readonly address: string }
  /** The next part of a graph. */
  | { readonly kind: 'more'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number };

export type FromWorker =
  | { readonly kind: 'layout'; readonly id: number; readonly answer: LayoutAnswer }
  | { readonly kind: 'state'; readonly id: number; readonly state: StreamState }
  | { readonly kind: 'head'; readonly id: number; readonly head: GraphHead }
  | { readonly kind: 'part'; readonly id: number; readonly part: GraphPart }
  | { readonly kind: 'delta'; readonly id: number; readonly delta: GraphDelta };

/** A graph whose nodes and edges follow in parts. */
export interface GraphHead {
  /** All of it but its nodes and edges. */
  readonly graph: GraphAnswer;
  readonly nodeCount: number;
  readonly edgeCount: number;
  /** Of a large one that is the first of its stream: by namespace. */
  readonly scene?: PackedScene;
}

export interface GraphPart {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** With the first part, where a scene was made of it. */
  readonly layout?: LayoutAnswer;
  readonly isLast: boolean;
}
