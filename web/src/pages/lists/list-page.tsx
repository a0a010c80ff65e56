/** The page of a list: the answer, its filter and table, saved as CSV or JSON; and what to say when there is nothing. */
import type { ReactNode } from 'react';
import type { Health } from '#console/api/health.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { ExportMenu, toCsv } from '../../ui/export.tsx';
import { Page } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { WORST_FIRST } from './columns.tsx';
import { HealthFilter } from './health-filter.tsx';

interface Listed {
  readonly id: string;
  readonly health: Health;
}

type ListPath = 'workloads' | 'services' | 'apps';

export interface ListPageProps<Row extends Listed> {
  readonly title: string;
  /** Of the API, and the member of its answer. */
  readonly path: ListPath;
  readonly columns: readonly Column<Row>[];
  readonly hrefOf: (row: Row) => string;
  readonly empty: ReactNode;
  readonly commands: readonly string[];
  readonly actions?: ReactNode;
}

const REFRESH_MS = 5000;

export function ListPage<Row extends Listed>({
  title,
  path,
  columns,
  hrefOf,
  empty,
  commands,
  actions,
}: ListPageProps<Row>) {
  const { query, isLive } = useScope();
  const answer = useSteadyQuery<Readonly<Record<ListPath, readonly Row[]>>>(address(path, query), {
    refreshMs: isLive ? REFRESH_MS : 0,
  });
  usePage({ title, commands });
  const rows = answer.data?.[path] ?? [];
  const save = (
    <ExportMenu
      name={path}
      choices={[
        {
          format: 'CSV',
          make: () =>
            toCsv(
              columns.map((column) => column.title),
              rows.map((row) => columns.map((column) => column.value(row))),
            ),
        },
        { format: 'JSON', make: () => JSON.stringify(rows, null, 2) },
      ]}
    />
  );
  return (
    <Page
      title={title}
      isFilled
      actions={
        <>
          {actions}
          {save}
        </>
      }
    >
      <Answered query={answer} what={title.toLowerCase()}>
        {() => (
          <DataTable
            label={title}
            rows={rows}
            columns={columns}
            keyOf={(row) => row.id}
            hrefOf={hrefOf}
            sort={WORST_FIRST}
            empty={empty}
            isFilled
            hint="Filter: words, errors>1, rate<10"
            extra={<HealthFilter rows={rows} />}
          />
        )}
      </Answered>
    </Page>
  );
}
