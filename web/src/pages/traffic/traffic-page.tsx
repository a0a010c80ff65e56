/** The lists of requests: what is asked for stands in the address, so that a graph's edge, a chart's cell or a colleague can lead here. */
import { Pause, Play, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import type { RequestRow, RequestsAnswer } from '#console/api/traffic.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { setAt, useScope } from '../../store/scope.ts';
import { TAP_ROWS_MAX, useTap } from '../../store/tap.ts';
import { setQuery, useUrl } from '../../store/url.ts';
import { Button, Field } from '../../ui/controls.tsx';
import { ExportMenu, toCsv } from '../../ui/export.tsx';
import { amount, counted } from '../../ui/format.ts';
import { Page } from '../../ui/panel.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { DataTable } from '../../ui/table.tsx';
import { shortName } from '../parts/ids.ts';
import { Tabs, useTab } from '../parts/layout.tsx';
import { useChartSpan } from '../parts/series-charts.tsx';
import {
  FILTERS,
  type FilterName,
  filterOf,
  keyOf,
  rowsOf,
  type TrafficFilter,
  type TrafficTab,
  tapCommand,
} from './filter.ts';
import { REQUEST_COLUMNS } from './request-columns.tsx';
import { RequestDetails } from './request-details.tsx';
import { TracesTab } from './traces-tab.tsx';
import css from './traffic.module.css';

const TABS = [
  { key: '', title: 'Live' },
  { key: 'recent', title: 'Recent' },
  { key: 'failed', title: 'Failed' },
  { key: 'denied', title: 'Denied' },
  { key: 'slowest', title: 'Slowest' },
  { key: 'traces', title: 'Traces' },
] as const;

export function TrafficPage() {
  const tab = useTab(TABS) as TrafficTab;
  const { query } = useUrl();
  const scope = useScope();
  const filter = filterOf(query);
  usePage({
    title: 'Traffic',
    commands: [
      tab === 'traces'
        ? 'tulle traces'
        : tapCommand(filter, { failed: tab === 'failed', namespaces: scope.query.namespaces }),
    ],
  });
  return (
    <Page title="Traffic" isFilled>
      <Tabs tabs={TABS} label="Views of traffic" />
      {tab === '' && <Live filter={filter} />}
      {tab === 'traces' && <TracesTab filter={filter} tools={<Filters filter={filter} />} />}
      {tab !== '' && tab !== 'traces' && <Recent key={tab} tab={tab} filter={filter} />}
    </Page>
  );
}

const LABELS: Readonly<Record<FilterName, string>> = {
  workloads: 'Workload: ns/name',
  services: 'Service host',
  methods: 'Method',
  pathPrefix: 'Path begins with',
  status: 'Status: 500, 4xx, 200-299',
  edge: 'Edge',
  node: 'Node',
};
const TYPED = ['workloads', 'services', 'methods', 'pathPrefix', 'status'] as const;

/** Fields for what is typed; what a picture led here with can only be taken away. */
function Filters({ filter }: { filter: TrafficFilter }) {
  const set = (name: FilterName, value: string) => setQuery({ [name]: value }, { replace: true });
  return (
    <>
      {TYPED.map((name) => (
        <SlowField
          key={name}
          label={LABELS[name]}
          value={filter[name] ?? ''}
          onText={(text) => set(name, text)}
        />
      ))}
      {(['edge', 'node'] as const).map(
        (name) =>
          filter[name] !== undefined && (
            <Button
              key={name}
              onClick={() => set(name, '')}
              aria-label={`Show more than ${LABELS[name].toLowerCase()} ${filter[name]}`}
            >
              {filter[name]
                .split(' ')
                .slice(0, 2)
                .map((id) => shortName(id))
                .join(' → ')}
              <X aria-hidden="true" />
            </Button>
          ),
      )}
    </>
  );
}

const isFiltered = (filter: TrafficFilter) => FILTERS.some((name) => filter[name] !== undefined);

function Live({ filter }: { filter: TrafficFilter }) {
  const { isLive, query } = useScope();
  const [isPaused, setPaused] = useState(false);
  const tap = useTap(
    isLive ? address('tap', { namespaces: query.namespaces, ...filter }) : undefined,
    isPaused,
  );
  if (!isLive)
    return (
      <Empty title="Live requests are those of now">
        <p>
          The time bar stands at another moment. Its requests are under Recent; or return to now.
        </p>
        <Button onClick={() => setAt(undefined)}>Live</Button>
      </Empty>
    );
  const words = {
    connecting: 'connecting',
    open: isPaused ? 'paused' : 'live',
    lost: 'cut off, trying again',
  }[tap.state];
  const status = (
    <span className={css.status} role="status">
      {words}, {counted(tap.seen, 'request')} seen
      {tap.rows.length >= TAP_ROWS_MAX && `, the last ${TAP_ROWS_MAX} shown`}
      {tap.dropped > 0 && `, ${amount(tap.dropped)} left out: narrow the filter to see all`}
    </span>
  );
  return (
    <>
      <div className={css.tools}>
        <Button onClick={() => setPaused(!isPaused)} isPressed={isPaused}>
          {isPaused ? <Play aria-hidden="true" /> : <Pause aria-hidden="true" />}
          {isPaused ? 'Go on' : 'Pause'}
        </Button>
        <Filters filter={filter} />
        {status}
        <SaveRequests rows={tap.rows} />
      </div>
      <Requests
        rows={tap.rows}
        label="Live requests"
        sort={{ key: 'time', isDescending: true }}
        empty={<NoneYet filter={filter} />}
      />
    </>
  );
}

const NoneYet = ({ filter }: { filter: TrafficFilter }) => (
  <Empty title="No request has come by yet">
    <p>
      {isFiltered(filter)
        ? 'None that the filter lets through. Take parts of it away to see more.'
        : 'Requests are seen where a waypoint or gateway handles HTTP; connections of captured pods when they end.'}
    </p>
  </Empty>
);

const REFRESH_MS = 5000;
const ROWS_ASKED = 500;
const NOTHING: Readonly<Record<string, string>> = {
  recent: 'No request was kept in this window',
  failed: 'No request failed in this window',
  denied: 'No policy denied a request in this window',
  slowest: 'No request was kept in this window',
};

function Recent({ tab, filter }: { tab: TrafficTab; filter: TrafficFilter }) {
  const { query, isLive } = useScope();
  const failed = tab === 'failed' || tab === 'denied' ? 'true' : undefined;
  const answer = useSteadyQuery<RequestsAnswer>(
    address('requests', {
      namespaces: query.namespaces,
      ...useChartSpan(),
      ...filter,
      failed,
      limit: `${ROWS_ASKED}`,
    }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  const sort =
    tab === 'slowest' ? { key: 'took', isDescending: true } : { key: 'time', isDescending: true };
  return (
    <>
      <div className={css.tools}>
        <Filters filter={filter} />
        <span className={css.status} />
        <SaveRequests rows={rowsOf(tab, answer.data?.requests ?? [])} />
      </div>
      <Answered query={answer} what="requests">
        {({ requests }) => (
          <Requests
            rows={rowsOf(tab, requests)}
            label="Requests"
            sort={sort}
            empty={
              <Empty title={NOTHING[tab]}>
                <p>
                  Failed requests are kept, of the others a few of each second, the slowest among
                  them, and more while somebody watches, by Live or tulle tap.{' '}
                  {isFiltered(filter) && 'The filter above leaves out the rest.'}
                </p>
              </Empty>
            }
          />
        )}
      </Answered>
    </>
  );
}

interface RequestsProps {
  readonly rows: readonly RequestRow[];
  readonly label: string;
  readonly sort: { readonly key: string; readonly isDescending: boolean };
  readonly empty: React.ReactNode;
}

function Requests({ rows, label, sort, empty }: RequestsProps) {
  const [open, setOpen] = useState<RequestRow>();
  return (
    <div className={css.body} data-open={open !== undefined}>
      <div className={css.table}>
        <DataTable
          label={label}
          rows={rows}
          columns={REQUEST_COLUMNS}
          keyOf={keyOf}
          onOpen={setOpen}
          openKey={open && keyOf(open)}
          sort={sort}
          empty={empty}
          isFilled
        />
      </div>
      {open !== undefined && <RequestDetails row={open} onClose={() => setOpen(undefined)} />}
    </div>
  );
}

function SaveRequests({ rows }: { rows: readonly RequestRow[] }) {
  return (
    <ExportMenu
      name="requests"
      choices={[
        {
          format: 'CSV',
          make: () =>
            toCsv(
              REQUEST_COLUMNS.map((column) => column.title),
              rows.map((row) => REQUEST_COLUMNS.map((column) => column.value(row))),
            ),
        },
        { format: 'JSON', make: () => JSON.stringify(rows, null, 2) },
      ]}
    />
  );
}

/** So long nothing is typed: then it is asked for. */
const TYPED_MS = 400;

/** What is typed goes into the address once it rests: half a name is no question. */
function SlowField({
  label,
  value,
  onText,
}: {
  label: string;
  value: string;
  onText: (text: string) => void;
}) {
  const [text, setText] = useState(value);
  const latest = useRef(onText);
  latest.current = onText;
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => latest.current(text), TYPED_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <Field
      label={label}
      className={css.filter}
      value={text}
      onChange={(event) => setText(event.target.value)}
    />
  );
}
