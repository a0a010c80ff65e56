/** A scene as it crosses from the worker: edges as numbers, since copying thousands of small objects takes the page longer than painting them. Pure. */
import { boundsOf } from './edge-marks.ts';
import type { EdgeMark, Lock, Look, Scene } from './marks.ts';

export interface PackedScene extends Omit<Scene, 'edges'> {
  /** What edges are called by, each once: their ends, the rest of their ids, and labels. Edges name them by place. */
  readonly texts: readonly string[];
  /** A row for each edge. */
  readonly rows: Float64Array<ArrayBuffer>;
  /** All curves behind each other. */
  readonly curves: Float64Array<ArrayBuffer>;
}

const ROW = 14;
/** Stands in no label. */
const BETWEEN = '\n';
const LOOKS: readonly Look[] = ['healthy', 'degraded', 'failing', 'unknown', 'idle', 'tcp'];
const LOCKS: readonly (Lock | undefined)[] = [undefined, 'closed', 'half', 'open'];

/** Without what two moments differ by: nobody compares before the graph is there. Ids begin with the two ends, as the API's do. */
export function packedScene({ edges, ...rest }: Scene): PackedScene {
  const places = new Map<string, number>();
  const placeOf = (text: string) => {
    if (!places.has(text)) places.set(text, places.size);
    return places.get(text)!;
  };
  const rows = new Float64Array(ROW * edges.length);
  const curves = new Float64Array(edges.reduce((sum, edge) => sum + edge.curve.length, 0));
  let end = 0;
  edges.forEach((edge, at) => {
    const { count, speed, errorShare, isTcp } = edge.particles;
    const row = [placeOf(edge.source), placeOf(edge.target)];
    row.push(placeOf(edge.id.slice(edge.source.length + edge.target.length + 2)));
    row.push(placeOf(edge.label), placeOf(edge.shortLabels.join(BETWEEN)));
    row.push(LOOKS.indexOf(edge.look), LOCKS.indexOf(edge.lock));
    row.push(Number(edge.isGated) + 2 * Number(isTcp));
    row.push(count, speed, errorShare, edge.width, edge.importance, edge.curve.length);
    rows.set(row, ROW * at);
    curves.set(edge.curve, end);
    end += edge.curve.length;
  });
  return { ...rest, texts: [...places.keys()], rows, curves };
}

export function unpackedScene({ texts, rows, curves, ...rest }: PackedScene): Scene {
  const edges: EdgeMark[] = [];
  let from = 0;
  for (let row = 0; row < rows.length; row += ROW) {
    const end = from + rows[row + 13];
    const curve = Array.from(curves.subarray(from, end));
    from = end;
    edges.push(edgeOf(rows, row, texts, curve));
  }
  return { ...rest, edges };
}

/** Read by place: taking rows apart as lists would take longer than all else. */
function edgeOf(
  rows: Float64Array,
  row: number,
  texts: readonly string[],
  curve: readonly number[],
): EdgeMark {
  const source = texts[rows[row]];
  const target = texts[rows[row + 1]];
  const signs = rows[row + 7];
  return {
    id: `${source} ${target} ${texts[rows[row + 2]]}`,
    source,
    target,
    look: LOOKS[rows[row + 5]],
    width: rows[row + 11],
    curve,
    bounds: boundsOf(curve),
    label: texts[rows[row + 3]],
    shortLabels: texts[rows[row + 4]].split(BETWEEN),
    lock: LOCKS[rows[row + 6]],
    isGated: (signs & 1) !== 0,
    particles: {
      count: rows[row + 8],
      speed: rows[row + 9],
      errorShare: rows[row + 10],
      isTcp: (signs & 2) !== 0,
    },
    importance: rows[row + 12],
    change: undefined,
  };
}
