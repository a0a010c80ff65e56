/** The graph as a table of its edges: what a screen reader reads, and whoever prefers rows. */
import { useMemo } from 'react';
import type { GraphAnswer, GraphEdge } from '#console/api/graph.ts';
import { connectionRate, millis, percent, rate } from '../ui/format.ts';
import { HealthMark } from '../ui/health.tsx';
import { type Column, DataTable } from '../ui/table.tsx';
import { DIFFERENCE_WORDS } from './scene/compare.ts';
import type { Difference } from './scene/marks.ts';

interface GraphTableProps {
  readonly graph: Pick<GraphAnswer, 'nodes' | 'edges'>;
  /** By id, when two moments are compared. */
  readonly changes?: ReadonlyMap<string, Difference>;
  readonly selected?: string;
  readonly onSelect: (edge: string) => void;
}

const SORT = { key: 'rate', isDescending: true };

export function GraphTable({ graph, changes, selected, onSelect }: GraphTableProps) {
  const { nodes, edges } = graph;
  const columns = useMemo(() => columnsOf(nodes, changes), [nodes, changes]);
  return (
    <DataTable
      label="Who talks to whom"
      columns={columns}
      rows={edges}
      keyOf={(edge) => edge.id}
      sort={SORT}
      openKey={selected}
      onOpen={(edge) => onSelect(edge.id)}
      empty="No connection is shown."
      isFilled
    />
  );
}

function columnsOf(
  nodes: GraphAnswer['nodes'],
  changes: ReadonlyMap<string, Difference> | undefined,
): readonly Column<GraphEdge>[] {
  const names = new Map(
    nodes.map((node) => [
      node.id,
      node.namespace === '' ? node.name : `${node.namespace}/${node.name}`,
    ]),
  );
  const isTcp = (edge: GraphEdge) => edge.protocol === 'tcp';
  const columns: Column<GraphEdge>[] = [
    { key: 'source', title: 'From', value: (edge) => names.get(edge.source) },
    { key: 'target', title: 'To', value: (edge) => names.get(edge.target) },
    {
      key: 'health',
      title: 'Health',
      value: (edge) => edge.health.status,
      cell: (edge) => <HealthMark health={edge.health} />,
    },
    { key: 'protocol', title: 'Protocol', value: (edge) => edge.protocol, weight: 'least' },
    {
      key: 'rate',
      title: 'Rate',
      ...NUMBER,
      value: (edge) => (isTcp(edge) ? edge.connectionsPerSecond : edge.requestsPerSecond),
      cell: (edge) =>
        isTcp(edge) ? connectionRate(edge.connectionsPerSecond) : rate(edge.requestsPerSecond),
    },
    {
      key: 'errors',
      title: 'Errors',
      ...NUMBER,
      value: (edge) => edge.errorRate,
      cell: (edge) => percent(edge.errorRate),
    },
    {
      key: 'p95',
      title: 'p95',
      ...NUMBER,
      value: (edge) => edge.p95Ms,
      cell: (edge) => millis(edge.p95Ms),
      weight: 'least',
    },
    {
      key: 'mtls',
      title: 'mTLS',
      ...NUMBER,
      value: (edge) => edge.mtls,
      cell: (edge) => (edge.mtls === undefined ? '–' : percent(edge.mtls)),
      weight: 'least',
    },
  ];
  if (changes !== undefined) columns.splice(3, 0, comparedColumn(changes));
  return columns;
}

const NUMBER = { isRight: true, isDescending: true } as const;

function comparedColumn(changes: ReadonlyMap<string, Difference>): Column<GraphEdge> {
  const word = (edge: GraphEdge) => {
    const change = changes.get(edge.id);
    return change === undefined ? undefined : DIFFERENCE_WORDS[change];
  };
  return { key: 'change', title: 'Compared', value: word, cell: (edge) => word(edge) ?? '' };
}
