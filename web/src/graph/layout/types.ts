/** What the layout is asked and what it answers. Plain values: they cross into a worker and back. */

export interface LayoutNode {
  readonly id: string;
  /** Empty for what stands outside of all. */
  readonly namespace: string;
  /** Nodes of one namespace and app stand together. */
  readonly app: string;
  /** `gateway` and `origin` are kept at the left border. */
  readonly role: 'inner' | 'gateway' | 'origin' | 'external';
}

/** Edges as numbers: the one at a place goes from one node to another, by index. */
export interface Calls {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly weights: Float64Array;
}

/** Edges as numbers: copying thousands of small objects into a worker takes as long as laying them out. */
export interface LayoutRequest {
  readonly nodes: readonly LayoutNode[];
  /** Places among the nodes of source and target, in pairs. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly weights: Float64Array<ArrayBuffer>;
  /** Where nodes stand already: they stay there. */
  readonly kept?: Positions;
}

/** Top left corner. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Positions = Readonly<Record<string, Point>>;

export interface LayoutAnswer {
  readonly positions: Positions;
  /** Points that an edge goes through between its ends, by `source target`. */
  readonly bends: Readonly<Record<string, readonly Point[]>>;
}

/** Pixels at zoom 1. */
export const NODE_WIDTH = 160;
export const NODE_HEIGHT = 44;
export const COLUMN_GAP = 136;
export const ROW_GAP = 24;
/** Between versions of an app. */
export const VERSION_GAP = 8;
/** From a namespace's nodes to the border of its field; its name stands at the top. */
export const FIELD_PAD = 14;
export const FIELD_HEAD = 24;
export const FIELD_GAP = 20;
export const COLUMN_STEP = NODE_WIDTH + COLUMN_GAP;
/** By so much a name may stand out of its node on each side where nodes are too small for theirs: two of them do not touch. */
export const MAP_OVERHANG = COLUMN_GAP / 2 - 16;
/** So far the field of such nodes stands out of them: the frame of a name is a little wider than the name. Two fields do not touch. */
export const MAP_FIELD_PAD = MAP_OVERHANG + 12;
