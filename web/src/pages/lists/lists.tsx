/** The lists: workloads, apps and services. */
import type { AppRow, ServiceRow, WorkloadRow } from '#console/api/lists.ts';
import { hrefOf, navigate } from '../../store/url.ts';
import { Chip } from '../../ui/chip.tsx';
import { CommandLine } from '../../ui/code.tsx';
import { Segments } from '../../ui/controls.tsx';
import { Empty } from '../../ui/states.tsx';
import type { Column } from '../../ui/table.tsx';
import { Dash, Dim, Ready } from '../parts/cells.tsx';
import { nameColumns, trafficColumns, versionColumn } from './columns.tsx';
import { ListPage } from './list-page.tsx';

const WORKLOADS: readonly Column<WorkloadRow>[] = [
  ...nameColumns<WorkloadRow>(),
  {
    key: 'kind',
    title: 'Kind',
    value: (row) => row.kind,
    cell: (row) => <Dim>{row.kind}</Dim>,
    isText: true,
    weight: 'lesser',
  },
  versionColumn<WorkloadRow>(),
  {
    key: 'ready',
    title: 'Ready',
    value: (row) => row.replicas.ready - row.replicas.desired,
    cell: (row) => <Ready {...row.replicas} />,
    isRight: true,
  },
  ...trafficColumns<WorkloadRow>(),
  {
    key: 'mesh',
    title: 'Mesh',
    value: (row) => (row.isCaptured ? 'captured' : row.notCaptured),
    cell: (row) =>
      row.isCaptured ? <Dim>captured</Dim> : <Chip title={row.notCaptured}>not captured</Chip>,
    weight: 'least',
  },
  {
    key: 'waypoint',
    title: 'Waypoint',
    value: (row) => row.waypoint,
    cell: (row) => row.waypoint || <Dash />,
    isText: true,
    weight: 'lesser',
  },
];

const SERVICES: readonly Column<ServiceRow>[] = [
  ...nameColumns<ServiceRow>(),
  {
    key: 'host',
    title: 'Host',
    value: (row) => row.host,
    cell: (row) => <Dim>{row.host}</Dim>,
    isText: true,
    weight: 'lesser',
  },
  {
    key: 'ports',
    title: 'Ports',
    value: (row) => row.ports.map((port) => port.port).join(' '),
    cell: (row) => row.ports.map(({ port, protocol }) => `${port} ${protocol}`).join(', '),
    weight: 'least',
  },
  {
    key: 'endpoints',
    title: 'Endpoints',
    value: (row) => row.endpoints.ready - row.endpoints.total,
    cell: ({ endpoints: { ready, total, ejected } }) => (
      <>
        {ejected > 0 && <Dim>{ejected} ejected </Dim>}
        <Ready ready={ready} desired={total} />
      </>
    ),
    isRight: true,
  },
  ...trafficColumns<ServiceRow>(),
  {
    key: 'findings',
    title: 'Findings',
    value: (row) => row.findings,
    cell: (row) => row.findings || <Dash />,
    isDescending: true,
    isRight: true,
    weight: 'lesser',
  },
  {
    key: 'waypoint',
    title: 'Waypoint',
    value: (row) => row.waypoint,
    cell: (row) => row.waypoint || <Dash />,
    isText: true,
    weight: 'lesser',
  },
];

const APPS: readonly Column<AppRow>[] = [
  ...nameColumns<AppRow>(),
  versionColumn<AppRow>(),
  {
    key: 'workloads',
    title: 'Workloads',
    value: (row) => row.workloads.length,
    isRight: true,
    isDescending: true,
  },
  ...trafficColumns<AppRow>(),
];

/** Workloads and apps are two views of the same. */
function Views({ view }: { view: 'workloads' | 'apps' }) {
  return (
    <Segments
      label="View"
      value={view}
      options={[
        { value: 'workloads', label: 'Workloads' },
        { value: 'apps', label: 'Apps' },
      ]}
      onChange={(next) => navigate(hrefOf(`/${next}`))}
    />
  );
}

const nothing = (what: string) => (
  <Empty title={`No ${what} in sight`}>
    <p>
      The namespaces that are chosen above hold none, or what reads here may not see them. Choose
      others, or see what the mesh knows:
    </p>
    <CommandLine text="tulle status" />
  </Empty>
);

export function WorkloadsPage() {
  return (
    <ListPage
      title="Workloads"
      path="workloads"
      columns={WORKLOADS}
      hrefOf={(row) => hrefOf(`/workloads/${row.namespace}/${row.name}`)}
      empty={nothing('workload')}
      commands={['tulle get deployments -A', 'tulle top']}
      actions={<Views view="workloads" />}
    />
  );
}

export function AppsPage() {
  return (
    <ListPage
      title="Apps"
      path="apps"
      columns={APPS}
      hrefOf={(row) => hrefOf(`/apps/${row.namespace}/${row.name}`)}
      empty={nothing('app')}
      commands={['tulle graph --type app']}
      actions={<Views view="apps" />}
    />
  );
}

export function ServicesPage() {
  return (
    <ListPage
      title="Services"
      path="services"
      columns={SERVICES}
      hrefOf={(row) => hrefOf(`/services/${row.namespace}/${row.name}`)}
      empty={nothing('service')}
      commands={['tulle get services -A']}
    />
  );
}
