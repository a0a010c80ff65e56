/** The track of the time bar: picture, flags, brush and handle. */
import { type KeyboardEvent, type PointerEvent, useRef, useState } from 'react';
import type { TimelineAnswer } from '#console/api/series.ts';
import { setAt, setSpan, windowSeconds } from '../store/scope.ts';
import { absolute, amount, clockTime } from '../ui/format.ts';
import {
  areaPath,
  flagsOf,
  momentAt,
  positionOf,
  type Range,
  ratesOf,
  ticksOf,
} from './time-scale.ts';
import styles from './time-track.module.css';

interface TrackProps {
  readonly timeline: TimelineAnswer | undefined;
  readonly range: Range;
  readonly atMs: number | undefined;
  readonly window: string;
  readonly nowMs: number;
}

const HEIGHT = 32;
/** Two flags nearer than this share of the width would cover each other. */
const FLAGS_APART = 0.012;
/** Pixels: less is a click. */
const DRAG_MIN = 4;

export function Track({ timeline, range, atMs, window, nowMs }: TrackProps) {
  const box = useRef<HTMLDivElement>(null);
  const [brush, setBrush] = useState<{ from: number; to: number }>();
  const share = (event: PointerEvent) => {
    const { left, width } = box.current!.getBoundingClientRect();
    return (event.clientX - left) / width;
  };
  const end = atMs ?? nowMs;
  const chosen = {
    from: positionOf(end - windowSeconds(window) * 1000, range),
    to: positionOf(end, range),
  };
  const shown =
    brush === undefined
      ? chosen
      : { from: Math.min(brush.from, brush.to), to: Math.max(brush.from, brush.to) };
  const finish = (event: PointerEvent) => {
    if (brush === undefined) return;
    const width = box.current!.getBoundingClientRect().width;
    const to = share(event);
    setBrush(undefined);
    if (Math.abs(to - brush.from) * width < DRAG_MIN)
      return setAt(Math.min(nowMs, momentAt(to, range)));
    const [first, last] = [brush.from, to].sort((a, b) => a - b);
    setSpan(momentAt(first, range), Math.min(nowMs, momentAt(last, range)));
  };
  const requests = timeline && ratesOf(timeline, timeline.requests);
  const errors = timeline && ratesOf(timeline, timeline.errors);
  const top = Math.max(0, ...(requests ?? []).map((value) => value ?? 0));
  return (
    <div className={styles.track} ref={box}>
      <div
        className={styles.surface}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setBrush({ from: share(event), to: share(event) });
        }}
        onPointerMove={(event) => brush !== undefined && setBrush({ ...brush, to: share(event) })}
        onPointerUp={finish}
        onPointerCancel={() => setBrush(undefined)}
      >
        <svg
          viewBox={`0 0 1000 ${HEIGHT}`}
          preserveAspectRatio="none"
          className={styles.picture}
          aria-hidden="true"
        >
          <path d={areaPath(requests ?? [], top, HEIGHT)} className={styles.requests} />
          <path d={areaPath(errors ?? [], top, HEIGHT)} className={styles.errors} />
        </svg>
        {ticksOf(range)
          .filter((tick) => positionOf(tick, range) < 0.965)
          .map((tick) => (
            <span
              key={tick}
              className={styles.tick}
              style={{ left: `${positionOf(tick, range) * 100}%` }}
            >
              {clockTime(tick).slice(0, 5)}
            </span>
          ))}
        <span
          className={styles.window}
          style={{ left: `${shown.from * 100}%`, width: `${(shown.to - shown.from) * 100}%` }}
        />
        {top > 0 && <span className={styles.top}>{amount(top)} req/s</span>}
      </div>
      <Flags timeline={timeline} range={range} />
      <Handle range={range} atMs={atMs} nowMs={nowMs} share={share} />
    </div>
  );
}

function Flags({ timeline, range }: Pick<TrackProps, 'timeline' | 'range'>) {
  return flagsOf(timeline?.marks ?? [], range, FLAGS_APART).map((flag) => {
    const lines = flag.changes.map(
      (change) =>
        `${clockTime(change.at)} ${change.resource} ${change.change}${change.summary === '' ? '' : `: ${change.summary}`}`,
    );
    return (
      <button
        key={flag.changes[0].version}
        type="button"
        className={styles.flag}
        style={{ left: `${flag.position * 100}%` }}
        title={lines.join('\n')}
        aria-label={`Go to ${lines.join('; ')}`}
        onClick={() => setAt(new Date(flag.changes[0].at).getTime() + 1000)}
      />
    );
  });
}

type HandleProps = Pick<TrackProps, 'range' | 'atMs' | 'nowMs'> & {
  readonly share: (event: PointerEvent) => number;
};

function Handle({ range, atMs, nowMs, share }: HandleProps) {
  const [isHeld, setHeld] = useState(false);
  const position = positionOf(atMs ?? nowMs, range);
  const move = (event: KeyboardEvent) => {
    const seconds = { ArrowLeft: -1, ArrowRight: 1, PageDown: -60, PageUp: 60 }[event.key];
    if (seconds !== undefined) {
      event.preventDefault();
      const next = (atMs ?? nowMs) + seconds * (event.shiftKey ? 10_000 : 1000);
      setAt(next >= nowMs ? undefined : next, { replace: true });
    } else if (event.key === 'End') setAt(undefined);
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label="Moment"
      aria-valuemin={range.fromMs}
      aria-valuemax={range.toMs}
      aria-valuenow={atMs ?? nowMs}
      aria-valuetext={atMs === undefined ? 'now, live' : absolute(atMs)}
      className={`${styles.handle} ${atMs === undefined ? styles.live : ''}`}
      style={{ left: `${position * 100}%` }}
      onKeyDown={move}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setHeld(true);
      }}
      onPointerMove={(event) =>
        isHeld && setAt(Math.min(nowMs, momentAt(share(event), range)), { replace: true })
      }
      onPointerUp={() => setHeld(false)}
      onPointerCancel={() => setHeld(false)}
    />
  );
}
