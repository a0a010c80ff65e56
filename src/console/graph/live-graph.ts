/** A graph that is followed: once a second what has changed enough to be seen (told-figures.ts) goes to everybody who asked for the same. */
import { rfc3339At } from '#base/clock.ts';
import type { GraphDelta, GraphNode } from '../api/graph.ts';
import type { GraphRequest } from '../console-data.ts';
import type { Counts } from '../store/counts.ts';
import { BUCKETS } from '../store/counts.ts';
import { type Chosen, choose, type GraphMoment } from './build.ts';
import { errorsOf } from './graph-sums.ts';
import { nodeMark } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { quantile } from './quantile.ts';
import type { EdgeSlot } from './shape.ts';
import { FIGURES, ToldFigures } from './told-figures.ts';

/** Which of the figures the length of the window is: it grows while the mesh is young, and all rates are of it. */
const WINDOW = FIGURES - 1;

/** A GraphDelta before its edges are made. */
export interface ChangedGraph extends Omit<GraphDelta, 'edges'> {
  readonly edges: readonly EdgeSlot[];
}

export class LiveGraph {
  readonly request: GraphRequest;
  readonly #edges = new ToldFigures();
  readonly #nodes = new ToldFigures();
  /** By node: health, badges, replicas and what else is no number. */
  readonly #states: string[] = [];
  readonly #scratch = new Float64Array(FIGURES);
  #meshRevision = -1;

  constructor(request: GraphRequest) {
    this.request = request;
  }

  /** All is told: what a graph that was just built says. Numbers of nodes and edges may be others from here on. */
  begin(moment: GraphMoment, mesh: MeshPicture): void {
    this.#edges.clear();
    this.#nodes.clear();
    this.#states.length = 0;
    this.delta(moment, mesh);
  }

  /** Undefined: nothing that is worth telling. */
  delta(moment: GraphMoment, mesh: MeshPicture): ChangedGraph | undefined {
    const { sums, to, nowMs, ageSeconds } = moment;
    const { shape } = sums;
    const chosen = choose(sums, this.request);
    const isMeshNews = this.#meshRevision !== mesh.revision;
    this.#meshRevision = mesh.revision;
    const edges = this.#changedEdges(chosen, moment);
    const nodes = this.#changedNodes(chosen, moment, mesh, isMeshNews);
    const goneEdges = this.#edges.gone().map((index) => shape.edges[index].id);
    const goneNodes = this.#nodes.gone().map((index) => shape.nodes[index].name.id);
    if (edges.length + nodes.length + goneEdges.length + goneNodes.length === 0) return undefined;
    return {
      generatedAt: rfc3339At(nowMs),
      at: rfc3339At(to * 1000),
      ageSeconds,
      nodes,
      edges,
      goneNodes,
      goneEdges,
    };
  }

  #changedEdges({ edges }: Chosen, { sums, from, to }: GraphMoment): EdgeSlot[] {
    this.#edges.begin();
    const figures = this.#scratch;
    return edges.filter((slot) => {
      const errors = errorsOf(sums.classesOf(slot));
      figuresOf(sums.edges, slot.index, errors, sums.mutualOf(slot), figures);
      figures[WINDOW] = to - from;
      return this.#edges.isNews(slot.index, figures, to);
    });
  }

  #changedNodes(
    { nodes }: Chosen,
    { sums, from, to }: GraphMoment,
    mesh: MeshPicture,
    isMeshNews: boolean,
  ): GraphNode[] {
    this.#nodes.begin();
    const changed: GraphNode[] = [];
    const figures = this.#scratch;
    for (const node of nodes) {
      const { index } = node;
      const errors = errorsOf(sums.nodeClasses(node, 'in'));
      figuresOf(sums.nodesIn, index, errors, sums.mutualIn(node), figures);
      // What goes out is seen as bytes and requests of the same figures.
      if (sums.nodesOut.has(index)) {
        figures[4] += sums.nodesOut.sent[index] + sums.nodesOut.received[index];
        figures[0] += sums.nodesOut.requests[index];
        figures[1] += errorsOf(sums.nodeClasses(node, 'out'));
      }
      figures[WINDOW] = to - from;
      const isMoved = this.#nodes.isNews(index, figures, to);
      if (!isMoved && !isMeshNews) continue;
      const marked = nodeMark(node, sums, mesh, to - from);
      const state = stateOf(marked);
      if (!isMoved && this.#states[index] === state) continue;
      this.#states[index] = state;
      changed.push(marked);
    }
    return changed;
  }
}

/** Kept apart from the numbers: it changes seldom and is told at once. */
function stateOf({
  health,
  badges,
  replicas,
  ejected,
  labels,
  version,
  app,
  isOutside,
}: GraphNode): string {
  return JSON.stringify([
    health.status,
    badges,
    replicas,
    ejected?.length,
    labels,
    version,
    app,
    isOutside,
  ]);
}

function figuresOf(
  counts: Counts,
  index: number,
  errors: number,
  mutual: number,
  into: Float64Array,
): void {
  into.fill(0);
  if (!counts.has(index)) return;
  into[0] = counts.requests[index];
  into[1] = errors;
  into[2] = counts.opened[index];
  into[3] = counts.failed[index];
  into[4] = counts.sent[index] + counts.received[index];
  into[5] = into[0] === 0 ? 0 : (quantile(counts.latency, index * BUCKETS, 0.95) ?? 0);
  const all = into[0] + into[2];
  into[6] = all === 0 ? 0 : mutual / all;
}
