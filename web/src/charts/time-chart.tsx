/**
 * Values over time as lines: the legend shows the values under the pointer (or the last known ones), a drag chooses a span for the whole
 * page, flags say when configuration changed. Saved as PNG, SVG or CSV.
 */
import { useMemo, useRef } from 'react';
import { lineChart, stepAt } from '../marks/line-chart.ts';
import type { Tick } from '../marks/scale.ts';
import { ExportMenu, svgText, toCsv } from '../ui/export.tsx';
import css from './chart.module.css';
import { usePointed } from './crosshair.ts';
import { svgPng } from './svg-png.ts';
import { useBrush } from './use-brush.ts';
import { useWidth } from './use-width.ts';

export type Tone = 'main' | 'strong' | 'soft' | 'faint' | 'failing' | 'tcp';

export interface ChartSeries {
  readonly key: string;
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly tone: Tone;
  readonly hasArea?: boolean;
}

export interface TimeChartProps {
  readonly title: string;
  readonly fromMs: number;
  readonly stepMs: number;
  readonly series: readonly ChartSeries[];
  readonly format: (value: number) => string;
  readonly height?: number;
  /** The axis reaches at least so far. */
  readonly topMin?: number;
  readonly flags?: readonly { readonly atMs: number; readonly label: string }[];
  /** Said in place of lines when no value is known. */
  readonly nothing?: string;
}

export const LEFT = 64;
const BOTTOM = 20;

export function TimeChart({
  title,
  fromMs,
  stepMs,
  series,
  format,
  height = 132,
  topMin,
  flags = [],
  nothing,
}: TimeChartProps) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const svg = useRef<SVGSVGElement>(null);
  const chart = useMemo(
    () =>
      lineChart({
        fromMs,
        stepMs,
        series,
        topMin,
        label: format,
        box: { width, height, left: LEFT, right: 4, top: 8, bottom: BOTTOM },
      }),
    [fromMs, stepMs, series, topMin, format, width, height],
  );
  const count = series[0]?.values.length ?? 0;
  const toMs = fromMs + count * stepMs;
  const { on, drag } = useBrush({ fromMs, toMs, x: chart.x });
  const pointed = usePointed();
  const step = pointed === undefined ? -1 : stepAt(pointed, { fromMs, stepMs, count });
  const shown = series.map((each) => ({
    ...each,
    value: step >= 0 ? each.values[step] : lastKnown(each.values),
  }));
  const bottom = height - BOTTOM;
  return (
    <figure className={css.chart}>
      <figcaption className={css.head}>
        <h3>{title}</h3>
        <Legend shown={shown} format={format} />
        <ExportMenu
          name={title.toLowerCase().replaceAll(' ', '-')}
          choices={choicesOf({ svg, series, fromMs, stepMs })}
        />
      </figcaption>
      <div className={css.drawing} ref={frame}>
        <svg
          ref={svg}
          className={css.svg}
          width={width}
          height={height}
          role="img"
          aria-label={described(title, shown, format)}
          {...on}
        >
          <Axes xTicks={chart.xTicks} yTicks={chart.yTicks} width={width} bottom={bottom} />
          {chart.lines.map(
            ({ key, area }, index) =>
              series[index].hasArea && (
                <path key={key} d={area} className={css[`area${capital(series[index].tone)}`]} />
              ),
          )}
          {chart.lines.map(({ key, line, dots }, index) => (
            <g key={key}>
              <path d={line} className={`${css.line} ${css[series[index].tone]}`} />
              {dots.map(({ x, y }) => (
                <circle
                  key={x}
                  cx={x}
                  cy={y}
                  r="2"
                  className={css[`dot${capital(series[index].tone)}`]}
                />
              ))}
            </g>
          ))}
          {flags.map(({ atMs, label }) => (
            <Flag key={`${atMs} ${label}`} x={chart.x(atMs)} bottom={bottom} label={label} />
          ))}
          {pointed !== undefined && step >= 0 && (
            <line
              className={css.cross}
              x1={chart.x(pointed)}
              x2={chart.x(pointed)}
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
        {chart.isEmpty && nothing !== undefined && <div className={css.nothing}>{nothing}</div>}
      </div>
    </figure>
  );
}

type Shown = ChartSeries & { readonly value: number | null | undefined };

const capital = (text: string) => text[0].toUpperCase() + text.slice(1);

function lastKnown(values: readonly (number | null)[]): number | undefined {
  return values.findLast((value) => value !== null) ?? undefined;
}

function described(
  title: string,
  shown: readonly Shown[],
  format: (value: number) => string,
): string {
  const values = shown.map(
    ({ label, value }) => `${label} ${value == null ? 'not known' : format(value)}`,
  );
  return `${title}: ${values.join(', ')}`;
}

function Legend({ shown, format }: { shown: readonly Shown[]; format: (value: number) => string }) {
  return (
    <div className={css.legend}>
      {shown.map(({ key, label, tone, value }) => (
        <span key={key}>
          <svg aria-hidden="true">
            <line x1="0" x2="16" y1="4" y2="4" className={`${css.line} ${css[tone]}`} />
          </svg>
          {label}
          <b>{value == null ? '–' : format(value)}</b>
        </span>
      ))}
    </div>
  );
}

interface AxesProps {
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  readonly width: number;
  readonly bottom: number;
}

export function Axes({ xTicks, yTicks, width, bottom }: AxesProps) {
  return (
    <g>
      {yTicks.map(({ value, at, label }) => (
        <g key={value}>
          <line
            className={at === bottom ? css.base : css.grid}
            x1={LEFT}
            x2={width}
            y1={at}
            y2={at}
          />
          <text x={LEFT - 8} y={at + 4} textAnchor="end">
            {label}
          </text>
        </g>
      ))}
      {xTicks.map(({ value, at, label }) => (
        <text
          key={value}
          x={at}
          y={bottom + 16}
          textAnchor={at > width - 24 ? 'end' : at < LEFT + 16 ? 'start' : 'middle'}
        >
          {label}
        </text>
      ))}
    </g>
  );
}

function Flag({ x, bottom, label }: { x: number; bottom: number; label: string }) {
  return (
    <g>
      <title>{label}</title>
      <line className={css.flag} x1={x} x2={x} y1={4} y2={bottom} />
      <path className={css.flagHead} d={`M${x},4h7l-2,3l2,3h-7Z`} />
    </g>
  );
}

interface Choices {
  readonly svg: React.RefObject<SVGSVGElement | null>;
  readonly series: readonly ChartSeries[];
  readonly fromMs: number;
  readonly stepMs: number;
}

function choicesOf({ svg, series, fromMs, stepMs }: Choices) {
  const rows = () =>
    (series[0]?.values ?? []).map((_, step) => [
      new Date(fromMs + step * stepMs).toISOString(),
      ...series.map((each) => each.values[step] ?? undefined),
    ]);
  return [
    { format: 'PNG' as const, make: () => svgPng(svg.current!) },
    { format: 'SVG' as const, make: () => svgText(svg.current!) },
    {
      format: 'CSV' as const,
      make: () => toCsv(['time', ...series.map((each) => each.label)], rows()),
    },
  ];
}
