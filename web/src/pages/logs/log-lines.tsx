/** Lines of a joined log, only those in sight as elements, at the end until the reader scrolls away; and a picture of when they came. */
import { useLayoutEffect, useRef, useState } from 'react';
import { useWidth } from '../../charts/use-width.ts';
import { type JoinedLine, logSlices } from '../../marks/joined-log.ts';
import { rowWindow } from '../../marks/row-window.ts';
import { timeTicks } from '../../marks/scale.ts';
import { hrefOf } from '../../store/url.ts';
import { absolute } from '../../ui/format.ts';
import { Link } from '../../ui/link.tsx';
import css from './logs.module.css';

const LINE_HEIGHT = 20;
/** Lines that wrap have no height that is known ahead: only the youngest are shown then. */
const WRAPPED_MAX = 500;
/** Nothing was said for so long: a line is drawn. */
const GAP_MS = 5000;
/** Nearer to the end than this the log is followed. */
const FOLLOW_PIXELS = 32;

export function LogLines({ lines, wraps }: { lines: readonly JoinedLine[]; wraps: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollTop: 0, viewHeight: 600 });
  const isFollowing = useRef(true);
  const measure = () => {
    const element = box.current!;
    isFollowing.current =
      element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_PIXELS;
    setView({ scrollTop: element.scrollTop, viewHeight: element.clientHeight });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines and another height are what it follows.
  useLayoutEffect(() => {
    const element = box.current!;
    if (isFollowing.current) element.scrollTop = element.scrollHeight;
    setView({ scrollTop: element.scrollTop, viewHeight: element.clientHeight });
  }, [lines, wraps]);
  const seen = wraps
    ? { first: Math.max(0, lines.length - WRAPPED_MAX), end: lines.length, before: 0, after: 0 }
    : rowWindow({ count: lines.length, rowHeight: LINE_HEIGHT, ...view });
  return (
    <div
      ref={box}
      className={css.lines}
      data-wraps={wraps}
      onScroll={measure}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
      tabIndex={0}
      role="log"
      aria-label="Log"
      aria-live="off"
    >
      <div style={{ height: seen.before }} />
      {lines.slice(seen.first, seen.end).map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two lines may be the same in everything.
        <Line key={seen.first + index} line={line} />
      ))}
      <div style={{ height: seen.after }} />
    </div>
  );
}

function Line({ line }: { line: JoinedLine }) {
  const { at, from, text, level, gapMs, traceId, container } = line;
  return (
    <div className={css.line} data-from={from} data-level={level} data-gap={gapMs > GAP_MS}>
      <span title={at === '' ? undefined : absolute(at)}>{at.slice(11, 23)}</span>
      <span>{from === 'application' ? (container ?? from) : from}</span>
      <span className={css.text} title={text}>
        {text}
      </span>
      {traceId !== undefined && traceId !== '' && (
        <Link href={hrefOf(`/traffic/traces/${traceId}`)}>trace</Link>
      )}
    </div>
  );
}

const SLICES = 120;
const HEIGHT = 40;
const AXIS = 16;

/** How many lines of each kind came when: stacked, what went wrong in the colour of failure. */
export function LogSlices({ lines }: { lines: readonly JoinedLine[] }) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const slices = logSlices(lines, SLICES);
  const most = Math.max(
    1,
    ...slices.map(({ counts }) => counts.application + counts.mesh + counts.span),
  );
  const span = { fromMs: lines[0]?.atMs ?? 0, toMs: (lines.at(-1)?.atMs ?? 0) + 1 };
  const ticks = timeTicks({ ...span, width });
  const paths = { application: '', mesh: '', span: '', bad: '' };
  const step = width / SLICES;
  slices.forEach(({ counts, errors }, at) => {
    let top = HEIGHT;
    const draw = (key: keyof typeof paths, count: number) => {
      const height = (count / most) * HEIGHT;
      top -= height;
      if (count > 0)
        paths[key] +=
          `M${(at * step).toFixed(1)},${top.toFixed(1)}h${Math.max(1, step - 1).toFixed(1)}v${height.toFixed(1)}h-${Math.max(1, step - 1).toFixed(1)}Z`;
    };
    draw('application', counts.application);
    draw('mesh', counts.mesh);
    draw('span', counts.span);
    if (errors > 0)
      paths.bad += `M${(at * step).toFixed(1)},${HEIGHT - 3}h${Math.max(2, step - 1).toFixed(1)}v3h-${Math.max(2, step - 1).toFixed(1)}Z`;
  });
  return (
    <>
      <LogLegend />
      <div ref={frame} className={css.slices}>
        <svg width={width} height={HEIGHT + AXIS} aria-hidden="true">
          {(['application', 'mesh', 'span', 'bad'] as const).map((key) => (
            <path key={key} d={paths[key]} className={css[key]} />
          ))}
          {ticks.map(({ value, at, label }) => (
            <text
              key={value}
              x={at}
              y={HEIGHT + 13}
              textAnchor={at > width - 32 ? 'end' : 'middle'}
            >
              {label}
            </text>
          ))}
        </svg>
      </div>
    </>
  );
}

const LEGEND = [
  ['application', 'application'],
  ['mesh', 'mesh'],
  ['span', 'spans'],
  ['bad', 'with an error'],
] as const;

function LogLegend() {
  return (
    <p className={css.legend}>
      {LEGEND.map(([key, words]) => (
        <span key={key}>
          <svg className={css[key]} aria-hidden="true">
            <rect width="8" height="8" />
          </svg>
          {words}
        </span>
      ))}
    </p>
  );
}
