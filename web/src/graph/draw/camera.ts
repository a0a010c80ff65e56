/** Where one looks: panning, zooming around a point, fitting. Pure. */
import { MAP_OVERHANG } from '../layout/types.ts';
import { type Box, besides } from '../scene/marks.ts';
import type { View } from './paint.ts';

export const ZOOM_MIN = 0.02;
export const ZOOM_MAX = 3;
/** Fitting never blows a small graph up. */
const FIT_ZOOM_MAX = 1.15;

export function fit(view: View, bounds: Box): View {
  const zoom = clamp(
    Math.min(view.width / bounds.width, view.height / bounds.height, FIT_ZOOM_MAX),
  );
  return {
    ...view,
    zoom,
    x: bounds.x + bounds.width / 2 - view.width / zoom / 2,
    y: bounds.y + bounds.height / 2 - view.height / zoom / 2,
  };
}

/** Under it nobody can read a name. */
const READABLE_ZOOM = 0.5;
/** A phone held upright. On it a part that can be read is less than two columns, so that a map of all with short names says more, down to where nothing is told apart. */
const NARROW_WIDTH = 640;
const MAP_ZOOM = 0.15;

export const isNarrow = ({ width }: Pick<View, 'width'>): boolean => width < NARROW_WIDTH;

/** All of it; on a phone with room for the names that stand out at its sides. */
export function fitWhole(view: View, bounds: Box): View {
  const whole = fit(view, bounds);
  if (whole.zoom >= READABLE_ZOOM || !isNarrow(view)) return whole;
  return fit(view, besides(bounds, MAP_OVERHANG));
}

/** Where one looks first: at all of it, or, where that could not be read, at what matters most. */
export function firstView(view: View, bounds: Box, matter: Box | undefined): View {
  const whole = fitWhole(view, bounds);
  if (whole.zoom >= (isNarrow(view) ? MAP_ZOOM : READABLE_ZOOM) || matter === undefined)
    return whole;
  const zoom = READABLE_ZOOM + 0.2;
  const [width, height] = [view.width / zoom, view.height / zoom];
  return {
    ...view,
    zoom,
    x: matter.x + matter.width / 2 - width / 2,
    y: matter.y + matter.height / 2 - height / 2,
  };
}

/** The point of the screen stays over the same point of the world. */
export function zoomAt(view: View, factor: number, sx: number, sy: number): View {
  const zoom = clamp(view.zoom * factor);
  return {
    ...view,
    zoom,
    x: view.x + sx / view.zoom - sx / zoom,
    y: view.y + sy / view.zoom - sy / zoom,
  };
}

export function pan(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x - dx / view.zoom, y: view.y - dy / view.zoom };
}

/** Moves only as far as is needed to have the box in view. */
export function reveal(view: View, box: Box): View {
  const margin = 24 / view.zoom;
  const [width, height] = [view.width / view.zoom, view.height / view.zoom];
  const into = (start: number, size: number, from: number, length: number) => {
    if (from - margin < start) return from - margin;
    if (from + length + margin > start + size) return from + length + margin - size;
    return start;
  };
  return {
    ...view,
    x: into(view.x, width, box.x, box.width),
    y: into(view.y, height, box.y, box.height),
  };
}

export function toWorld(view: View, sx: number, sy: number): { x: number; y: number } {
  return { x: view.x + sx / view.zoom, y: view.y + sy / view.zoom };
}

function clamp(zoom: number): number {
  return Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, zoom));
}
