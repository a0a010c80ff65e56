/**
 * A graph as JSON text: the texts of its nodes and edges (made-texts.ts), or its edges as a table (edge-table.ts), put together in one buffer, without objects or strings of
 * the whole (docs/decisions/024). What build.ts makes of the same moment says the same, as the tests hold.
 */
import type { GraphForm } from '../api/graph.ts';
import type { GraphRequest, Packing } from '../console-data.ts';
import { choose, type GraphMoment, graphFrame } from './build.ts';
import { putEdgeTable } from './edge-table.ts';
import { JsonBytes } from './json-bytes.ts';
import type { ChangedGraph } from './live-graph.ts';
import type { MadeTexts } from './made-texts.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { pack } from './pack.ts';
import type { EdgeSlot } from './shape.ts';

const bytes = new JsonBytes();

export function graphText(
  moment: GraphMoment,
  mesh: MeshPicture,
  texts: MadeTexts,
  { request, packing = 'identity' }: { request: GraphRequest; packing?: Packing },
): Uint8Array<ArrayBuffer> {
  const { sums, from, to } = moment;
  const chosen = choose(sums, request);
  texts.begin(to - from);
  putOpen(graphFrame(moment, mesh, request, chosen));
  texts.putNodes(chosen.nodes, bytes);
  if (request.form === 'objects') {
    bytes.put('],"edges":[');
    texts.putEdges(chosen.edges, bytes, 'asked');
    bytes.put(']}');
  } else putTable(chosen.edges, moment, mesh);
  return packing === 'identity' ? bytes.taken() : pack(bytes.peek(), packing);
}

export function deltaText(
  { edges, nodes, ...frame }: ChangedGraph,
  moment: GraphMoment,
  mesh: MeshPicture,
  { texts, form }: { texts: MadeTexts; form: GraphForm },
): Uint8Array<ArrayBuffer> {
  putOpen(frame);
  bytes.put(JSON.stringify(nodes).slice(1, -1));
  if (form === 'objects') {
    texts.begin(moment.to - moment.from);
    bytes.put('],"edges":[');
    texts.putEdges(edges, bytes, 'followed');
    bytes.put(']}');
  } else putTable(edges, moment, mesh);
  return bytes.taken();
}

function putTable(
  edges: readonly EdgeSlot[],
  { sums, from, to }: GraphMoment,
  mesh: MeshPicture,
): void {
  bytes.put('],"edges":');
  putEdgeTable(bytes, edges, { sums, mesh, windowSeconds: to - from });
  bytes.put('}');
}

/** Up to where the nodes begin. */
function putOpen(frame: object): void {
  bytes.clear();
  bytes.put(`${JSON.stringify(frame).slice(0, -1)},"nodes":[`);
}
