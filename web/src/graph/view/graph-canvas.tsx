/** The canvases with hand and keys: drag, wheel, pinch, click, double click; arrows from node to node. */
import {
  type KeyboardEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { useIsDark } from '../../store/theme.ts';
import { toWorld } from '../draw/camera.ts';
import { type Looking, Stage, type StageInput } from '../draw/stage.ts';
import { pointOn } from '../scene/edge-marks.ts';
import { type Direction, hitAt, neighbourIn } from '../scene/hit.ts';
import type { MenuPlace } from './context-menu.tsx';
import styles from './graph-canvas.module.css';
import { useHand } from './use-hand.ts';

export interface GraphCanvasHandle {
  readonly stage: Stage | null;
  focus(): void;
}

export interface GraphCanvasProps {
  /** Undefined: there is nothing to show yet. */
  readonly input: StageInput | undefined;
  readonly label: string;
  /** Says what the selected one is, to those who do not see it. */
  readonly announcement: string;
  readonly selected: string | undefined;
  readonly onSelect: (id: string | undefined, isAdded: boolean) => void;
  readonly onHover: (id: string | undefined) => void;
  readonly onOpen: (id: string) => void;
  /** The menu of something is asked for, there. */
  readonly onMenu: (place: MenuPlace) => void;
  readonly onLook: (looking: Looking) => void;
  /** Names what a new scene is fitted for. */
  readonly fitKey: string;
  readonly ref: Ref<GraphCanvasHandle>;
}

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

export function GraphCanvas(props: GraphCanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage>(null);
  const [isReady, setReady] = useState(false);
  const [isPainted, setPainted] = useState(false);
  const look = useRef(props.onLook);
  look.current = props.onLook;
  useImperativeHandle(props.ref, () => ({
    get stage() {
      return stage.current;
    },
    focus: () => box.current?.focus(),
  }));
  useLayoutEffect(() => {
    const own = new Stage([...box.current!.querySelectorAll('canvas')], (looking) => {
      setPainted(true);
      look.current(looking);
    });
    stage.current = own;
    const watch = new ResizeObserver(([entry]) =>
      own.resize(entry.contentRect.width, entry.contentRect.height),
    );
    watch.observe(box.current!);
    // It tells only after a frame.
    const { width, height } = box.current!.getBoundingClientRect();
    own.resize(width, height);
    void document.fonts.ready.then(() => own.themeChanged());
    setReady(true);
    return () => {
      watch.disconnect();
      own.stop();
    };
  }, []);
  const isDark = useIsDark();
  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read from the page when the theme changes.
  useEffect(() => stage.current?.themeChanged(), [isDark]);
  const { fitKey, input } = props;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new key is why.
  useLayoutEffect(() => stage.current?.forgetView(), [fitKey]);
  useLayoutEffect(() => {
    if (isReady && input !== undefined) stage.current?.show(input);
  }, [input, isReady]);
  const hand = useHand(stage, (x, y) => hitOf(stage.current, x, y), props);
  return (
    <div
      ref={box}
      role="application"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows move from node to node.
      tabIndex={0}
      aria-label={props.label}
      aria-busy={!isPainted}
      aria-describedby="graph-said"
      className={styles.box}
      onKeyDown={(event) => takeKey(event, stage.current, props)}
      onContextMenu={(event) => {
        event.preventDefault();
        const { left, top } = event.currentTarget.getBoundingClientRect();
        const [x, y] = [event.clientX - left, event.clientY - top];
        const hit = hitOf(stage.current, x, y);
        if (hit !== undefined && hit.kind !== 'field') props.onMenu({ id: hit.id, x, y });
      }}
      {...hand}
    >
      <canvas />
      <canvas />
      <canvas />
      <p id="graph-said" aria-live="polite" className={styles.said}>
        {props.announcement}
      </p>
    </div>
  );
}

function hitOf(stage: Stage | null, x: number, y: number) {
  if (stage?.scene == null) return undefined;
  return hitAt(stage.scene, toWorld(stage.view, x, y), stage.view.zoom);
}

/** Of a node or an edge, in the pixels of the box. */
function middleOf({ scene, view }: Stage, id: string): MenuPlace | undefined {
  const box = scene?.nodes.find((mark) => mark.id === id)?.box;
  const curve = scene?.edges.find((mark) => mark.id === id)?.curve;
  if (box === undefined && curve === undefined) return undefined;
  const at =
    box === undefined
      ? pointOn(curve!, 0.5)
      : { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  return { id, x: (at.x - view.x) * view.zoom, y: (at.y - view.y) * view.zoom };
}

function takeKey(event: KeyboardEvent, stage: Stage | null, props: GraphCanvasProps): void {
  if (stage?.scene == null || event.ctrlKey || event.metaKey || event.altKey) return;
  const direction = ARROWS[event.key];
  if (direction !== undefined) {
    event.preventDefault();
    const next = neighbourIn(stage.scene, props.selected, direction);
    if (next === undefined) return;
    stage.reveal(next.box);
    props.onSelect(next.id, false);
    return;
  }
  if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) {
    event.preventDefault();
    const place = props.selected === undefined ? undefined : middleOf(stage, props.selected);
    if (place !== undefined) props.onMenu(place);
  } else if (event.key === '+' || event.key === '=') stage.zoom(1.25);
  else if (event.key === '-') stage.zoom(0.8);
  else if (event.key === '0') stage.fit();
  else if (event.key === 'Escape') props.onSelect(undefined, false);
  else if (event.key === 'Enter' && props.selected !== undefined) props.onOpen(props.selected);
}
