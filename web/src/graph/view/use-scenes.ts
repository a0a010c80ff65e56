/** The scenes of what is shown, made ahead while nothing else is to be done. */
import { useEffect, useMemo, useRef } from 'react';
import type { GraphAnswer } from '#console/api/graph.ts';
import type { LayoutAnswer } from '../layout/types.ts';
import type { FarView } from '../live/far-view.ts';
import type { Scene } from '../scene/marks.ts';
import type { SceneRequest } from '../scene/scene.ts';
import { SceneShelf } from '../scene/shelf.ts';

/** Of a frame of 16 ms, beside everything else. */
const SLICE_MS = 5;
/** A slice comes at the latest after so long, also while every frame is full. */
const PATIENCE_MS = 100;

export interface ScenesRequest extends Pick<SceneRequest, 'label' | 'changes'> {
  /** What the places belong to: scenes of another view are not shown for this one. */
  readonly view: string;
  readonly shown: Pick<GraphAnswer, 'nodes' | 'edges'>;
  readonly layout: LayoutAnswer | undefined;
  /** Of exactly this graph, made beforehand. */
  readonly far: FarView | undefined;
  /** All that is shown while nodes and edges are on their way. */
  readonly begun: Scene | undefined;
}

/** `onMade`: a scene is there that was not when it was asked for. */
export function useScenes(request: ScenesRequest, onMade: () => void): SceneShelf {
  const { view, shown, layout, label, changes, far, begun } = request;
  const last = useRef<{ view: string; shelf: SceneShelf }>(undefined);
  const shelf = useMemo(() => {
    if (layout === undefined || begun !== undefined)
      return new SceneShelf({ nodes: [], edges: [], layout: NOWHERE, label }, { only: begun });
    return new SceneShelf(
      { ...shown, layout, label, changes },
      {
        before: last.current?.view === view ? last.current.shelf : undefined,
        far: far?.layout === layout ? far.scene : undefined,
      },
    );
  }, [view, shown, layout, label, changes, far, begun]);
  const made = useRef(onMade);
  made.current = onMade;
  useEffect(() => {
    if (layout !== undefined) last.current = { view, shelf };
    return whenIdle((mustStop) => {
      if (shelf.work(mustStop)) made.current();
      return shelf.isDone;
    });
  }, [shelf, view, layout]);
  return shelf;
}

const NOWHERE: LayoutAnswer = { positions: {}, bends: {} };

/** Calls `act` until it is done; returns what ends it. */
function whenIdle(act: (mustStop: () => boolean) => boolean): () => void {
  let isOver = false;
  const slice = () => {
    if (isOver) return;
    const until = performance.now() + SLICE_MS;
    if (!act(() => performance.now() > until)) next();
  };
  // Safari has no idle callbacks.
  const next = () =>
    typeof requestIdleCallback === 'undefined'
      ? setTimeout(slice, 2 * SLICE_MS)
      : requestIdleCallback(slice, { timeout: PATIENCE_MS });
  next();
  return () => {
    isOver = true;
  };
}
