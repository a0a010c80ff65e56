/** One workload: how it is and why, what comes in and goes out, who may call it and who does, its logs, what applies to it, its pods. */
import type { WorkloadAnswer } from '#console/api/lists.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf, setQuery, useUrl } from '../../store/url.ts';
import { Chips } from '../../ui/chip.tsx';
import { Segments } from '../../ui/controls.tsx';
import { HealthMark } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Facts, Page, Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { LogsTab } from '../logs/logs-tab.tsx';
import { AppliedList, FindingList } from '../parts/applied.tsx';
import { Dim, Ready } from '../parts/cells.tsx';
import { Columns, Stack, Tabs, useTab, WideAndNarrow } from '../parts/layout.tsx';
import { Missing } from '../parts/missing.tsx';
import { Peers } from '../parts/peers.tsx';
import { SeriesCharts, useChanges } from '../parts/series-charts.tsx';
import { CertificateTable } from '../security/certificates.tsx';
import { PodTable } from './pod-table.tsx';

const REFRESH_MS = 5000;

export function WorkloadPage({ namespace, name }: { namespace: string; name: string }) {
  const { query, isLive } = useScope();
  const answer = useSteadyQuery<WorkloadAnswer>(
    address(`workloads/${namespace}/${name}`, { window: query.window, at: query.at }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  const id = answer.data?.id ?? `workload/${namespace}/${name}`;
  usePage({
    title: name,
    commands: [
      `tulle graph -n ${namespace} --focus ${id}${isWaypoint(id) ? ' --waypoints' : ''}`,
      `tulle tap --workload ${namespace}/${name}`,
      `tulle logs -n ${namespace} deploy/${name}`,
    ],
  });
  const workload = answer.data;
  return (
    <Page
      title={name}
      above={<Link href={hrefOf('/workloads', { ns: namespace })}>{namespace}</Link>}
      note={workload !== undefined && <HealthMark health={workload.health} />}
      lead={workload?.health.reason}
    >
      <Answered
        query={answer}
        what={name}
        missing={
          <Missing
            title={`There is no workload ${name} in ${namespace}`}
            lists={[
              [`Workloads of ${namespace}`, hrefOf('/workloads', { ns: namespace })],
              ['Workloads of all namespaces', hrefOf('/workloads', { ns: undefined })],
            ]}
            command={`tulle get deployments -n ${namespace}`}
          />
        }
      >
        {(data) => <Workload workload={data} />}
      </Answered>
    </Page>
  );
}

function Workload({ workload }: { workload: WorkloadAnswer }) {
  const { policies, config, pods, certificates, findings } = workload;
  const tabs = [
    { key: '', title: 'Traffic' },
    { key: 'logs', title: 'Logs' },
    { key: 'config', title: 'Configuration', count: policies.length + config.length },
    { key: 'pods', title: 'Pods and certificates', count: pods.length },
  ];
  const tab = useTab(tabs);
  return (
    <>
      <Tabs tabs={tabs} label={`Parts of ${workload.name}`} />
      {tab === '' && <TrafficTab workload={workload} />}
      {tab === 'logs' && <LogsTab namespace={workload.namespace} pods={pods} />}
      {tab === 'config' && (
        <Columns>
          <Stack>
            <Panel title="Who may call it" note="in the order in which it is judged">
              <AppliedList
                items={policies}
                nothing="No policy applies: whoever reaches it is let in."
              />
            </Panel>
            <Panel title="Findings">
              <FindingList findings={findings} nothing="Nothing is wrong with what applies here." />
            </Panel>
          </Stack>
          <Panel title="What else changes what it does" note="in order of effect">
            <AppliedList items={config} nothing="Nothing: defaults apply." />
          </Panel>
        </Columns>
      )}
      {tab === 'pods' && (
        <Stack>
          <Panel title="Pods">
            <PodTable pods={pods} namespace={workload.namespace} />
          </Panel>
          <Panel title="Certificates" note="renewed at half of their life">
            <CertificateTable
              rows={certificates}
              empty={
                <Dim>{workload.isCaptured ? 'None was issued yet.' : workload.notCaptured}</Dim>
              }
            />
          </Panel>
        </Stack>
      )}
    </>
  );
}

function TrafficTab({ workload }: { workload: WorkloadAnswer }) {
  const direction = useUrl().query.get('direction') === 'outbound' ? 'outbound' : 'inbound';
  const { id, namespace, graph } = workload;
  const changes = useChanges(namespace);
  return (
    <WideAndNarrow>
      <Stack>
        <Segments
          label="Direction"
          value={direction}
          options={[
            { value: 'inbound', label: 'Inbound' },
            { value: 'outbound', label: 'Outbound' },
          ]}
          onChange={(next) => setQuery({ direction: next === 'inbound' ? undefined : next })}
        />
        <SeriesCharts node={id} direction={direction} changes={changes} />
      </Stack>
      <Stack>
        <Panel
          title="Who calls it"
          actions={
            <Link
              href={hrefOf('/graph', {
                focus: id,
                node: id,
                waypoints: isWaypoint(id) ? '1' : undefined,
              })}
            >
              In the graph
            </Link>
          }
        >
          <Peers
            edges={graph.edges.filter((edge) => edge.target === id)}
            end="source"
            namespace={namespace}
            nothing="Nobody called it in this window."
          />
        </Panel>
        <Panel title="Whom it calls">
          <Peers
            edges={graph.edges.filter((edge) => edge.source === id)}
            end="target"
            namespace={namespace}
            nothing="It called nobody in this window."
          />
        </Panel>
        <Panel title="About it">
          <WorkloadFacts workload={workload} />
        </Panel>
      </Stack>
    </WideAndNarrow>
  );
}

/** The graph shows waypoints only where they are asked for. */
const isWaypoint = (id: string) => id.startsWith('waypoint/');

function WorkloadFacts({ workload }: { workload: WorkloadAnswer }) {
  const {
    kind,
    replicas,
    versions,
    services,
    identity,
    waypoint,
    isCaptured,
    notCaptured,
    app,
    namespace,
    labels,
  } = workload;
  const [waypointNamespace, waypointName] = waypoint.split('/');
  return (
    <Facts
      rows={[
        ['Kind', kind],
        ['Ready', <Ready key="ready" {...replicas} />],
        [
          'Versions',
          versions.length === 0 ? 'none named' : <Chips key="versions" words={versions} />,
        ],
        [
          'App',
          app === '' ? (
            'none named'
          ) : (
            <Link key="app" href={hrefOf(`/apps/${namespace}/${app}`)}>
              {app}
            </Link>
          ),
        ],
        [
          'Services',
          services.length === 0 ? 'none' : <ServiceLinks key="services" keys={services} />,
        ],
        ['Mesh', isCaptured ? 'captured: all of its TCP is under mutual TLS' : notCaptured],
        [
          'Waypoint',
          waypoint === '' ? (
            'none of its own'
          ) : (
            <Link key="waypoint" href={hrefOf(`/workloads/${waypointNamespace}/${waypointName}`)}>
              {waypoint}
            </Link>
          ),
        ],
        ['Identity', <code key="identity">{identity}</code>],
        [
          'Labels',
          <Chips
            key="labels"
            words={Object.entries(labels).map(([key, value]) => `${key}=${value}`)}
          />,
        ],
      ]}
    />
  );
}

/** Keys are `namespace/host`. */
function ServiceLinks({ keys }: { keys: readonly string[] }) {
  return keys.map((key) => {
    const [namespace, host] = key.split('/');
    const name = (host ?? '').split('.')[0];
    return (
      <div key={key}>
        <Link href={hrefOf(`/services/${namespace}/${name}`)}>{name}</Link>
      </div>
    );
  });
}
