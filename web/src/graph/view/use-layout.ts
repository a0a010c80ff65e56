/** Places of the nodes: asked of the worker when a node is new, remembered for each view, and never moved by a refresh. */
import { useEffect, useRef, useState } from 'react';
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import { remember, remembered } from '../../store/remembered.ts';
import { layOutAside } from '../layout/client.ts';
import type { LayoutAnswer, LayoutNode, LayoutRequest } from '../layout/types.ts';

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

/** `view` names what the places belong to: type, namespaces, focus. */
export function useLayout(
  view: string,
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
): PlacedGraph {
  const [state, setState] = useState<{ view: string; layout: LayoutAnswer }>();
  const asked = useRef('');
  const [round, setRound] = useState(0);
  const layout = state?.view === view ? state.layout : undefined;
  useEffect(() => {
    if (nodes.length === 0) return;
    const known = layout ?? rememberedLayout(view);
    const isWhole =
      known !== undefined && nodes.every((node) => known.positions[node.id] !== undefined);
    if (isWhole) {
      if (layout === undefined) setState({ view, layout: known });
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
  }, [view, nodes, edges, layout, round]);
  const tidy = () => {
    forget(view);
    asked.current = '';
    setState(undefined);
    setRound(round + 1);
  };
  return { layout, tidy };
}

export function requestOf(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): LayoutRequest {
  return {
    nodes: nodes.map((node) => ({
      id: node.id,
      namespace: node.namespace,
      app: node.app,
      role: roleOf(node),
    })),
    edges: edges.map((edge) => ({
      source: edge.source,
      target: edge.target,
      weight: 1 + Math.log10(1 + edge.requestsPerSecond + edge.connectionsPerSecond),
    })),
  };
}

function roleOf(node: GraphNode): LayoutNode['role'] {
  if (node.kind === 'gateway') return 'gateway';
  if (node.kind === 'unknown') return 'origin';
  return node.kind === 'external' ? 'external' : 'inner';
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
