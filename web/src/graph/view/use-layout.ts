/** Places of the nodes: asked of the worker when a node is new, remembered for each view, and never moved by a refresh. */
import { useEffect, useRef, useState } from 'react';
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import { remember, remembered } from '../../store/remembered.ts';
import { requestOf } from '../layout/request.ts';
import type { LayoutAnswer } from '../layout/types.ts';
import { layOutAside } from '../live/client.ts';

/** Larger ones come out the same each time, and would fill the browser's store. */
const REMEMBERED_NODES_MAX = 300;
const VIEWS_REMEMBERED = 12;

interface Kept {
  readonly view: string;
  readonly layout: LayoutAnswer;
}

export interface PlacedGraph {
  readonly layout: LayoutAnswer | undefined;
  /** Forgets all places and begins anew. */
  readonly tidy: () => void;
}

export interface PlacedRequest {
  /** Names what the places belong to: type, namespaces, focus. */
  readonly view: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Made beforehand; used where no places are known. */
  readonly given: LayoutAnswer | undefined;
}

export function useLayout({ view, nodes, edges, given }: PlacedRequest): PlacedGraph {
  const [state, setState] = useState<{ view: string; layout: LayoutAnswer }>();
  const asked = useRef('');
  const [round, setRound] = useState(0);
  const own = state?.view === view ? state.layout : undefined;
  const layout = own ?? (round === 0 ? given : undefined);
  useEffect(() => {
    if (nodes.length === 0) return;
    const known = layout ?? rememberedLayout(view);
    const isWhole =
      known !== undefined && nodes.every((node) => known.positions[node.id] !== undefined);
    if (isWhole) {
      if (own === undefined) setState({ view, layout: known });
      return;
    }
    const key = `${round} ${view} ${nodes.map((node) => node.id).join(' ')}`;
    if (asked.current === key) return;
    asked.current = key;
    void layOutAside({ ...requestOf(nodes, edges), kept: known?.positions }).then((answer) => {
      if (asked.current !== key) return;
      keep(view, answer);
      setState({ view, layout: answer });
    });
  }, [view, nodes, edges, layout, own, round]);
  const tidy = () => {
    forget(view);
    asked.current = '';
    setState(undefined);
    setRound(round + 1);
  };
  return { layout, tidy };
}

const STORE = 'graph.places';

function rememberedLayout(view: string): LayoutAnswer | undefined {
  return remembered<readonly Kept[]>(STORE, []).find((each) => each.view === view)?.layout;
}

function keep(view: string, layout: LayoutAnswer): void {
  if (Object.keys(layout.positions).length > REMEMBERED_NODES_MAX) return;
  const others = remembered<readonly Kept[]>(STORE, []).filter((each) => each.view !== view);
  remember(STORE, [{ view, layout }, ...others].slice(0, VIEWS_REMEMBERED));
}

function forget(view: string): void {
  remember(
    STORE,
    remembered<readonly Kept[]>(STORE, []).filter((each) => each.view !== view),
  );
}
