/**
 * A graph as JSON text: the texts of its nodes and edges (made-texts.ts) put together in one buffer, without objects or strings of the whole
 * (docs/decisions/024). What build.ts makes of the same moment says the same, as the tests hold.
 */
import type { GraphRequest, Packing } from '../console-data.ts';
import { choose, type GraphMoment, graphFrame } from './build.ts';
import { JsonBytes } from './json-bytes.ts';
import type { ChangedGraph } from './live-graph.ts';
import type { MadeTexts } from './made-texts.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { pack } from './pack.ts';

const bytes = new JsonBytes();

export function graphText(
  moment: GraphMoment,
  mesh: MeshPicture,
  texts: MadeTexts,
  { request, packing = 'identity' }: { request: GraphRequest; packing?: Packing },
): Uint8Array<ArrayBuffer> {
  const chosen = choose(moment.sums, request);
  texts.begin(moment.to - moment.from);
  putOpen(graphFrame(moment, mesh, request, chosen));
  texts.putNodes(chosen.nodes, bytes);
  bytes.put('],"edges":[');
  texts.putEdges(chosen.edges, bytes, 'asked');
  bytes.put(']}');
  return packing === 'identity' ? bytes.taken() : pack(bytes.peek(), packing);
}

export function deltaText(
  { edges, nodes, ...frame }: ChangedGraph,
  moment: GraphMoment,
  texts: MadeTexts,
): Uint8Array<ArrayBuffer> {
  texts.begin(moment.to - moment.from);
  putOpen(frame);
  bytes.put(JSON.stringify(nodes).slice(1, -1));
  bytes.put('],"edges":[');
  texts.putEdges(edges, bytes, 'followed');
  bytes.put(']}');
  return bytes.taken();
}

/** Up to where the nodes begin. */
function putOpen(frame: object): void {
  bytes.clear();
  bytes.put(`${JSON.stringify(frame).slice(0, -1)},"nodes":[`);
}
