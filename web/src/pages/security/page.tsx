/** Security: who talks to whom and how, by which modes, under which policies, with which certificates. */
import type { CertificatesAnswer, MtlsAnswer, PolicyHits } from '#console/api/mesh.ts';
import { matrix } from '../../marks/matrix.ts';
import { address } from '../../store/api.ts';
import { now } from '../../store/clock.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf, setQuery, useUrl } from '../../store/url.ts';
import { CommandLine } from '../../ui/code.tsx';
import { Segments } from '../../ui/controls.tsx';
import { ExportMenu, toCsv } from '../../ui/export.tsx';
import { absolute, relative } from '../../ui/format.ts';
import { Page, Panel } from '../../ui/panel.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Resource } from '../parts/applied.tsx';
import { Age, Dash, Dim, Enforced } from '../parts/cells.tsx';
import { resourceHref } from '../parts/ids.ts';
import { Stack, Tabs, useTab } from '../parts/layout.tsx';
import { CertificateTable } from './certificates.tsx';
import { CellGlyph, MatrixTable, STATE_WORDS } from './matrix-table.tsx';
import css from './security.module.css';

const REFRESH_MS = 5000;
/** More of them on one axis nobody reads: namespaces are shown instead. */
const AXIS_MAX = 60;

export default function SecurityPage() {
  const { query, isLive } = useScope();
  const tabs = [
    { key: '', title: 'Who talks to whom' },
    { key: 'policies', title: 'Policies' },
    { key: 'certificates', title: 'Certificates' },
  ];
  const tab = useTab(tabs);
  const mtls = useSteadyQuery<MtlsAnswer>(
    address('mtls', { namespaces: query.namespaces, window: query.window }),
    {
      refreshMs: isLive ? REFRESH_MS : 0,
    },
  );
  usePage({
    title: 'Security',
    commands: ['tulle graph', 'tulle get authorizationpolicies,peerauthentications -A'],
  });
  return (
    <Page
      title="Security"
      lead={
        mtls.data &&
        `${sentenceOf(mtls.data)}${isLive ? '' : ' This page shows now: what was then is not kept.'}`
      }
    >
      <Tabs tabs={tabs} label="Parts of security" />
      {tab === '' && (
        <Answered query={mtls} what="matrix">
          {(data) => <Talk answer={data} />}
        </Answered>
      )}
      {tab === 'policies' && (
        <Answered query={mtls} what="policies">
          {(data) => <Policies rows={data.policies} />}
        </Answered>
      )}
      {tab === 'certificates' && <Certificates />}
    </Page>
  );
}

function sentenceOf({ cells }: MtlsAnswer): string {
  const { totals } = matrix(cells, 'namespace');
  const seen = totals.mtls + totals.plaintext;
  if (seen + totals.denied === 0) return 'Nobody talked in this window.';
  const plain =
    totals.plaintext === 0
      ? 'All that was let through was under mutual TLS'
      : `${totals.plaintext.toLocaleString('en-US')} of ${seen.toLocaleString('en-US')} were in plaintext`;
  return `${plain}; ${totals.denied.toLocaleString('en-US')} were denied.`;
}

function Talk({ answer }: { answer: MtlsAnswer }) {
  const chosen = useUrl().query.get('by');
  const workloads = matrix(answer.cells, 'workload');
  const isTooMany = Math.max(workloads.sources.length, workloads.targets.length) > AXIS_MAX;
  const by = chosen === 'namespace' || isTooMany ? 'namespace' : 'workload';
  const shown = by === 'namespace' ? matrix(answer.cells, 'namespace') : workloads;
  const save = () =>
    toCsv(
      ['source', 'target', 'mutual TLS', 'plaintext', 'denied'],
      [...shown.cells.values()].map((cell) => [
        cell.source,
        cell.target,
        cell.mtls,
        cell.plaintext,
        cell.denied,
      ]),
    );
  return (
    <Stack>
      <div className={css.tools}>
        <div className={css.legend}>
          {(['mtls', 'mixed', 'plaintext', 'denied'] as const).map((state) => (
            <span key={state}>
              <CellGlyph state={state} weight={0.7} /> {STATE_WORDS[state]}
            </span>
          ))}
          {isTooMany && <span>by namespace: choose namespaces above to see workloads</span>}
        </div>
        <span className={css.legend}>
          <Segments
            label="Grain"
            value={by}
            options={[
              { value: 'workload', label: 'Workloads' },
              { value: 'namespace', label: 'Namespaces' },
            ]}
            onChange={(value) => setQuery({ by: value === 'workload' ? undefined : value })}
          />
          <ExportMenu name="who-talks-to-whom" choices={[{ format: 'CSV', make: save }]} />
        </span>
      </div>
      {shown.cells.size === 0 ? (
        <Empty title="Nobody talked in this window">
          <p>Widen the window, or see whether proxies report at all.</p>
          <CommandLine text="tulle status" />
        </Empty>
      ) : (
        <MatrixTable matrix={shown} />
      )}
      <Panel title="Modes" note="what a server accepts">
        <DataTable
          label="Modes"
          rows={answer.modes}
          columns={MODES}
          keyOf={(row) => row.namespace}
          sort={{ key: 'namespace', isDescending: false }}
          sortName="modes"
          empty={<Dim>No namespace is in sight.</Dim>}
        />
      </Panel>
    </Stack>
  );
}

const MODES: readonly Column<MtlsAnswer['modes'][number]>[] = [
  { key: 'namespace', title: 'Namespace', value: (row) => row.namespace },
  { key: 'mode', title: 'Mode', value: (row) => row.mode },
  {
    key: 'from',
    title: 'Says',
    value: (row) => row.from,
    cell: (row) =>
      row.from === 'default' ? (
        <Dim>the default of the mesh</Dim>
      ) : (
        <Resource resource={row.from} />
      ),
    isWide: true,
  },
];

const POLICIES: readonly Column<PolicyHits>[] = [
  { key: 'resource', title: 'Policy', value: (row) => row.resource, isText: true },
  { key: 'action', title: 'Action', value: (row) => row.action },
  {
    key: 'denied',
    title: 'Denied',
    value: (row) => row.denied,
    cell: (row) =>
      row.denied === 0 ? (
        <Dim>never in this window</Dim>
      ) : (
        `${row.denied.toLocaleString('en-US')} times`
      ),
    isRight: true,
    isDescending: true,
  },
  {
    key: 'last',
    title: 'Last',
    value: (row) => (row.lastDeniedAt === undefined ? undefined : Date.parse(row.lastDeniedAt)),
    cell: (row) => (row.lastDeniedAt === undefined ? <Dash /> : <Age at={row.lastDeniedAt} />),
    isRight: true,
    isDescending: true,
    weight: 'least',
  },
  {
    key: 'enforced',
    title: 'Enforced by',
    value: (row) => row.enforced?.by,
    cell: (row) => <Enforced enforced={row.enforced} />,
    isRight: true,
    weight: 'least',
  },
];

function SaveRows({ name, rows }: { name: string; rows: readonly object[] }) {
  return (
    <ExportMenu
      name={name}
      choices={[{ format: 'JSON', make: () => JSON.stringify(rows, null, 2) }]}
    />
  );
}

function Policies({ rows }: { rows: readonly PolicyHits[] }) {
  return (
    <Panel
      title="Policies"
      note="what they denied in the window"
      actions={<SaveRows name="policies" rows={rows} />}
    >
      <DataTable
        label="Policies"
        rows={rows}
        columns={POLICIES}
        keyOf={(row) => row.resource}
        hrefOf={(row) => resourceHref(row.resource) ?? hrefOf('/config')}
        sort={{ key: 'denied', isDescending: true }}
        empty={
          <Empty title="No policy says who may call whom">
            <p>
              Every workload lets in whoever reaches it. A policy that allows only who talks now is
              a first step:
            </p>
            <CommandLine text="tulle graph" />
          </Empty>
        }
      />
    </Panel>
  );
}

function Certificates() {
  const answer = useSteadyQuery<CertificatesAnswer>(address('certificates'), { refreshMs: 10_000 });
  return (
    <Answered query={answer} what="certificates">
      {({ certificates, roots }) => (
        <Stack>
          <Panel
            title="Of workloads"
            note="renewed at half of their life, by the proxy that holds them"
          >
            <CertificateTable
              rows={certificates}
              nothing="No proxy holds one: nothing is captured yet."
            />
          </Panel>
          <Panel title="Roots" note="what proxies trust">
            <DataTable
              label="Roots"
              rows={roots}
              columns={ROOTS}
              keyOf={(row) => row.fingerprint}
              sort={{ key: 'ends', isDescending: false }}
              sortName="roots"
              empty={<Dim>No root is known.</Dim>}
            />
          </Panel>
        </Stack>
      )}
    </Answered>
  );
}

const ROOTS: readonly Column<CertificatesAnswer['roots'][number]>[] = [
  { key: 'subject', title: 'Subject', value: (row) => row.subject },
  {
    key: 'ends',
    title: 'Ends',
    value: (row) => Date.parse(row.notAfter),
    cell: (row) => <time title={absolute(row.notAfter)}>{relative(row.notAfter, now())}</time>,
    isRight: true,
  },
  {
    key: 'fingerprint',
    title: 'Fingerprint',
    value: (row) => row.fingerprint,
    cell: (row) => <code>{row.fingerprint}</code>,
    isWide: true,
    weight: 'least',
  },
];
