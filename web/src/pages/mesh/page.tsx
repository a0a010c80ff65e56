/** The mesh itself, on one page: is it the problem? */
import type { ControlRow, MeshAnswer, ProxyRow } from '#console/api/mesh.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { CopyButton } from '../../ui/code.tsx';
import { ExportMenu } from '../../ui/export.tsx';
import { bytes, counted, percent } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Facts, Page, Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Age, Dash, Dim, Meter } from '../parts/cells.tsx';
import { Stack } from '../parts/layout.tsx';
import css from './mesh.module.css';
import { type MeshCheck, meshChecks, meshVerdict } from './mesh-checks.ts';

const REFRESH_MS = 5000;

export default function MeshPage() {
  const answer = useSteadyQuery<MeshAnswer>(address('mesh'), { refreshMs: REFRESH_MS });
  usePage({ title: 'Mesh', commands: ['tulle status', 'tulle proxy list', 'tulle doctor'] });
  return (
    <Page
      title="Mesh"
      note={
        answer.data &&
        `version ${answer.data.version}, trust domain ${answer.data.trustDomain}, cluster ${answer.data.clusterId}`
      }
      actions={
        answer.data && (
          <ExportMenu
            name="mesh"
            choices={[{ format: 'JSON', make: () => JSON.stringify(answer.data, null, 2) }]}
          />
        )
      }
    >
      <Answered query={answer} what="mesh">
        {(mesh) => <Mesh mesh={mesh} />}
      </Answered>
    </Page>
  );
}

const GLYPHS = { good: 'healthy', watch: 'degraded', bad: 'failing', unknown: 'unknown' } as const;
const WORDS = { good: 'Good', watch: 'Worth a look', bad: 'Bad', unknown: 'Not known' } as const;

function Mesh({ mesh }: { mesh: MeshAnswer }) {
  const checks = meshChecks(mesh);
  const verdict = meshVerdict(mesh, checks);
  const { control, proxies, problems, store } = mesh;
  return (
    <Stack>
      <p className={css.verdict}>
        <HealthGlyph status={GLYPHS[verdict.state]} />
        {verdict.sentence}
      </p>
      <ul className={css.checks} aria-label="Checks">
        {checks.map((check) => (
          <Check key={check.question} check={check} />
        ))}
      </ul>
      {problems.length > 0 && (
        <Panel title="Problems">
          <ul className={css.problems}>
            {problems.map(({ message, since }) => (
              <li key={message}>
                {message} <Age at={since} />
              </li>
            ))}
          </ul>
        </Panel>
      )}
      <Panel title="Control plane" note={`${control.length}`}>
        <DataTable
          label="Control plane"
          rows={control}
          columns={controlColumns(control)}
          keyOf={(row) => row.pod}
          sort={{ key: 'pod', isDescending: false }}
          sortName="control"
          empty={<Dim>No replica is known.</Dim>}
        />
      </Panel>
      <Panel title="Proxies" note={`${proxies.length}`}>
        <DataTable
          label="Proxies"
          rows={proxies}
          columns={proxyColumns(proxies)}
          keyOf={(row) => `${row.namespace}/${row.name}`}
          sort={{ key: 'sync', isDescending: true }}
          empty={<Dim>No proxy is connected.</Dim>}
        />
      </Panel>
      <Panel title="What is kept">
        <div className={css.narrow}>
          <Facts
            rows={[
              ['Where', store.isPersistent ? 'on disk' : 'in memory: a restart forgets it'],
              ['Size', bytes(store.bytes)],
              [
                'Reaches back to',
                store.oldest === undefined ? 'nothing yet' : <Age key="oldest" at={store.oldest} />,
              ],
              [
                'Dropped',
                `${store.droppedSpans.toLocaleString('en-US')} spans, ${store.droppedRecords.toLocaleString('en-US')} records`,
              ],
            ]}
          />
        </div>
      </Panel>
    </Stack>
  );
}

function Check({ check: { question, state, answer, command } }: { check: MeshCheck }) {
  return (
    <li>
      <span title={WORDS[state]}>
        <HealthGlyph status={GLYPHS[state]} />
      </span>
      <span>{question}</span>
      <span>{answer}</span>
      <CopyButton text={command} label={`Copy: ${command}`} />
    </li>
  );
}

interface Used {
  readonly memoryBytes?: number;
  readonly cpu?: number;
}

/** Bars are against the largest in the same table. */
function usageColumns<Row extends Used>(rows: readonly Row[]): Column<Row>[] {
  const most = (pick: (row: Row) => number | undefined) =>
    Math.max(...rows.map((row) => pick(row) ?? 0), 1e-9);
  const memory = most((row) => row.memoryBytes);
  const cpu = most((row) => row.cpu);
  return [
    {
      key: 'memory',
      title: 'Memory',
      value: (row) => row.memoryBytes,
      cell: ({ memoryBytes }) =>
        memoryBytes === undefined ? (
          <Dash />
        ) : (
          <Meter share={memoryBytes / memory}>{bytes(memoryBytes)}</Meter>
        ),
      isDescending: true,
      weight: 'least',
    },
    {
      key: 'cpu',
      title: 'CPU, of a core',
      value: (row) => row.cpu,
      cell: (row) =>
        row.cpu === undefined ? <Dash /> : <Meter share={row.cpu / cpu}>{percent(row.cpu)}</Meter>,
      isDescending: true,
      weight: 'least',
    },
  ];
}

const controlColumns = (rows: readonly ControlRow[]): Column<ControlRow>[] => [
  {
    key: 'pod',
    title: 'Replica',
    value: (row) => row.pod,
    cell: (row) => (
      <>
        <HealthGlyph status={row.isReady ? 'healthy' : 'failing'} /> {row.pod}
      </>
    ),
  },
  {
    key: 'ready',
    title: 'State',
    value: (row) => (row.isReady ? (row.isLeader ? 'ready, leads' : 'ready') : 'not ready'),
  },
  { key: 'version', title: 'Version', value: (row) => row.version },
  { key: 'revision', title: 'Revision', value: (row) => row.revision, weight: 'lesser' },
  ...usageColumns(rows),
  {
    key: 'proxies',
    title: 'Proxies',
    value: (row) => row.proxies,
    isRight: true,
    isDescending: true,
  },
  {
    key: 'pushes',
    title: 'Pushes',
    value: (row) => row.pushesPerSecond,
    cell: (row) =>
      row.pushesPerSecond === undefined ? <Dash /> : `${row.pushesPerSecond.toFixed(1)}/s`,
    isRight: true,
    isDescending: true,
    weight: 'least',
  },
  {
    key: 'started',
    title: 'Started',
    value: (row) => Date.parse(row.startedAt),
    cell: (row) => <Age at={row.startedAt} />,
    isRight: true,
    weight: 'least',
  },
];

const SYNC: Readonly<
  Record<
    ProxyRow['sync'],
    {
      readonly glyph: 'healthy' | 'degraded' | 'failing';
      readonly badness: number;
      readonly word: string;
    }
  >
> = {
  synced: { glyph: 'healthy', badness: 0, word: 'in sync' },
  waiting: { glyph: 'degraded', badness: 1, word: 'waiting' },
  disconnected: { glyph: 'failing', badness: 2, word: 'disconnected' },
  refused: { glyph: 'failing', badness: 3, word: 'refuses' },
};

const proxyColumns = (rows: readonly ProxyRow[]): Column<ProxyRow>[] => [
  { key: 'name', title: 'Proxy', value: (row) => `${row.namespace}/${row.name}`, isText: true },
  {
    key: 'kind',
    title: 'Kind',
    value: (row) => row.kind,
    cell: (row) => <Dim>{row.kind}</Dim>,
    weight: 'least',
  },
  {
    key: 'sync',
    title: 'Configuration',
    value: (row) => SYNC[row.sync].word,
    order: (row) => SYNC[row.sync].badness,
    cell: (row) => (
      <span title={row.detail}>
        <HealthGlyph status={SYNC[row.sync].glyph} /> {SYNC[row.sync].word}{' '}
        {row.detail !== '' && <Dim>{row.detail}</Dim>}
      </span>
    ),
    isDescending: true,
  },
  { key: 'node', title: 'Node', value: (row) => row.node || undefined, weight: 'lesser' },
  { key: 'version', title: 'Version', value: (row) => row.version, weight: 'lesser' },
  ...usageColumns(rows),
  {
    key: 'serves',
    title: 'Serves',
    value: (row) => row.serves,
    cell: (row) => counted(row.serves, row.kind === 'node' ? 'pod' : 'service'),
    isRight: true,
    isDescending: true,
    weight: 'least',
  },
  {
    key: 'connections',
    title: 'Connections',
    value: (row) => row.connections,
    isRight: true,
    isDescending: true,
    weight: 'lesser',
  },
  {
    key: 'clock',
    title: 'Clock',
    value: (row) => row.clockOffsetMs,
    cell: (row) =>
      row.clockOffsetMs === undefined ? (
        <Dash />
      ) : (
        `${row.clockOffsetMs > 0 ? '+' : ''}${Math.round(row.clockOffsetMs)} ms`
      ),
    isRight: true,
    isDescending: true,
    weight: 'lesser',
  },
  {
    key: 'reported',
    title: 'Reported',
    value: (row) => (row.reportedAt === undefined ? undefined : Date.parse(row.reportedAt)),
    cell: (row) => (row.reportedAt === undefined ? <Dash /> : <Age at={row.reportedAt} />),
    isRight: true,
    weight: 'least',
  },
];
