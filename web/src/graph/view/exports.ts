/** The graph as a file: picture, drawing, rows, or the answer itself. */
import type { GraphAnswer } from '#console/api/graph.ts';
import { type ExportChoice, toCsv } from '../../ui/export.tsx';
import { type Emphasis, paint, type View } from '../draw/paint.ts';
import type { Stage } from '../draw/stage.ts';
import { SvgPen } from '../draw/svg-pen.ts';
import type { Box, Scene } from '../scene/marks.ts';

/** Pixels for a unit. */
const PNG_SCALE = 2;
/** Browsers refuse larger canvases. */
const PNG_SIDE_MAX = 8000;

export interface ExportInput {
  readonly graph: GraphAnswer;
  /** Made when asked for: that of a large graph takes a while. */
  readonly scene: () => Scene;
  readonly emphasis: Emphasis;
  readonly stage: () => Stage | null | undefined;
}

export function exportsOf({ graph, scene, emphasis, stage }: ExportInput): readonly ExportChoice[] {
  return [
    { format: 'PNG', make: () => pngOf(scene(), emphasis, stage()) },
    { format: 'SVG', make: () => svgOf(scene(), emphasis, stage()) },
    { format: 'CSV', make: () => csvOf(graph) },
    { format: 'JSON', make: () => JSON.stringify(graph, null, 2) },
  ];
}

function wholeView({ x, y, width, height }: Box): View {
  return { x, y, zoom: 1, width, height };
}

function svgOf(scene: Scene, emphasis: Emphasis, stage: Stage | null | undefined): string {
  if (stage == null) return '';
  const pen = new SvgPen();
  paint(pen, { scene, emphasis, theme: stage.theme, view: wholeView(scene.bounds) });
  return pen.document(scene.bounds, stage.theme.ground);
}

async function pngOf(
  scene: Scene,
  emphasis: Emphasis,
  stage: Stage | null | undefined,
): Promise<Blob> {
  const { bounds } = scene;
  const scale = Math.min(PNG_SCALE, PNG_SIDE_MAX / bounds.width, PNG_SIDE_MAX / bounds.height);
  const canvas = document.createElement('canvas');
  canvas.width = Math.ceil(bounds.width * scale);
  canvas.height = Math.ceil(bounds.height * scale);
  const pen = canvas.getContext('2d');
  if (pen === null || stage == null) throw new Error('this browser gives no canvas');
  pen.fillStyle = stage.theme.ground;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(scale, 0, 0, scale, -bounds.x * scale, -bounds.y * scale);
  paint(pen, { scene, emphasis, theme: stage.theme, view: wholeView(bounds) });
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob === null ? reject(new Error('the picture is too large')) : resolve(blob)),
      'image/png',
    );
  });
}

export function csvOf({ edges }: GraphAnswer): string {
  const header = [
    'source',
    'target',
    'protocol',
    'requests_per_second',
    'error_rate',
    'p50_ms',
    'p95_ms',
    'p99_ms',
    'bytes_per_second',
    'connections_per_second',
    'mtls',
    'health',
  ];
  const rows = edges.map((edge) => [
    edge.source,
    edge.target,
    edge.protocol,
    edge.requestsPerSecond,
    edge.errorRate,
    edge.p50Ms,
    edge.p95Ms,
    edge.p99Ms,
    edge.bytesPerSecond,
    edge.connectionsPerSecond,
    edge.mtls,
    edge.health.status,
  ]);
  return toCsv(header, rows);
}
