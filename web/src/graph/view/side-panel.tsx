/** What is known of the selected node or edge: the reason of its health, charts, codes, peers, policies, and the requests behind it. */
import { X } from 'lucide-react';
import type { GraphAnswer, GraphEdge, GraphNode } from '#console/api/graph.ts';
import { IconButton } from '../../ui/controls.tsx';
import { EdgePanel } from './edge-panel.tsx';
import { NodePanel } from './node-panel.tsx';
import { select } from './options.ts';
import styles from './side-panel.module.css';

export type Selected =
  | { readonly node: GraphNode; readonly edge?: undefined }
  | { readonly edge: GraphEdge; readonly node?: undefined };

export function selectedIn(
  graph: Pick<GraphAnswer, 'nodes' | 'edges'>,
  ids: readonly string[],
): Selected[] {
  return ids.flatMap((id): Selected[] => {
    const node = graph.nodes.find((each) => each.id === id);
    if (node !== undefined) return [{ node }];
    const edge = graph.edges.find((each) => each.id === id);
    return edge === undefined ? [] : [{ edge }];
  });
}

interface SidePanelProps {
  readonly graph: GraphAnswer;
  readonly selected: readonly Selected[];
}

export function SidePanel({ graph, selected }: SidePanelProps) {
  return (
    <aside
      className={`${styles.panel} ${selected.length > 1 ? styles.two : ''}`}
      aria-label={selected.length > 1 ? 'Two compared' : 'Details'}
    >
      {selected.map(({ node, edge }) => {
        const id = (node ?? edge).id;
        const close = (
          <IconButton
            label="Close"
            onClick={() =>
              select(
                selected.map((each) => (each.node ?? each.edge).id).filter((each) => each !== id),
              )
            }
          >
            <X />
          </IconButton>
        );
        return (
          <div key={id} className={styles.one}>
            {node !== undefined ? (
              <NodePanel node={node} graph={graph} close={close} />
            ) : (
              <EdgePanel edge={edge} graph={graph} close={close} />
            )}
          </div>
        );
      })}
    </aside>
  );
}
