/** The graph as a table of its edges: what a screen reader reads, and whoever prefers rows. */
import type { GraphAnswer, GraphEdge } from '#console/api/graph.ts';
import { connectionRate, millis, percent, rate } from '../ui/format.ts';
import { HealthMark } from '../ui/health.tsx';
import { type Column, Table } from '../ui/table.tsx';
import { DIFFERENCE_WORDS } from './scene/compare.ts';
import type { Difference } from './scene/marks.ts';

interface GraphTableProps {
  readonly graph: Pick<GraphAnswer, 'nodes' | 'edges'>;
  /** By id, when two moments are compared. */
  readonly changes?: ReadonlyMap<string, Difference>;
  readonly selected?: string;
  readonly onSelect?: (edge: string) => void;
}

export function GraphTable({ graph, changes, selected, onSelect }: GraphTableProps) {
  const names = new Map(
    graph.nodes.map((node) => [
      node.id,
      node.namespace === '' ? node.name : `${node.namespace}/${node.name}`,
    ]),
  );
  const columns: Column<GraphEdge>[] = [
    {
      key: 'source',
      title: 'From',
      cell: (edge) => names.get(edge.source),
      by: (edge) => names.get(edge.source) ?? '',
    },
    {
      key: 'target',
      title: 'To',
      cell: (edge) => names.get(edge.target),
      by: (edge) => names.get(edge.target) ?? '',
    },
    {
      key: 'health',
      title: 'Health',
      cell: (edge) => <HealthMark health={edge.health} />,
      by: (edge) => edge.health.status,
    },
    {
      key: 'protocol',
      title: 'Protocol',
      cell: (edge) => edge.protocol,
      by: (edge) => edge.protocol,
      hideBelow: 700,
    },
    {
      key: 'rate',
      title: 'Rate',
      isNumber: true,
      cell: (edge) =>
        edge.protocol === 'tcp'
          ? connectionRate(edge.connectionsPerSecond)
          : rate(edge.requestsPerSecond),
      by: (edge) => (edge.protocol === 'tcp' ? edge.connectionsPerSecond : edge.requestsPerSecond),
    },
    {
      key: 'errors',
      title: 'Errors',
      isNumber: true,
      cell: (edge) => percent(edge.errorRate),
      by: (edge) => edge.errorRate,
    },
    {
      key: 'p95',
      title: 'p95',
      isNumber: true,
      cell: (edge) => millis(edge.p95Ms),
      by: (edge) => edge.p95Ms ?? -1,
      hideBelow: 700,
    },
    {
      key: 'mtls',
      title: 'mTLS',
      isNumber: true,
      cell: (edge) => (edge.mtls === undefined ? '–' : percent(edge.mtls)),
      by: (edge) => edge.mtls ?? -1,
      hideBelow: 700,
    },
  ];
  if (changes !== undefined) columns.splice(3, 0, comparedColumn(changes));
  return (
    <Table
      label="Who talks to whom"
      columns={columns}
      rows={graph.edges}
      rowKey={(edge) => edge.id}
      sortedBy="-rate"
      selected={selected}
      onOpen={onSelect === undefined ? undefined : (edge) => onSelect(edge.id)}
    />
  );
}

function comparedColumn(changes: ReadonlyMap<string, Difference>): Column<GraphEdge> {
  const word = (edge: GraphEdge) => {
    const change = changes.get(edge.id);
    return change === undefined ? '' : DIFFERENCE_WORDS[change];
  };
  return { key: 'change', title: 'Compared', cell: word, by: word };
}
