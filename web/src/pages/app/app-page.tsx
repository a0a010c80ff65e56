/** One app over all its workloads: versions side by side on one axis, and its traffic as a whole. */
import type { AppAnswer, WorkloadRow } from '#console/api/lists.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf, setQuery, useUrl } from '../../store/url.ts';
import { Segments } from '../../ui/controls.tsx';
import { HealthMark } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Page, Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { trafficColumns, versionColumn } from '../lists/columns.tsx';
import { Dim, Named, Ready } from '../parts/cells.tsx';
import { Stack } from '../parts/layout.tsx';
import { Missing } from '../parts/missing.tsx';
import { SeriesCharts, useChanges } from '../parts/series-charts.tsx';

const COLUMNS: readonly Column<WorkloadRow>[] = [
  {
    key: 'name',
    title: 'Workload',
    value: (row) => row.name,
    cell: (row) => <Named health={row.health}>{row.name}</Named>,
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
    key: 'health',
    title: 'Health',
    value: (row) => row.health.status,
    cell: (row) => <Dim>{row.health.reason}</Dim>,
    isWide: true,
    weight: 'least',
  },
];

const REFRESH_MS = 5000;

export function AppPage({ namespace, name }: { namespace: string; name: string }) {
  const { query, isLive } = useScope();
  const answer = useSteadyQuery<AppAnswer>(
    address(`apps/${namespace}/${name}`, { window: query.window, at: query.at }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  const direction = useUrl().query.get('direction') === 'outbound' ? 'outbound' : 'inbound';
  const changes = useChanges(namespace);
  usePage({
    title: name,
    commands: [`tulle graph --type app -n ${namespace} --focus app/${namespace}/${name}`],
  });
  return (
    <Page
      title={name}
      above={<Link href={hrefOf('/apps', { ns: namespace })}>{namespace}</Link>}
      note={answer.data !== undefined && <HealthMark health={answer.data.health} />}
      lead={answer.data?.health.reason}
      actions={
        <Link href={hrefOf('/graph', { type: 'app', focus: `app/${namespace}/${name}` })}>
          In the graph
        </Link>
      }
    >
      <Answered
        query={answer}
        what={name}
        missing={
          <Missing
            title={`There is no app ${name} in ${namespace}`}
            lists={[
              [`Apps of ${namespace}`, hrefOf('/apps', { ns: namespace })],
              ['Apps of all namespaces', hrefOf('/apps', { ns: undefined })],
            ]}
            command={`tulle graph --type app -n ${namespace} --idle`}
          />
        }
      >
        {(app) => (
          <Stack>
            <Panel title="Workloads side by side">
              <DataTable
                label="Workloads"
                rows={app.workloadRows}
                columns={COLUMNS}
                keyOf={(row) => row.id}
                hrefOf={(row) => hrefOf(`/workloads/${row.namespace}/${row.name}`)}
                sort={{ key: 'version', isDescending: false }}
                empty={<Dim>No workload carries this app label.</Dim>}
              />
            </Panel>
            <Segments
              label="Direction"
              value={direction}
              options={[
                { value: 'inbound', label: 'Inbound' },
                { value: 'outbound', label: 'Outbound' },
              ]}
              onChange={(next) => setQuery({ direction: next === 'inbound' ? undefined : next })}
            />
            <SeriesCharts node={app.id} type="app" direction={direction} changes={changes} />
          </Stack>
        )}
      </Answered>
    </Page>
  );
}
