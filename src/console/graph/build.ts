/** One graph: what of a shape is shown to whom, with its marks. Pure. */
import { rfc3339At } from '#base/clock.ts';
import type { GraphAnswer } from '../api/graph.ts';
import type { Change } from '../api/series.ts';
import type { GraphRequest } from '../console-data.ts';
import { type DiagnosisFacts, diagnose } from './diagnosis.ts';
import type { GraphSums } from './graph-sums.ts';
import { edgeMark, nodeMark } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import type { EdgeSlot, GraphShape, NodeSlot } from './shape.ts';

/** Filled sums, and of when they are. */
export interface GraphMoment {
  readonly sums: GraphSums;
  readonly from: number;
  readonly to: number;
  readonly nowMs: number;
  readonly isLive: boolean;
  readonly ageSeconds: number | undefined;
  readonly configuration: Change | undefined;
  readonly facts: DiagnosisFacts;
  readonly source?: GraphAnswer['source'];
  readonly notice?: string;
}

export interface Chosen {
  readonly nodes: ReadonlySet<NodeSlot>;
  readonly edges: readonly EdgeSlot[];
}

export function buildGraph(
  moment: GraphMoment,
  mesh: MeshPicture,
  request: GraphRequest,
): GraphAnswer {
  const windowSeconds = moment.to - moment.from;
  const chosen = choose(moment.sums, request);
  return {
    ...graphFrame(moment, mesh, request, chosen),
    nodes: [...chosen.nodes].map((node) => nodeMark(node, moment.sums, mesh, windowSeconds)),
    edges: chosen.edges.map((slot) => edgeMark(slot, moment.sums, mesh, windowSeconds)),
  };
}

/** All but the nodes and edges. */
export function graphFrame(
  { from, to, nowMs, isLive, ageSeconds, configuration, facts, source, notice }: GraphMoment,
  mesh: MeshPicture,
  request: GraphRequest,
  { nodes, edges }: Chosen,
): Omit<GraphAnswer, 'nodes' | 'edges'> {
  return {
    generatedAt: rfc3339At(nowMs),
    at: rfc3339At(to * 1000),
    windowSeconds: to - from,
    type: request.type,
    isLive,
    ageSeconds,
    source,
    notice,
    configuration: configuration && {
      at: configuration.at,
      resource: configuration.resource,
      change: configuration.summary || configuration.change,
    },
    diagnosis: edges.length + nodes.size === 0 ? diagnose(mesh, facts, request) : undefined,
  };
}

/** Edges with traffic (or known from configuration, where idle ones are asked for) that the request is about, and their ends. */
export function choose(sums: GraphSums, request: GraphRequest): Chosen {
  const { shape } = sums;
  const namespaces = new Set(request.namespaces);
  const isAbout = ({ name }: NodeSlot) => namespaces.size === 0 || namespaces.has(name.namespace);
  const near =
    request.focus === undefined
      ? undefined
      : neighbourhood(shape, request.focus, sums, request.idle);
  const nodes = new Set<NodeSlot>();
  const edges: EdgeSlot[] = [];
  for (const slot of shape.edges) {
    const isShown = !sums.isIdle(slot) || (request.idle && slot.isConfigured);
    if (!isShown || (near !== undefined && !near.has(slot))) continue;
    if (!isAbout(slot.source) && !isAbout(slot.target)) continue;
    edges.push(slot);
    nodes.add(slot.source);
    nodes.add(slot.target);
  }
  if (near !== undefined) {
    const focused = shape.node(request.focus ?? '');
    if (focused !== undefined) nodes.add(focused);
  } else if (request.idle) {
    for (const node of shape.nodes) if (isAbout(node) && node.name.key !== '') nodes.add(node);
  }
  return { nodes, edges };
}

/** Edges of a node. Behind a service are those who are really meant: its callers, or its workloads. */
function neighbourhood(
  shape: GraphShape,
  id: string,
  sums: GraphSums,
  idle: boolean,
): Set<EdgeSlot> {
  const node = shape.node(id);
  const near = new Set<EdgeSlot>();
  if (node === undefined) return near;
  const isShown = (slot: EdgeSlot) => !sums.isIdle(slot) || (idle && slot.isConfigured);
  for (const slot of node.incoming) {
    near.add(slot);
    if (slot.source.name.kind === 'service' && isShown(slot))
      for (const before of slot.source.incoming) near.add(before);
  }
  for (const slot of node.outgoing) {
    near.add(slot);
    if (slot.target.name.kind === 'service' && isShown(slot))
      for (const after of slot.target.outgoing) near.add(after);
  }
  return near;
}
