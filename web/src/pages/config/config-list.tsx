/** What is configured: each object in one line with what it says, what is wrong with it, and how far it is enforced. */
import { Plus } from 'lucide-react';
import type { ConfigRow, ConfigsAnswer, Finding } from '#console/api/config.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { useSession } from '../../store/session.ts';
import { hrefOf, navigate, setQuery, useUrl } from '../../store/url.ts';
import { CommandLine } from '../../ui/code.tsx';
import { Button, Select } from '../../ui/controls.tsx';
import { ExportMenu, toCsv } from '../../ui/export.tsx';
import { counted } from '../../ui/format.ts';
import { Page } from '../../ui/panel.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { FindingIcon } from '../parts/applied.tsx';
import { Age, Dash, Dim, Enforced } from '../parts/cells.tsx';
import css from './config.module.css';
import { addressOfRow, pathOf } from './object-address.ts';

const REFRESH_MS = 5000;
const LEVELS: readonly Finding['level'][] = ['error', 'warning', 'info'];

const badness = ({ findings }: ConfigRow) =>
  findings.reduce((sum, { level }) => sum + 1000 ** (2 - LEVELS.indexOf(level)), 0);

function Worst({ findings }: { findings: readonly Finding[] }) {
  const worst = LEVELS.find((level) => findings.some((finding) => finding.level === level));
  if (worst === undefined) return <Dash />;
  const first = findings.find((finding) => finding.level === worst)!;
  return (
    <span
      className={css.worst}
      title={findings.map((finding) => `${finding.code} ${finding.message}`).join('\n')}
    >
      <FindingIcon level={worst} />
      <span>{first.message}</span>
      {findings.length > 1 && <Dim>and {findings.length - 1} more</Dim>}
    </span>
  );
}

const COLUMNS: readonly Column<ConfigRow>[] = [
  { key: 'name', title: 'Name', value: (row) => row.name, isText: true },
  { key: 'kind', title: 'Kind', value: (row) => row.kind, isText: true },
  {
    key: 'namespace',
    title: 'Namespace',
    value: (row) => row.namespace || undefined,
    isText: true,
    weight: 'least',
  },
  {
    key: 'summary',
    title: 'Says',
    value: (row) => row.summary,
    cell: (row) => <Dim>{row.summary}</Dim>,
    isText: true,
    isWide: true,
    weight: 'lesser',
  },
  {
    key: 'findings',
    title: 'Findings',
    value: (row) => row.findings.length,
    order: badness,
    cell: (row) => <Worst findings={row.findings} />,
    isWide: true,
    isDescending: true,
  },
  {
    key: 'code',
    title: 'Code',
    value: (row) => row.findings.map((finding) => finding.code).join(' '),
    cell: (row) => <Dim>{row.findings[0]?.code}</Dim>,
    isText: true,
    weight: 'lesser',
  },
  {
    key: 'enforced',
    title: 'Enforced',
    value: (row) =>
      row.enforced === undefined ? undefined : row.enforced.by / Math.max(1, row.enforced.of),
    cell: (row) => <Enforced enforced={row.enforced} />,
    isRight: true,
    weight: 'least',
  },
  {
    key: 'created',
    title: 'Created',
    value: (row) => Date.parse(row.createdAt),
    cell: (row) => <Age at={row.createdAt} />,
    isRight: true,
    isDescending: true,
    weight: 'lesser',
  },
];

export function ConfigList() {
  const { query } = useScope();
  const kind = useUrl().query.get('kind') ?? '';
  const answer = useSteadyQuery<ConfigsAnswer>(
    address('config', { namespaces: query.namespaces }),
    { refreshMs: REFRESH_MS },
  );
  const session = useSession();
  usePage({
    title: 'Configuration',
    commands: [
      `tulle get ${kind === '' ? 'virtualservices,destinationrules,authorizationpolicies' : kind.toLowerCase()} -A`,
    ],
  });
  const all = answer.data?.objects ?? [];
  const rows = kind === '' ? all : all.filter((row) => row.kind === kind);
  const found = all.reduce((sum, row) => sum + row.findings.length, 0);
  const save = [
    {
      format: 'CSV' as const,
      make: () =>
        toCsv(
          COLUMNS.map((column) => column.title),
          rows.map((row) => COLUMNS.map((column) => column.value(row))),
        ),
    },
    { format: 'JSON' as const, make: () => JSON.stringify(rows, null, 2) },
  ];
  return (
    <Page
      title="Configuration"
      isFilled
      note={answer.data && `${counted(all.length, 'object')}, ${counted(found, 'finding')}`}
      actions={
        <>
          <ExportMenu name="configuration" choices={save} />
          {session.data?.isReadOnly === false && (
            <Button look="main" onClick={() => navigate(hrefOf('/config/new'))}>
              <Plus aria-hidden="true" /> New
            </Button>
          )}
        </>
      }
    >
      <Answered query={answer} what="configuration">
        {() => (
          <DataTable
            label="Configuration"
            rows={rows}
            columns={COLUMNS}
            keyOf={(row) => `${row.apiVersion} ${row.kind} ${row.namespace}/${row.name}`}
            hrefOf={(row) => hrefOf(`/config/${pathOf(addressOfRow(row))}`)}
            sort={{ key: 'findings', isDescending: true }}
            isFilled
            hint="Filter: words, findings>0, code:IST0101"
            extra={<KindSelect rows={all} kind={kind} />}
            empty={
              <Empty title="Nothing is configured here">
                <p>
                  Without configuration the mesh gives mutual TLS and telemetry. Routes, policies
                  and gateways appear here once they are applied:
                </p>
                <CommandLine text="tulle apply -f FILE" />
              </Empty>
            }
          />
        )}
      </Answered>
    </Page>
  );
}

function KindSelect({ rows, kind }: { rows: readonly ConfigRow[]; kind: string }) {
  const kinds = [...new Set(rows.map((row) => row.kind))].sort();
  const options = [
    { value: '', label: 'All' },
    ...kinds.map((each) => ({
      value: each,
      label: `${each} ${rows.filter((row) => row.kind === each).length}`,
    })),
  ];
  return (
    <Select
      label="Kind"
      value={kind}
      options={options}
      onChange={(value) => setQuery({ kind: value })}
    />
  );
}
