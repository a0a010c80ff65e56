/** Pointing and dragging over a chart: a moment under the pointer, and a span of time to look at, as on the time bar. */
import { type PointerEvent, useState } from 'react';
import type { Scale } from '../marks/scale.ts';
import { setSpan } from '../store/scope.ts';
import { pointAt } from './crosshair.ts';

/** A shorter drag is a click with an unsteady hand. */
const DRAG_PIXELS_MIN = 4;

export interface BrushInput {
  readonly fromMs: number;
  readonly toMs: number;
  readonly x: Scale;
  /** A click, at a place of the drawing. */
  readonly onClick?: (place: { x: number; y: number }) => void;
}

export function useBrush({ fromMs, toMs, x, onClick }: BrushInput) {
  const [drag, setDrag] = useState<{ readonly from: number; readonly to: number }>();
  const [left, right] = [x(fromMs), x(toMs)];
  const placeOf = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return {
      x: Math.max(left, Math.min(right, event.clientX - box.left)),
      y: event.clientY - box.top,
    };
  };
  const timeOf = (place: number) =>
    fromMs + ((place - left) / Math.max(1, right - left)) * (toMs - fromMs);
  const on = {
    onPointerMove: (event: PointerEvent<SVGSVGElement>) => {
      const place = placeOf(event);
      pointAt(timeOf(place.x));
      if (drag !== undefined) setDrag({ ...drag, to: place.x });
    },
    onPointerLeave: () => {
      pointAt(undefined);
      setDrag(undefined);
    },
    onPointerDown: (event: PointerEvent<SVGSVGElement>) => {
      if (event.button !== 0) return;
      const at = placeOf(event).x;
      setDrag({ from: at, to: at });
    },
    onPointerUp: (event: PointerEvent<SVGSVGElement>) => {
      if (drag === undefined) return;
      setDrag(undefined);
      const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
      if (to - from >= DRAG_PIXELS_MIN) setSpan(timeOf(from), timeOf(to));
      else onClick?.(placeOf(event));
    },
  };
  return { on, drag };
}
