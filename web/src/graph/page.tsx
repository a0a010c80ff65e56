/** The graph: who talks to whom, how much, how well, and how safely; now, or at any moment. */
import { useMemo, useRef, useState } from 'react';
import type { GraphAnswer } from '#console/api/graph.ts';
import { useReducedMotion } from '../store/motion.ts';
import { usePage } from '../store/page.ts';
import { useQuery } from '../store/query.ts';
import { useScope } from '../store/scope.ts';
import { setQuery } from '../store/url.ts';
import { DiagnosisList, Empty, Failure, Loading } from '../ui/states.tsx';
import type { Emphasis } from './draw/paint.ts';
import type { Looking } from './draw/stage.ts';
import { found, hidden } from './find/apply.ts';
import { parseExpression } from './find/parse.ts';
import styles from './graph.module.css';
import { GraphTable } from './graph-table.tsx';
import { graphAddress } from './live/asked.ts';
import type { BegunGraph } from './live/client.ts';
import { compared } from './scene/compare.ts';
import { togetherWith } from './scene/hit.ts';
import { announcementOf } from './view/announce.ts';
import { commandsOf } from './view/commands.ts';
import { ContextMenu, type MenuPlace } from './view/context-menu.tsx';
import { exportsOf } from './view/exports.ts';
import { GraphCanvas, type GraphCanvasHandle } from './view/graph-canvas.tsx';
import { Legend } from './view/legend.tsx';
import { menuOf, menuTitle } from './view/menu-items.ts';
import { flag, select, setFocus, useOptions } from './view/options.ts';
import type { GraphViewOptions } from './view/options-of.ts';
import { SidePanel, selectedIn } from './view/side-panel.tsx';
import { StatusLine } from './view/status-line.tsx';
import { Toolbar } from './view/toolbar.tsx';
import { useGraph } from './view/use-graph.ts';
import { useLayout } from './view/use-layout.ts';
import { useScenes } from './view/use-scenes.ts';

const KEYS = [
  { key: '← → ↑ ↓', does: 'From node to node' },
  { key: 'Enter', does: 'Only its neighbourhood' },
  { key: 'Shift F10', does: 'What can be done with it' },
  { key: '+ -', does: 'Nearer, farther' },
  { key: '0', does: 'Fit' },
];

/** While nodes and edges are on their way. */
const NONE = [] as const;

export default function GraphPage() {
  const scope = useScope();
  const options = useOptions();
  const live = useGraph(scope, options);
  const older = useQuery<GraphAnswer>(
    options.compare === undefined ? undefined : graphAddress(scope, options, options.compare),
  );
  usePage({
    title: 'Graph',
    commands: commandsOf(scope, options),
    keys: KEYS,
    actions: [
      { title: 'Table of the graph', run: () => setQuery({ table: flag(!options.isTable) }) },
      { title: 'Legend of the graph', run: () => setQuery({ legend: flag(!options.hasLegend) }) },
      { title: 'Find what fails', run: () => setQuery({ find: 'unhealthy' }) },
    ],
  });
  const viewKey = [options.type, scope.namespaces.join(), options.focus, options.hasWaypoints].join(
    ' ',
  );
  // What is seen stays until the next is there, with the places that belong to it.
  const last = useRef<{ graph: GraphAnswer; viewKey: string }>(undefined);
  if (live.graph !== undefined) last.current = { graph: live.graph, viewKey };
  const seen = last.current ?? (isFarEnough(options) ? begunOf(live.begun, viewKey) : undefined);
  if (seen === undefined && live.error !== undefined)
    return <Failure error={live.error} onRetry={live.reload} />;
  // All around the graph is there before it is: making it then would hold the first picture up.
  const shown = seen ?? { graph: COMING, viewKey };
  return <Graph {...shown} older={older.data} live={live} options={options} />;
}

const COMING: GraphAnswer = {
  generatedAt: '',
  at: '',
  windowSeconds: 0,
  type: 'workload',
  isLive: true,
  nodes: [],
  edges: [],
};

/** From far away nothing is shown of single edges. */
function isFarEnough({ find, hide, selected, compare, isTable }: GraphViewOptions): boolean {
  return find === '' && hide === '' && selected.length === 0 && compare === undefined && !isTable;
}

function begunOf(begun: BegunGraph | undefined, viewKey: string) {
  return begun === undefined ? undefined : { graph: begun.graph, viewKey };
}

interface GraphProps {
  readonly graph: GraphAnswer;
  readonly older: GraphAnswer | undefined;
  readonly live: ReturnType<typeof useGraph>;
  readonly options: GraphViewOptions;
  readonly viewKey: string;
}

function Graph({ graph, older, live, options, viewKey }: GraphProps) {
  const isComing = graph === COMING;
  // What stays seen from before is none of what begins.
  const begun = live.begun?.graph === graph ? live.begun : undefined;
  const nodeCount = begun?.nodeCount ?? graph.nodes.length;
  const canvas = useRef<GraphCanvasHandle>(null);
  const [hovered, setHovered] = useState<string>();
  const [looking, setLooking] = useState<Looking>();
  const [menu, setMenu] = useState<MenuPlace>();
  const find = useMemo(() => parseExpression(options.find), [options.find]);
  const hide = useMemo(() => parseExpression(options.hide), [options.hide]);
  const both = useMemo(
    () =>
      older === undefined || options.compare === undefined || isComing
        ? undefined
        : compared(older, graph),
    [older, graph, options.compare, isComing],
  );
  const shown = useMemo(
    () =>
      hidden(
        both === undefined ? graph : { ...graph, nodes: both.nodes, edges: both.edges },
        hide.test,
      ),
    [graph, both, hide],
  );
  const far = live.graph === graph ? live.far : undefined;
  const { layout, tidy } = useLayout({
    view: viewKey,
    nodes: (both ?? graph).nodes,
    edges: (both ?? graph).edges,
    given: far?.layout,
  });
  const scenes = useScenes(
    {
      view: viewKey,
      shown,
      layout,
      label: options.label,
      changes: both?.changes,
      far: shown === graph ? far : undefined,
      begun: begun?.scene,
    },
    () => canvas.current?.stage?.refresh(),
  );
  const matches = useMemo(() => found(shown, find.test), [shown, find]);
  const selected = selectedIn(shown, options.selected);
  const isCalm = useReducedMotion();
  // Of the scene that is seen: at another level what was pointed at may not be there.
  const seen = looking?.scene;
  const focus = useMemo(
    () => (hovered === undefined || seen === undefined ? undefined : togetherWith(seen, hovered)),
    [hovered, seen],
  );
  const input = useMemo(() => {
    const sceneAt = (zoom: number) => scenes.at(zoom);
    const emphasis: Emphasis = { focus, found: matches, selected: new Set(options.selected) };
    return { sceneAt, emphasis, isAnimated: options.isAnimated, isCalm };
  }, [scenes, focus, matches, options.selected, options.isAnimated, isCalm]);
  const exports = exportsOf({
    graph: shown,
    scene: () => scenes.whole('workloads'),
    emphasis: input.emphasis,
    stage: () => canvas.current?.stage,
  });
  const choices = menu === undefined ? [] : menuOf(shown, menu.id);
  const isEmpty = nodeCount === 0 && !isComing;
  return (
    <div className={styles.page}>
      <h1 className={styles.said}>Graph</h1>
      <Toolbar
        options={options}
        findProblem={find.problem}
        hideProblem={hide.problem}
        foundCount={isComing ? undefined : matches?.size}
        exports={begun === undefined && !isComing ? exports : NONE}
        onFit={() => canvas.current?.stage?.fit()}
        onTidy={() => {
          canvas.current?.stage?.forgetView();
          tidy();
        }}
      />
      <div className={styles.body}>
        <div className={styles.stage}>
          {isEmpty ? (
            graph.diagnosis === undefined ? (
              <Empty title="Nothing talked to anything in this window" />
            ) : (
              <DiagnosisList diagnosis={graph.diagnosis} />
            )
          ) : options.isTable && !isComing ? (
            <div className={styles.table}>
              <GraphTable
                graph={shown}
                changes={both?.changes}
                selected={options.selected[0]}
                onSelect={(id) => select([id])}
              />
            </div>
          ) : (
            <GraphCanvas
              ref={canvas}
              input={isComing ? undefined : input}
              fitKey={viewKey}
              label={
                isComing
                  ? 'Graph, on its way'
                  : `Graph of ${begun?.nodeCount ?? shown.nodes.length} nodes and ${begun?.edgeCount ?? shown.edges.length} connections. Arrow keys go from node to node; the table shows the same in rows.`
              }
              announcement={announcementOf(shown, options.selected[0], both?.changes)}
              selected={options.selected[0]}
              onSelect={(id, isAdded) =>
                select(id === undefined ? [] : isAdded ? [...options.selected, id] : [id])
              }
              onHover={setHovered}
              onOpen={setFocus}
              onMenu={setMenu}
              onLook={setLooking}
            />
          )}
          {menu !== undefined && choices.length > 0 && (
            <ContextMenu
              label={menuTitle(shown, menu.id)}
              place={menu}
              choices={choices}
              onClose={(isDone) => {
                setMenu(undefined);
                if (isDone) canvas.current?.focus();
              }}
            />
          )}
          {options.hasLegend && !options.isTable && <Legend />}
          {isComing ? (
            <div className={styles.coming}>
              <Loading what="the graph" />
            </div>
          ) : (
            <StatusLine
              graph={graph}
              shown={shown}
              begun={begun}
              looking={options.isTable ? undefined : looking}
              live={live}
              changes={both?.changes}
            />
          )}
        </div>
        {selected.length > 0 && <SidePanel graph={graph} selected={selected} />}
      </div>
    </div>
  );
}
