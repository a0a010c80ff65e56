/** The panel of an edge. */
import type { ReactNode } from 'react';
import type { GraphAnswer, GraphEdge } from '#console/api/graph.ts';
import {
  byteRate,
  connectionRate,
  millis,
  PROTOCOL_WORDS,
  percent,
  rate,
} from '../../ui/format.ts';
import { Facts } from '../../ui/panel.tsx';
import { select } from './options.ts';
import { Charts, Codes, FailedRequests, PanelHead, TopPaths } from './panel-parts.tsx';
import styles from './side-panel.module.css';

interface EdgePanelProps {
  readonly edge: GraphEdge;
  readonly graph: GraphAnswer;
  readonly close: ReactNode;
}

export function EdgePanel({ edge, graph, close }: EdgePanelProps) {
  const name = (id: string) => graph.nodes.find((node) => node.id === id)?.name ?? id;
  const title = `${name(edge.source)} → ${name(edge.target)}`;
  return (
    <>
      <PanelHead
        kind={`${PROTOCOL_WORDS[edge.protocol]} connection`}
        title={title}
        health={edge.health}
        close={close}
      />
      <p className={`${styles.actions} ${styles.list}`}>
        <button type="button" onClick={() => select([edge.source])}>
          {name(edge.source)}
        </button>
        <button type="button" onClick={() => select([edge.target])}>
          {name(edge.target)}
        </button>
      </p>
      <Facts rows={factsOf(edge, name)} />
      <Charts subject={{ edge: edge.id }} type={graph.type} />
      <Codes codes={edge.responseCodes} flags={edge.flags} />
      {edge.protocol !== 'tcp' && <TopPaths subject={{ edge: edge.id }} />}
      <FailedRequests subject={{ edge: edge.id }} />
    </>
  );
}

function factsOf(edge: GraphEdge, name: (id: string) => string): (readonly [string, ReactNode])[] {
  const isTcp = edge.protocol === 'tcp';
  const rows: (readonly [string, ReactNode])[] = isTcp
    ? [['Connections', connectionRate(edge.connectionsPerSecond)]]
    : [
        ['Requests', rate(edge.requestsPerSecond)],
        ['p50, p95, p99', [edge.p50Ms, edge.p95Ms, edge.p99Ms].map(millis).join(', ')],
      ];
  rows.push(['Errors', percent(edge.errorRate)], ['Throughput', byteRate(edge.bytesPerSecond)]);
  if (edge.mtls !== undefined)
    rows.push([
      'Mutual TLS',
      edge.mtls === 1 ? 'all of it' : edge.mtls === 0 ? 'none: plaintext' : percent(edge.mtls),
    ]);
  if (edge.via !== undefined) rows.push(['Through', name(edge.via).split('/').pop()]);
  if (edge.split !== undefined)
    rows.push([
      'Share of the route',
      `${edge.split.intended} % intended, ${percent(edge.split.seen / 100)} seen (${edge.split.route})`,
    ]);
  for (const [end, word] of [
    ['source', 'Caller'],
    ['target', 'Called'],
  ] as const) {
    const principals = edge.principals?.[end].filter((each) => each !== '') ?? [];
    if (principals.length > 0)
      rows.push([`${word} is`, <code key={end}>{principals.join(' ')}</code>]);
  }
  return rows;
}
