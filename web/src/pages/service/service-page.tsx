/** One service: how it answers, who calls it, its endpoints with those that are ejected, what routes and policies say of it. */
import type { GraphAnswer } from '#console/api/graph.ts';
import type { EndpointRow, ServiceAnswer } from '#console/api/lists.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf } from '../../store/url.ts';
import { Chips } from '../../ui/chip.tsx';
import { HealthGlyph, HealthMark } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Facts, Page, Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { AppliedList, FindingList } from '../parts/applied.tsx';
import { Dim } from '../parts/cells.tsx';
import { Columns, Stack, Tabs, useTab, WideAndNarrow } from '../parts/layout.tsx';
import { Missing } from '../parts/missing.tsx';
import { Peers } from '../parts/peers.tsx';
import { SeriesCharts, useChanges } from '../parts/series-charts.tsx';

const REFRESH_MS = 5000;

export function ServicePage({ namespace, name }: { namespace: string; name: string }) {
  const { query, isLive } = useScope();
  const answer = useSteadyQuery<ServiceAnswer>(
    address(`services/${namespace}/${name}`, { window: query.window, at: query.at }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  const host = answer.data?.host ?? `${name}.${namespace}.svc.cluster.local`;
  usePage({
    title: name,
    commands: [
      `tulle get service ${name} -n ${namespace} -o yaml`,
      `tulle tap --service ${host}`,
      `tulle why --to ${name}.${namespace}`,
    ],
  });
  const service = answer.data;
  return (
    <Page
      title={name}
      above={<Link href={hrefOf('/services', { ns: namespace })}>{namespace}</Link>}
      note={service !== undefined && <HealthMark health={service.health} />}
      lead={service?.health.reason}
    >
      <Answered
        query={answer}
        what={name}
        missing={
          <Missing
            title={`There is no service ${name} in ${namespace}`}
            lists={[
              [`Services of ${namespace}`, hrefOf('/services', { ns: namespace })],
              ['Services of all namespaces', hrefOf('/services', { ns: undefined })],
            ]}
            command={`tulle get services -n ${namespace}`}
          />
        }
      >
        {(data) => <Service service={data} />}
      </Answered>
    </Page>
  );
}

function Service({ service }: { service: ServiceAnswer }) {
  const { endpointRows, config, policies, findingRows } = service;
  const tabs = [
    { key: '', title: 'Traffic' },
    { key: 'endpoints', title: 'Endpoints', count: endpointRows.length },
    { key: 'config', title: 'Configuration', count: config.length + policies.length },
  ];
  const tab = useTab(tabs);
  return (
    <>
      <Tabs tabs={tabs} label={`Parts of ${service.name}`} />
      {tab === '' && <TrafficTab service={service} />}
      {tab === 'endpoints' && <Endpoints rows={endpointRows} />}
      {tab === 'config' && (
        <Columns>
          <Panel title="Routes and destinations" note="in order of effect">
            <AppliedList
              items={config}
              nothing="None: requests go to any endpoint, by the default of the mesh."
            />
          </Panel>
          <Stack>
            <Panel title="Who may call it" note="in the order in which it is judged">
              <AppliedList
                items={policies}
                nothing="No policy applies: whoever reaches it is let in."
              />
            </Panel>
            <Panel title="Findings">
              <FindingList
                findings={findingRows}
                nothing="Nothing is wrong with what applies here."
              />
            </Panel>
          </Stack>
        </Columns>
      )}
    </>
  );
}

function TrafficTab({ service }: { service: ServiceAnswer }) {
  const {
    id,
    namespace,
    name,
    host,
    graph,
    addresses,
    ports,
    endpoints,
    waypoint,
    kind,
    workloads,
  } = service;
  const into = graph.edges.filter(
    (edge) => edge.target === id || workloads.includes(edge.target.replace(/^workload\//, '')),
  );
  const changes = useChanges(namespace);
  return (
    <WideAndNarrow>
      <SeriesCharts node={id} direction="inbound" type="service" changes={changes} />
      <Stack>
        <Panel
          title="Who calls it"
          actions={
            <Link href={hrefOf('/graph', { type: 'service', focus: id, node: id })}>
              In the graph
            </Link>
          }
        >
          <Peers
            edges={into}
            end="source"
            namespace={namespace}
            nothing="Nobody called it in this window."
          />
        </Panel>
        <Destinations id={id} namespace={namespace} />
        <Panel
          title="About it"
          actions={
            <Link
              href={hrefOf('/why', {
                host: `${name}.${namespace}`,
                port: `${ports[0]?.port ?? 80}`,
              })}
            >
              Ask why
            </Link>
          }
        >
          <Facts
            rows={[
              ['Kind', kind],
              ['Host', <code key="host">{host}</code>],
              [
                'Addresses',
                addresses.length === 0 ? (
                  'none'
                ) : (
                  <code key="addresses">{addresses.join(' ')}</code>
                ),
              ],
              [
                'Ports',
                <Chips key="ports" words={ports.map((port) => `${port.port} ${port.protocol}`)} />,
              ],
              [
                'Endpoints',
                `${endpoints.ready} of ${endpoints.total} ready${endpoints.ejected > 0 ? `, ${endpoints.ejected} ejected` : ''}`,
              ],
              [
                'Workloads',
                workloads.length === 0
                  ? 'none'
                  : workloads.map((key) => <WorkloadLink key={key} workload={key} />),
              ],
              [
                'Waypoint',
                waypoint === '' ? (
                  'none: HTTP is not looked at'
                ) : (
                  <WorkloadLink key="waypoint" workload={waypoint} />
                ),
              ],
            ]}
          />
        </Panel>
      </Stack>
    </WideAndNarrow>
  );
}

/** Which workloads answer, each with its share: a canary stands beside what it is to replace, with the share that it was meant to have. */
function Destinations({ id, namespace }: { id: string; namespace: string }) {
  const { query, isLive } = useScope();
  const { window, at } = query;
  const answer = useSteadyQuery<GraphAnswer>(
    address('graph', { type: 'workload', focus: id, window, at }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  return (
    <Panel title="Who answers" note="canaries beside the others">
      <Answered query={answer} what="who answers">
        {({ edges }) => (
          <Peers
            edges={edges.filter((edge) => edge.source === id)}
            end="target"
            namespace={namespace}
            nothing="Nobody answered in this window."
          />
        )}
      </Answered>
    </Panel>
  );
}

const WorkloadLink = ({ workload }: { workload: string }) => (
  <div>
    <Link href={hrefOf(`/workloads/${workload}`)}>{workload.split('/')[1] ?? workload}</Link>
  </div>
);

const GLYPHS = {
  healthy: 'healthy',
  unhealthy: 'failing',
  draining: 'idle',
  ejected: 'degraded',
} as const;

const COLUMNS: readonly Column<EndpointRow>[] = [
  {
    key: 'address',
    title: 'Address',
    value: (row) => row.address,
    cell: (row) => <code>{row.address}</code>,
  },
  {
    key: 'health',
    title: 'State',
    value: (row) => row.health,
    cell: (row) => (
      <>
        <HealthGlyph status={GLYPHS[row.health]} /> {row.health}
      </>
    ),
  },
  {
    key: 'workload',
    title: 'Workload',
    value: (row) => row.workload,
    cell: (row) => <Link href={hrefOf(`/workloads/${row.workload}`)}>{row.workload}</Link>,
  },
  { key: 'version', title: 'Version', value: (row) => row.version || undefined },
  {
    key: 'locality',
    title: 'Locality',
    value: (row) => row.locality || undefined,
    weight: 'least',
  },
  {
    key: 'detail',
    title: 'Why',
    value: (row) => row.detail,
    cell: (row) => <Dim>{row.detail}</Dim>,
    isWide: true,
    weight: 'least',
  },
];

function Endpoints({ rows }: { rows: readonly EndpointRow[] }) {
  return (
    <DataTable
      label="Endpoints"
      rows={rows}
      columns={COLUMNS}
      keyOf={(row) => row.address}
      sort={{ key: 'health', isDescending: true }}
      empty={<Dim>No endpoint: the selector of the service matches no pod that runs.</Dim>}
    />
  );
}
