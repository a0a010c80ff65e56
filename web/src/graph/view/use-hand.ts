/** Pointer and wheel on the graph. A click is a press that did not move; two fingers zoom. */
import { type PointerEvent, type RefObject, useEffect, useRef } from 'react';
import type { Stage } from '../draw/stage.ts';
import type { Hit } from '../scene/hit.ts';

interface HandEvents {
  readonly onSelect: (id: string | undefined, isAdded: boolean) => void;
  readonly onHover: (id: string | undefined) => void;
  readonly onOpen: (id: string) => void;
}

type HitOf = (x: number, y: number) => Hit | undefined;

/** Pixels: less is no drag. */
const STILL = 4;
const DOUBLE_MS = 320;

interface Press {
  readonly x: number;
  readonly y: number;
  moved: boolean;
}

export function useHand(stage: RefObject<Stage | null>, hitOf: HitOf, events: HandEvents) {
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const press = useRef<Press>(undefined);
  const lastClick = useRef({ id: '', atMs: 0 });
  const hovered = useRef<string>(undefined);
  useWheel(stage);

  const hover = (id: string | undefined) => {
    if (id === hovered.current) return;
    hovered.current = id;
    events.onHover(id);
  };
  const click = (event: PointerEvent, x: number, y: number) => {
    const hit = hitOf(x, y);
    if (hit?.kind === 'field' || hit === undefined) return events.onSelect(undefined, false);
    const isDouble =
      lastClick.current.id === hit.id && event.timeStamp - lastClick.current.atMs < DOUBLE_MS;
    lastClick.current = { id: hit.id, atMs: event.timeStamp };
    if (isDouble && hit.kind === 'node') events.onOpen(hit.id);
    else events.onSelect(hit.id, event.shiftKey);
  };
  return {
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      // The other button asks for the menu.
      if (event.button === 2) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      const { x, y } = placeOf(event);
      fingers.current.set(event.pointerId, { x, y });
      press.current = { x, y, moved: false };
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      const at = placeOf(event);
      const before = fingers.current.get(event.pointerId);
      if (before === undefined) {
        const hit = hitOf(at.x, at.y);
        event.currentTarget.style.cursor =
          hit === undefined || hit.kind === 'field' ? '' : 'pointer';
        hover(hit?.kind === 'field' ? undefined : hit?.id);
        return;
      }
      const other = [...fingers.current].find(([id]) => id !== event.pointerId)?.[1];
      fingers.current.set(event.pointerId, at);
      if (other !== undefined) pinch(stage.current, before, at, other);
      else if (press.current !== undefined) {
        press.current.moved ||= Math.hypot(at.x - press.current.x, at.y - press.current.y) > STILL;
        if (press.current.moved) stage.current?.pan(at.x - before.x, at.y - before.y);
      }
    },
    onPointerUp: (event: PointerEvent<HTMLElement>) => {
      const { x, y } = placeOf(event);
      fingers.current.delete(event.pointerId);
      if (press.current?.moved === false && fingers.current.size === 0) click(event, x, y);
      press.current = undefined;
    },
    onPointerCancel: (event: PointerEvent<HTMLElement>) => {
      fingers.current.delete(event.pointerId);
      press.current = undefined;
    },
    onPointerLeave: () => hover(undefined),
  };
}

function placeOf(event: PointerEvent<HTMLElement>): { x: number; y: number } {
  const { left, top } = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

interface Place {
  readonly x: number;
  readonly y: number;
}

function pinch(stage: Stage | null, before: Place, after: Place, other: Place): void {
  const grownBy =
    Math.hypot(after.x - other.x, after.y - other.y) /
    Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
  stage?.zoom(grownBy, other.x, other.y);
}

/** Not React's: only a listener that is not passive may keep the page from scrolling. */
function useWheel(stage: RefObject<Stage | null>): void {
  useEffect(() => {
    const take = (event: WheelEvent) => {
      const target = (event.target as Element).closest('[role=application]');
      const own = stage.current;
      if (target === null || own === null) return;
      event.preventDefault();
      const { left, top } = target.getBoundingClientRect();
      // Trackpads pan with two fingers and zoom with ctrl; a wheel only goes up and down, in steps.
      const isWheel = event.deltaX === 0 && Math.abs(event.deltaY) >= 50 && !event.ctrlKey;
      if (isWheel || event.ctrlKey)
        own.zoom(
          1.0016 ** -(event.deltaY * (event.ctrlKey && !isWheel ? 4 : 1)),
          event.clientX - left,
          event.clientY - top,
        );
      else own.pan(-event.deltaX, -event.deltaY);
    };
    addEventListener('wheel', take, { passive: false });
    return () => removeEventListener('wheel', take);
  }, [stage]);
}
