/**
 * Latency as a heat map, with p95 drawn over it: two humps, a slow tail and a step are seen here and not in percentiles. A click leads to the requests
 * of that moment.
 */
import { type PointerEvent, useMemo, useRef, useState } from 'react';
import { type HeatCell, heatLayers, heatMap } from '../marks/heat-map.ts';
import { ExportMenu, svgText, toCsv } from '../ui/export.tsx';
import { clockTime, counted, millis } from '../ui/format.ts';
import css from './chart.module.css';
import { usePointed } from './crosshair.ts';
import { svgPng } from './svg-png.ts';
import { Axes, LEFT } from './time-chart.tsx';
import { useBrush } from './use-brush.ts';
import { useWidth } from './use-width.ts';

export interface HeatChartProps {
  readonly title: string;
  readonly fromMs: number;
  readonly stepMs: number;
  readonly heat: readonly (readonly number[])[];
  readonly bounds: readonly number[];
  readonly p95Ms: readonly (number | null)[];
  readonly height?: number;
  readonly onCell?: (cell: HeatCell) => void;
}

const BOX = { left: LEFT, right: 4, top: 8, bottom: 20 };

export function HeatChart({
  title,
  fromMs,
  stepMs,
  heat,
  bounds,
  p95Ms,
  height = 176,
  onCell,
}: HeatChartProps) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const map = useMemo(
    () => heatMap({ fromMs, stepMs, heat, bounds, box: { ...BOX, width, height }, label: millis }),
    [fromMs, stepMs, heat, bounds, width, height],
  );
  const layers = useMemo(() => heatLayers(map.cells), [map]);
  const [cell, setCell] = useState<HeatCell>();
  const toMs = fromMs + Math.max(1, heat.length) * stepMs;
  const find = (x: number, y: number) =>
    map.cells.find(
      (each) => x >= each.x && x < each.x + each.width && y >= each.y && y < each.y + each.height,
    );
  const { on, drag } = useBrush({
    fromMs,
    toMs,
    x: map.x,
    onClick: ({ x, y }) => {
      const clicked = find(x, y);
      if (clicked !== undefined) onCell?.(clicked);
    },
  });
  const pointed = usePointed();
  const bottom = height - BOX.bottom;
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    setCell(find(event.clientX - box.left, event.clientY - box.top));
    on.onPointerMove(event);
  };
  return (
    <figure className={css.chart}>
      <figcaption className={css.head}>
        <h3>{title}</h3>
        <span className={css.scale}>
          {cell === undefined ? (
            <>
              1 <i aria-hidden="true" /> {counted(map.most, 'request')}
            </>
          ) : (
            titleOf(cell)
          )}
        </span>
        <ExportMenu name="latency" choices={choicesOf({ svg, fromMs, stepMs, heat, bounds })} />
      </figcaption>
      <div className={css.drawing} ref={frame}>
        <svg
          ref={svg}
          className={css.svg}
          width={width}
          height={height}
          role="img"
          aria-label={`${title}: ${described(map.cells)}`}
          {...on}
          onPointerMove={point}
        >
          <Axes xTicks={map.xTicks} yTicks={map.yTicks} width={width} bottom={bottom} />
          {layers.map(({ level, path }) => (
            <path key={level} className={css.cell} d={path} fillOpacity={0.1 + 0.9 * level} />
          ))}
          <path className={css.over} d={overlay({ p95Ms, fromMs, stepMs, x: map.x, y: map.y })} />
          {pointed !== undefined && pointed >= fromMs && pointed <= toMs && (
            <line
              className={css.cross}
              x1={map.x(pointed)}
              x2={map.x(pointed)}
              y1={4}
              y2={bottom}
            />
          )}
          {drag !== undefined && (
            <rect
              className={css.brush}
              x={Math.min(drag.from, drag.to)}
              width={Math.abs(drag.to - drag.from)}
              y={4}
              height={bottom - 4}
            />
          )}
        </svg>
        {map.cells.length === 0 && <div className={css.nothing}>No request in this span</div>}
      </div>
    </figure>
  );
}

function titleOf({ atMs, lowMs, highMs, count }: HeatCell): string {
  const band = Number.isFinite(highMs)
    ? `${millis(lowMs)} to ${millis(highMs)}`
    : `over ${millis(lowMs)}`;
  return `${clockTime(atMs)}, ${band}: ${counted(count, 'request')}`;
}

function described(cells: readonly HeatCell[]): string {
  if (cells.length === 0) return 'no requests';
  const most = cells.reduce((top, cell) => (cell.count > top.count ? cell : top));
  return `most requests took ${millis(most.lowMs)} to ${millis(most.highMs)}`;
}

interface Overlay {
  readonly p95Ms: readonly (number | null)[];
  readonly fromMs: number;
  readonly stepMs: number;
  readonly x: (ms: number) => number;
  readonly y: (ms: number) => number;
}

function overlay({ p95Ms, fromMs, stepMs, x, y }: Overlay): string {
  return p95Ms
    .map((value, step) => {
      if (value === null) return '';
      const move = step === 0 || p95Ms[step - 1] === null ? 'M' : 'L';
      return `${move}${x(fromMs + (step + 0.5) * stepMs).toFixed(1)},${y(value).toFixed(1)}`;
    })
    .join('');
}

interface Choices {
  readonly svg: React.RefObject<SVGSVGElement | null>;
  readonly fromMs: number;
  readonly stepMs: number;
  readonly heat: readonly (readonly number[])[];
  readonly bounds: readonly number[];
}

function choicesOf({ svg, fromMs, stepMs, heat, bounds }: Choices) {
  const header = ['time', ...bounds.map((bound) => `to ${bound} ms`), 'above'];
  const rows = () =>
    heat.map((row, step) => [new Date(fromMs + step * stepMs).toISOString(), ...row]);
  return [
    { format: 'PNG' as const, make: () => svgPng(svg.current!) },
    { format: 'SVG' as const, make: () => svgText(svg.current!) },
    { format: 'CSV' as const, make: () => toCsv(header, rows()) },
  ];
}
