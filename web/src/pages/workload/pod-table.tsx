/** Pods of a workload, each with the way to its logs. */
import type { PodRow } from '#console/api/lists.ts';
import { url, withQuery } from '../../store/url.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Age, Dim } from '../parts/cells.tsx';

const logsHref = (pod: PodRow) =>
  url().path + withQuery(url().query, { tab: 'logs', pod: pod.name, sort: '' });

const COLUMNS: readonly Column<PodRow>[] = [
  { key: 'pod', title: 'Pod', value: (row) => row.name },
  {
    key: 'phase',
    title: 'State',
    value: (row) => (row.isReady ? 'ready' : row.phase),
    cell: (row) => (
      <>
        <HealthGlyph status={row.isReady ? 'healthy' : 'failing'} />{' '}
        {row.isReady ? 'ready' : row.phase}
      </>
    ),
  },
  {
    key: 'captured',
    title: 'Mesh',
    value: (row) => (row.isCaptured ? 'captured' : 'not captured'),
  },
  { key: 'node', title: 'Node', value: (row) => row.node, weight: 'least' },
  {
    key: 'ip',
    title: 'Address',
    value: (row) => row.ip,
    cell: (row) => <code>{row.ip}</code>,
    weight: 'least',
  },
  {
    key: 'restarts',
    title: 'Restarts',
    value: (row) => row.restarts,
    isRight: true,
    isDescending: true,
  },
  {
    key: 'age',
    title: 'Started',
    value: (row) => Date.parse(row.startedAt),
    cell: (row) => <Age at={row.startedAt} />,
    isRight: true,
  },
  {
    key: 'logs',
    title: 'Logs',
    value: () => '',
    cell: (row) => <Link href={logsHref(row)}>logs</Link>,
  },
];

export function PodTable({ pods, namespace }: { pods: readonly PodRow[]; namespace: string }) {
  return (
    <DataTable
      label="Pods"
      rows={pods}
      columns={COLUMNS}
      keyOf={(row) => row.name}
      sort={{ key: 'pod', isDescending: false }}
      empty={<Dim>No pod runs in {namespace} for it.</Dim>}
    />
  );
}
