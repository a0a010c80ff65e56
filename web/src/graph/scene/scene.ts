/** From a snapshot and the places of its nodes to everything that is drawn at one level of detail. Pure. */
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import {
  FIELD_HEAD,
  FIELD_PAD,
  type LayoutAnswer,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Point,
  type Positions,
} from '../layout/types.ts';
import { changeOf } from './compare.ts';
import { edgeMark, type LabelKind } from './edge-marks.ts';
import { placeLabels } from './labels.ts';
import { type Group, grouped, groupsOf } from './levels.ts';
import {
  type Box,
  type Difference,
  type EdgeMark,
  type FieldMark,
  grown,
  type Level,
  NAMES_INSIDE_ZOOM,
  type NodeMark,
  type Scene,
  type Steps,
  union,
} from './marks.ts';
import { fieldMark, nodeMark } from './node-marks.ts';

export interface SceneRequest {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Edges between the groups of this level, where they are summed already: `edges` is not looked at. */
  readonly summed?: readonly GraphEdge[];
  readonly layout: LayoutAnswer;
  readonly level: Level;
  readonly label: LabelKind;
  /** By id of node or edge, when two moments are compared. */
  readonly changes?: ReadonlyMap<string, Difference>;
}

const NO_BENDS: readonly Point[] = [];
/** Of a side of a node, for its edges. */
const PORTS_HEIGHT = NODE_HEIGHT - 16;
/** About two milliseconds on a slow machine. */
const EDGES_IN_STEP = 300;

export function sceneOf(request: SceneRequest): Scene {
  return finished(sceneSteps(request));
}

/** What is left of them, at once. */
export function finished<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The same in steps of a few milliseconds, so that a large one can be made while something moves. */
export function* sceneSteps({
  nodes,
  edges,
  summed,
  layout,
  level,
  label,
  changes,
}: SceneRequest): Steps<Scene> {
  const placed = nodes.filter((node) => layout.positions[node.id] !== undefined);
  const graph =
    summed === undefined
      ? grouped(placed, edges, level)
      : { groups: groupsOf(placed, level), edges: summed };
  yield;
  const fields = fieldsOf(placed, layout.positions);
  const fieldBoxes = new Map(fields.map((field) => [field.id, field.box]));
  const boxes = new Map(
    graph.groups.map((group) => [
      group.id,
      level === 'namespaces'
        ? (fieldBoxes.get(group.id) ?? hull(group, layout.positions))
        : hull(group, layout.positions),
    ]),
  );
  const nodeMarks =
    level === 'namespaces'
      ? graph.groups.filter((group) => !fieldBoxes.has(group.id))
      : graph.groups;
  const marks = nodeMarks.map((group) =>
    nodeMark(
      group,
      boxes.get(group.id)!,
      changeOf(
        group.members.map((node) => node.id),
        changes,
      ),
    ),
  );
  yield;
  const edgeMarks = yield* edgesOf(graph.edges, boxes, {
    layout,
    label: level === 'workloads' ? label : 'none',
    changes,
  });
  edgeMarks.sort((a, b) => a.importance - b.importance);
  yield;
  return {
    level,
    nodes: marks,
    edges: edgeMarks,
    fields,
    stacks: level === 'workloads' ? stacksOf(placed, layout.positions) : [],
    labels: level === 'workloads' ? yield* placeLabels(edgeMarks, marks) : [],
    bounds: grown(
      union([...fields.map((field) => field.box), ...marks.map((mark) => mark.box)]),
      24,
    ),
  };
}

function boxAt(id: string, positions: Positions): Box {
  const { x, y } = positions[id];
  return { x, y, width: NODE_WIDTH, height: NODE_HEIGHT };
}

function hull(group: Group, positions: Positions): Box {
  return union(group.members.map((node) => boxAt(node.id, positions)));
}

/** A soft field behind the nodes of each namespace; gateways stand outside of it. */
function fieldsOf(nodes: readonly GraphNode[], positions: Positions): FieldMark[] {
  const inner = nodes.filter((node) => node.namespace !== '' && node.kind !== 'gateway');
  return groupsOf(inner, 'namespaces').map((group) => {
    const box = hull(group, positions);
    return fieldMark(group, {
      x: box.x - FIELD_PAD,
      y: box.y - FIELD_HEAD,
      width: box.width + 2 * FIELD_PAD,
      height: box.height + FIELD_HEAD + FIELD_PAD,
    });
  });
}

function stacksOf(nodes: readonly GraphNode[], positions: Positions): Box[] {
  return groupsOf(nodes, 'apps')
    .filter((group) => group.members.length > 1)
    .map((group) => grown(hull(group, positions), 5));
}

type EdgeOptions = Pick<SceneRequest, 'layout' | 'label' | 'changes'>;

function* edgesOf(
  edges: readonly GraphEdge[],
  boxes: ReadonlyMap<string, Box>,
  { layout, label, changes }: EdgeOptions,
): Steps<EdgeMark[]> {
  const drawn = edges.filter(
    (edge) => edge.source !== edge.target && boxes.has(edge.source) && boxes.has(edge.target),
  );
  yield;
  const sourceYs = portsOf(drawn, boxes, 'source');
  yield;
  const targetYs = portsOf(drawn, boxes, 'target');
  const hasBends = Object.keys(layout.bends).length > 0;
  const marks: EdgeMark[] = [];
  for (let at = 0; at < drawn.length; at += 1) {
    if (at % EDGES_IN_STEP === 0) yield;
    const edge = drawn[at];
    const ends = {
      source: boxes.get(edge.source)!,
      target: boxes.get(edge.target)!,
      bends: (hasBends ? layout.bends[`${edge.source} ${edge.target}`] : undefined) ?? NO_BENDS,
      sourceY: sourceYs[at],
      targetY: targetYs[at],
    };
    marks.push(edgeMark(edge, ends, { label, change: changes?.get(edge.id) }));
  }
  return marks;
}

/** Edges at one side of a node in the order of their other ends, so that they do not cross right there. */
function portsOf(
  edges: readonly GraphEdge[],
  boxes: ReadonlyMap<string, Box>,
  end: 'source' | 'target',
): Float64Array {
  const offsets = new Float64Array(edges.length);
  const other = end === 'source' ? 'target' : 'source';
  // Looked up once for each edge: sorting asks for them again and again.
  const heights = Float64Array.from(edges, (edge) => {
    const box = boxes.get(edge[other])!;
    return box.y + box.height / 2;
  });
  const byNode = new Map<string, number[]>();
  edges.forEach((edge, at) => {
    const list = byNode.get(edge[end]);
    if (list === undefined) byNode.set(edge[end], [at]);
    else list.push(at);
  });
  for (const list of byNode.values()) {
    list.sort((a, b) => heights[a] - heights[b] || a - b);
    const room = Math.min(10 * (list.length - 1), PORTS_HEIGHT);
    list.forEach((at, index) => {
      offsets[at] = list.length === 1 ? 0 : (index / (list.length - 1) - 0.5) * room;
    });
  }
  return offsets;
}

/** With no more nodes a graph is never folded. */
export const FOLDED_NODES = 60;

/** Which level a zoom shows. */
export function levelAt(zoom: number, nodes: number): Level {
  if (nodes <= FOLDED_NODES || zoom >= NAMES_INSIDE_ZOOM) return 'workloads';
  return zoom >= 0.15 ? 'apps' : 'namespaces';
}

export function nodeById(scene: Scene, id: string): NodeMark | undefined {
  return scene.nodes.find((mark) => mark.id === id);
}
