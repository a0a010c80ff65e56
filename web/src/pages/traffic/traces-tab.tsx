/** Traces: a picture of when and how long, and the list under it. */
import { type ReactNode, useMemo } from 'react';
import type { TraceRow, TracesAnswer } from '#console/api/traffic.ts';
import { Axes, LEFT } from '../../charts/time-chart.tsx';
import { useWidth } from '../../charts/use-width.ts';
import { scatter } from '../../marks/scatter.ts';
import { address } from '../../store/api.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf, navigate } from '../../store/url.ts';
import { absolute, clockTime, counted, millis } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Age, Dim } from '../parts/cells.tsx';
import { useChartSpan } from '../parts/series-charts.tsx';
import type { TrafficFilter } from './filter.ts';
import css from './trace.module.css';
import traffic from './traffic.module.css';

const REFRESH_MS = 5000;
const LIMIT = 500;

const COLUMNS: readonly Column<TraceRow>[] = [
  { key: 'name', title: 'Request', value: (row) => row.name, isText: true, isWide: true },
  {
    key: 'time',
    title: 'Began',
    value: (row) => Date.parse(row.at),
    cell: (row) => <time title={absolute(row.at)}>{clockTime(row.at)}</time>,
    isDescending: true,
  },
  {
    key: 'outcome',
    title: 'Answer',
    value: (row) => `${row.status} ${row.statusCode ?? ''}`,
    cell: (row) => (
      <>
        <HealthGlyph status={row.status === 'ok' ? 'healthy' : 'failing'} />{' '}
        {row.statusCode ?? row.status}
      </>
    ),
    isText: true,
  },
  {
    key: 'took',
    title: 'Took',
    value: (row) => row.durationMs,
    cell: (row) => millis(row.durationMs),
    isRight: true,
    isDescending: true,
  },
  {
    key: 'spans',
    title: 'Spans',
    value: (row) => row.spans,
    isRight: true,
    isDescending: true,
    weight: 'least',
  },
  {
    key: 'services',
    title: 'Through',
    value: (row) => row.services.join(' '),
    cell: (row) => <Dim>{row.services.join(', ')}</Dim>,
    isText: true,
    weight: 'lesser',
  },
];

const traceHref = (row: TraceRow) => hrefOf(`/traffic/traces/${row.traceId}`);

export function TracesTab({ filter, tools }: { filter: TrafficFilter; tools: ReactNode }) {
  const { query, isLive } = useScope();
  const answer = useSteadyQuery<TracesAnswer>(
    address('traces', {
      namespaces: query.namespaces,
      ...useChartSpan(),
      ...filter,
      limit: `${LIMIT}`,
    }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  return (
    <>
      <div className={traffic.tools}>
        {tools}
        <span className={traffic.status}>
          {answer.data?.oldest !== undefined && (
            <>
              kept since <Age at={answer.data.oldest} />
            </>
          )}
        </span>
      </div>
      <Answered query={answer} what="traces">
        {({ traces }) =>
          traces.length === 0 ? (
            <Empty title="No trace in this window">
              <p>
                Requests through a waypoint or gateway are traced: failed ones always, of the others
                the share that Telemetry says.
              </p>
            </Empty>
          ) : (
            <>
              <TraceScatter traces={traces} />
              <DataTable
                label="Traces"
                rows={traces}
                columns={COLUMNS}
                keyOf={(row) => row.traceId}
                hrefOf={traceHref}
                sort={{ key: 'time', isDescending: true }}
                empty=""
                isFilled
              />
            </>
          )
        }
      </Answered>
    </>
  );
}

const HEIGHT = 148;

function TraceScatter({ traces }: { traces: readonly TraceRow[] }) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const { points, xTicks, yTicks } = useMemo(
    () =>
      scatter({
        rows: traces,
        atMs: (row) => Date.parse(row.at),
        valueMs: (row) => row.durationMs,
        isBad: (row) => row.status === 'error',
        box: { width, height: HEIGHT, left: LEFT, right: 12, top: 12, bottom: 20 },
        label: millis,
      }),
    [traces, width],
  );
  const bad = points.filter((point) => point.isBad).length;
  return (
    <div ref={frame} className={css.scatter}>
      <svg
        width={width}
        height={HEIGHT}
        className={css.drawing}
        role="img"
        aria-label={`${counted(points.length, 'trace')} by time and duration, ${bad} failed`}
      >
        <Axes xTicks={xTicks} yTicks={yTicks} width={width} bottom={HEIGHT - 20} />
        {points.map(({ row, x, y, isBad }) => (
          // biome-ignore lint/a11y/noStaticElementInteractions: the table under it has the same links for the keyboard.
          <g
            key={row.traceId}
            className={isBad ? css.bad : css.point}
            onClick={() => navigate(traceHref(row))}
          >
            <title>{`${row.name}, ${millis(row.durationMs)}, ${clockTime(row.at)}`}</title>
            {isBad ? (
              <path d={`M${x - 3},${y - 3}l6,6m0,-6l-6,6`} />
            ) : (
              <circle cx={x} cy={y} r="3" />
            )}
          </g>
        ))}
      </svg>
    </div>
  );
}
