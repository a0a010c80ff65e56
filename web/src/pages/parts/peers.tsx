/** Who is at the other end: one row an edge, the busiest first, with its protocol where the same one stands there by another, too. */
import type { GraphEdge } from '#console/api/graph.ts';
import { PROTOCOL_WORDS, percent } from '../../ui/format.ts';
import { Link, nodeHref } from '../../ui/link.tsx';
import { Dash, Dim, ErrorShare, MtlsLock, Named, TrafficRate } from './cells.tsx';
import { shortName } from './ids.ts';
import css from './lists.module.css';

export interface PeersProps {
  readonly edges: readonly GraphEdge[];
  /** Which end is shown. */
  readonly end: 'source' | 'target';
  readonly namespace: string;
  readonly nothing: string;
}

export function Peers({ edges, end, namespace, nothing }: PeersProps) {
  if (edges.length === 0) return <p className={css.nothing}>{nothing}</p>;
  const busiest = edges.toSorted(
    (a, b) =>
      b.requestsPerSecond - a.requestsPerSecond || b.connectionsPerSecond - a.connectionsPerSecond,
  );
  const isMixed = ({ [end]: peer, protocol }: GraphEdge) =>
    edges.some((other) => other[end] === peer && other.protocol !== protocol);
  return (
    <ul className={css.rows}>
      {busiest.map((edge) => (
        <li key={edge.id} className={css.peer}>
          <Link href={nodeHref(edge[end])}>
            <Named health={edge.health}>{shortName(edge[end], namespace)}</Named>
          </Link>
          <span>
            {isMixed(edge) && <Dim>{PROTOCOL_WORDS[edge.protocol]} </Dim>}
            <TrafficRate traffic={edge} />
          </span>
          <span>
            {edge.protocol === 'tcp' ? (
              <Dash />
            ) : (
              <ErrorShare
                share={edge.errorRate}
                health={edge.health}
                isIdle={edge.requestsPerSecond === 0}
              />
            )}
          </span>
          <MtlsLock share={edge.mtls} isShort />
          {edge.split !== undefined && <Split split={edge.split} />}
        </li>
      ))}
    </ul>
  );
}

/** A weighted route: as written, and as seen. */
function Split({ split: { intended, seen, route } }: { split: NonNullable<GraphEdge['split']> }) {
  return (
    <span className={css.split} title={route}>
      {intended} % intended, {percent(seen / 100)} seen
    </span>
  );
}
