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
import { Link } from '../../ui/link.tsx';
import { Page, Panel } from '../../ui/panel.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Resource } from '../parts/applied.tsx';
import { Age, Dash, Dim, Enforced } from '../parts/cells.tsx';
import { resourceHref } from '../parts/ids.ts';
import { Stack, Tabs, useTab } from '../parts/layout.tsx';
import { CertificateTable } from './certificates.tsx';
import { CellGlyph, MatrixTable, STATE_WORDS } from './matrix-table.tsx';
import { type ModeRow, modeRows, nextStrict, strictCommand } from './readiness.ts';
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
          {(data) => <Policies answer={data} />}
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
  const rows = modeRows(answer);
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
          <p>
            Widen the window, or see in{' '}
            <Link href={hrefOf('/graph')}>the graph what keeps it empty</Link>: whether namespaces
            are enrolled, pods captured, proxies reporting.
          </p>
          <CommandLine text="tulle status" />
        </Empty>
      ) : (
        <MatrixTable matrix={shown} />
      )}
      <Panel title="Modes" note="what a server accepts, and what reached it in the window">
        <DataTable
          label="Modes"
          rows={rows}
          columns={MODES}
          keyOf={(row) => row.namespace}
          sort={{ key: 'namespace', isDescending: false }}
          sortName="modes"
          empty={<Dim>No namespace is in sight: choose others above.</Dim>}
        />
      </Panel>
      <Strict rows={rows} />
    </Stack>
  );
}

/** The next step towards STRICT, with what it would refuse of what was seen. */
function Strict({ rows }: { rows: readonly ModeRow[] }) {
  const next = nextStrict(rows);
  if (next === undefined) return null;
  const { namespace, mtls, plaintext } = next;
  const all = (mtls + plaintext).toLocaleString('en-US');
  return (
    <Panel
      title={`Make ${namespace} STRICT`}
      note={`it is ${next.mode}: plaintext is let in${next.mode === 'MIXED' ? ' by a part of it' : ''}`}
    >
      <div className={css.advice}>
        <p>
          {plaintext === 0
            ? `All ${all} requests and connections that reached it in this window were under mutual TLS: STRICT would have refused none of them. A longer window says more.`
            : `Of ${all} requests and connections that reached it in this window ${plaintext.toLocaleString('en-US')} were in plaintext: STRICT would have refused them. Whose they are stands in the matrix; enrol those first.`}
        </p>
        <CommandLine text={strictCommand(namespace)} />
        <Link href={hrefOf('/config/new', { kind: 'PeerAuthentication', ns: namespace })}>
          Write it in the editor
        </Link>
      </div>
    </Panel>
  );
}

const MODES: readonly Column<ModeRow>[] = [
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
    weight: 'least',
  },
  {
    key: 'plaintext',
    title: 'In plaintext',
    value: (row) => (row.mtls + row.plaintext === 0 ? undefined : row.plaintext),
    cell: ({ mtls, plaintext }) =>
      mtls + plaintext === 0 ? (
        <Dim>nothing reached it</Dim>
      ) : (
        `${plaintext === 0 ? 'none' : plaintext.toLocaleString('en-US')} of ${(mtls + plaintext).toLocaleString('en-US')}`
      ),
    isDescending: true,
    isRight: true,
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

function Policies({ answer }: { answer: MtlsAnswer }) {
  const rows = answer.policies;
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
        empty={<NoPolicy answer={answer} />}
      />
    </Panel>
  );
}

function NoPolicy({ answer }: { answer: MtlsAnswer }) {
  const next = nextStrict(modeRows(answer));
  return (
    <Empty title="No policy says who may call whom">
      <p>Every workload lets in whoever reaches it.</p>
      {next !== undefined && (
        <>
          <p>
            First let callers prove who they are: with this, {next.namespace} refuses plaintext.{' '}
            <Link href={hrefOf('/security')}>Who that would refuse</Link>
          </p>
          <CommandLine text={strictCommand(next.namespace)} />
        </>
      )}
      <p>
        Then say who may call what:{' '}
        <Link href={hrefOf('/config/new', { kind: 'AuthorizationPolicy', ns: next?.namespace })}>
          write an AuthorizationPolicy in the editor
        </Link>
        .
      </p>
    </Empty>
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
              empty={
                <Empty title="No proxy holds a certificate">
                  <p>No pod in sight is captured yet. This captures those of a namespace:</p>
                  <CommandLine text="tulle enroll NAMESPACE" />
                </Empty>
              }
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
              empty={<Dim>No root is known: no proxy has told which one it trusts.</Dim>}
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
