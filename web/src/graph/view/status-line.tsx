/** One quiet line at the foot of the graph: how much of it is seen, at what moment, under which configuration, and how old it is. */
import type { GraphAnswer } from '#console/api/graph.ts';
import { useNow } from '../../store/clock.ts';
import { clockTime, counted, span } from '../../ui/format.ts';
import type { Looking } from '../draw/stage.ts';
import type { BegunGraph } from '../live/client.ts';
import type { Difference, Level } from '../scene/marks.ts';
import styles from './status-line.module.css';
import type { LiveGraph } from './use-graph.ts';

interface StatusLineProps {
  readonly graph: GraphAnswer;
  readonly shown: Pick<GraphAnswer, 'nodes' | 'edges'>;
  /** While its nodes and edges are on their way. */
  readonly begun: BegunGraph | undefined;
  readonly looking: Looking | undefined;
  readonly live: LiveGraph;
  readonly changes: ReadonlyMap<string, Difference> | undefined;
}

/** Past it live data is called old. */
const STALE_SECONDS = 5;
const LEVEL_WORDS: Readonly<Record<Level, string>> = {
  namespaces: 'by namespace',
  apps: 'by app',
  workloads: '',
};

export function StatusLine({ graph, shown, begun, looking, live, changes }: StatusLineProps) {
  const nowMs = useNow();
  const ageSeconds =
    live.isLost || live.error !== undefined
      ? (nowMs - live.fetchedAt) / 1000
      : (graph.ageSeconds ?? 0);
  const isStale = graph.isLive && ageSeconds > STALE_SECONDS;
  const parts = [
    `${counted(begun?.nodeCount ?? shown.nodes.length, 'node')}, ${counted(begun?.edgeCount ?? shown.edges.length, 'connection')}`,
  ];
  const hiddenCount = graph.nodes.length - shown.nodes.length;
  if (hiddenCount > 0) parts.push(`${hiddenCount} hidden`);
  if (looking !== undefined && LEVEL_WORDS[looking.scene.level] !== '')
    parts.push(LEVEL_WORDS[looking.scene.level]);
  const painted = looking?.painted;
  if (painted !== undefined && painted.drawn.length < painted.edgesInView)
    parts.push(
      `the ${painted.drawn.length.toLocaleString('en-US')} strongest of ${painted.edgesInView.toLocaleString('en-US')} connections here are drawn`,
    );
  if (changes !== undefined) parts.push(differencesIn(changes));
  if (!graph.isLive) parts.push(`at ${clockTime(graph.at)}`);
  if (graph.source === 'prometheus') parts.push('from Prometheus');
  if (graph.configuration !== undefined && !graph.isLive)
    parts.push(
      `${graph.configuration.resource} ${graph.configuration.change} at ${clockTime(graph.configuration.at)} was in force`,
    );
  return (
    <p className={styles.line} role="status">
      {isStale && (
        <strong>
          {live.isLost ? 'Cut off from the control plane' : 'No proxy reports'}: what you see is{' '}
          {span(ageSeconds)} old.{' '}
        </strong>
      )}
      {graph.notice !== undefined && <strong>{graph.notice} </strong>}
      {parts.join(' · ')}
    </p>
  );
}

function differencesIn(changes: ReadonlyMap<string, Difference>): string {
  const counts = new Map<Difference, number>();
  for (const change of changes.values()) counts.set(change, (counts.get(change) ?? 0) + 1);
  if (counts.size === 0) return 'nothing came, went or changed its health';
  return [...counts].map(([change, count]) => `${count} ${change}`).join(', ');
}
