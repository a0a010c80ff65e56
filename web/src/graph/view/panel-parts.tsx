/** Parts that the panels of nodes and edges share. */
import { type ReactNode, useState } from 'react';
import type { Health } from '#console/api/health.ts';
import type { SeriesAnswer } from '#console/api/series.ts';
import type { RequestRow, RequestsAnswer } from '#console/api/traffic.ts';
import { isFailed } from '../../pages/traffic/filter.ts';
import { address } from '../../store/api.ts';
import { useNow } from '../../store/clock.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { isoSeconds, useScope, windowSeconds } from '../../store/scope.ts';
import { useTap } from '../../store/tap.ts';
import { hrefOf } from '../../store/url.ts';
import { Chip } from '../../ui/chip.tsx';
import { Button } from '../../ui/controls.tsx';
import {
  byteRate,
  connectionRate,
  counted,
  millis,
  percent,
  rate,
  relative,
} from '../../ui/format.ts';
import { HealthMark } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import styles from './side-panel.module.css';
import { SmallChart } from './small-chart.tsx';
import { topPaths } from './top-paths.ts';

interface HeadProps {
  readonly kind: string;
  readonly title: ReactNode;
  readonly health: Health;
  readonly close: ReactNode;
}

export function PanelHead({ kind, title, health, close }: HeadProps) {
  return (
    <header className={styles.head}>
      <div>
        <p className={styles.kind}>{kind}</p>
        <h2>{title}</h2>
        <HealthMark health={health} />
        <p className={styles.reason}>{health.reason}</p>
      </div>
      {close}
    </header>
  );
}

/** Charts reach back further than the window: a minute alone says little. */
const CHART_SECONDS_MIN = 900;
/** Asked anew as often. */
const STEP_MS = 10_000;

/** `subject`: node with direction, or edge. */
export function Charts({
  subject,
  type,
}: {
  subject: Readonly<Record<string, string>>;
  type: string;
}) {
  const scope = useScope();
  const nowMs = useNow();
  const toMs =
    scope.at === undefined ? Math.floor(nowMs / STEP_MS) * STEP_MS : Date.parse(scope.at);
  const fromMs = toMs - Math.max(CHART_SECONDS_MIN, windowSeconds(scope.window)) * 1000;
  const query = useSteadyQuery<SeriesAnswer>(
    address('series', { ...subject, type, from: isoSeconds(fromMs), to: isoSeconds(toMs) }),
  );
  return (
    <Answered query={query} what="charts">
      {(series) => <SeriesCharts series={series} />}
    </Answered>
  );
}

function SeriesCharts({ series }: { series: SeriesAnswer }) {
  const hasRequests = series.requestsPerSecond.some((value) => value !== null && value > 0);
  return (
    <div className={styles.charts}>
      {hasRequests ? (
        <>
          <SmallChart title="Requests" values={series.requestsPerSecond} format={rate} />
          <SmallChart title="Errors" values={series.errorRate} format={percent} isFailing />
          <SmallChart
            title="p99, above p95 and p50"
            values={series.p99Ms}
            others={[series.p95Ms, series.p50Ms]}
            format={millis}
          />
        </>
      ) : (
        <SmallChart
          title="Connections"
          values={series.connectionsPerSecond}
          format={connectionRate}
        />
      )}
      <SmallChart title="Throughput" values={series.bytesPerSecond} format={byteRate} />
    </div>
  );
}

export function Codes({
  codes,
  flags,
}: {
  codes: Readonly<Record<string, number>>;
  flags: Readonly<Record<string, number>>;
}) {
  const seen = Object.entries(flags).filter(([flag]) => flag !== '-');
  if (Object.keys(codes).length + seen.length === 0) return null;
  return (
    <Panel title="Answers in the window">
      <div className={styles.codes}>
        {Object.entries(codes).map(([code, count]) => (
          <Chip
            key={code}
            state={code.startsWith('5') ? 'failing' : code.startsWith('4') ? 'degraded' : undefined}
          >
            {code} · {count.toLocaleString('en-US')}
          </Chip>
        ))}
        {seen.map(([flag, count]) => (
          <Chip key={flag} state="failing" title="Response flag">
            {flag} · {count.toLocaleString('en-US')}
          </Chip>
        ))}
      </div>
    </Panel>
  );
}

const PATHS_SHOWN = 8;
const PATHS_ROWS = 500;

/**
 * What is asked for most. Counters know no paths, so it is read off requests one by one: proxies tell of those that failed, of a few
 * others each second, and of all while somebody watches, which costs them something and is therefore asked for by a button.
 */
export function TopPaths({ subject }: { subject: Readonly<Record<string, string>> }) {
  const scope = useScope();
  const [wantsAll, setWantsAll] = useState(false);
  const isWatching = wantsAll && scope.isLive;
  const tap = useTap(isWatching ? address('tap', subject) : undefined, false);
  const kept = useSteadyQuery<RequestsAnswer>(
    address('requests', { ...subject, at: scope.at, limit: String(PATHS_ROWS) }),
    { refreshMs: scope.isLive ? STEP_MS : 0 },
  );
  const rows = isWatching ? tap.rows : (kept.data?.requests ?? []);
  const paths = topPaths(rows, isFailed);
  const requests = paths.reduce((sum, { count }) => sum + count, 0);
  return (
    <Panel
      title="Top paths"
      actions={
        scope.isLive && (
          <Button look="quiet" isPressed={isWatching} onClick={() => setWantsAll(!wantsAll)}>
            Watch
          </Button>
        )
      }
    >
      <p className={styles.reason}>
        {isWatching
          ? `Of ${counted(requests, 'request')} that came by since.`
          : `Of ${counted(requests, 'request')} that are kept: those that failed, a few others of each second, and more while somebody watched.`}
      </p>
      <ul>
        {paths.slice(0, PATHS_SHOWN).map((each) => (
          <li key={`${each.method} ${each.path}`} className={styles.request}>
            <Link
              href={hrefOf('/traffic', {
                ...subject,
                tab: 'recent',
                methods: each.method,
                pathPrefix: each.prefix,
              })}
            >
              <code>
                {each.method} {each.path}
              </code>
            </Link>
            <span className={styles.number}>
              {percent(each.count / requests)}
              {each.failed > 0 && `, ${each.failed.toLocaleString('en-US')} failed`}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const FAILED_SHOWN = 6;

/** The requests behind the picture: each leads to its trace, and to what the mesh decided about it. */
export function FailedRequests({ subject }: { subject: Readonly<Record<string, string>> }) {
  const scope = useScope();
  const query = useSteadyQuery<RequestsAnswer>(
    address('requests', { ...subject, failed: 'true', at: scope.at, limit: String(FAILED_SHOWN) }),
    { refreshMs: scope.isLive ? STEP_MS : 0 },
  );
  const link = <Link href={hrefOf('/traffic', subject)}>All requests</Link>;
  return (
    <Panel title="Recent failures" actions={link}>
      <Answered query={query} what="requests">
        {({ requests }) =>
          requests.length === 0 ? (
            <p className={styles.reason}>None is kept.</p>
          ) : (
            <ul>
              {requests.slice(0, FAILED_SHOWN).map((row) => (
                <FailedRequest key={row.requestId + row.at} row={row} />
              ))}
            </ul>
          )
        }
      </Answered>
    </Panel>
  );
}

function FailedRequest({ row }: { row: RequestRow }) {
  const nowMs = useNow();
  return (
    <li className={styles.request}>
      <code title={row.path}>
        {row.status === 0 ? '–' : row.status} {row.method} {row.path}
      </code>
      <span className={styles.number} title={row.at}>
        {relative(row.at, nowMs)}
      </span>
      {row.reason !== '' && <p>{row.reason}</p>}
      <p className={styles.links}>
        {row.traceId !== '' && <Link href={hrefOf(`/traffic/traces/${row.traceId}`)}>Trace</Link>}
        <Link href={whyHref(row)}>Why</Link>
        {row.attempts > 1 && <span>{counted(row.attempts, 'try', 'tries')}</span>}
      </p>
    </li>
  );
}

/** The question that `why` answers, in its page's words. */
function whyHref(row: RequestRow): string {
  const [, namespace, name] = row.source.split('/');
  return hrefOf('/why', {
    from: name === undefined ? undefined : `${namespace}/${name}`,
    host: row.service || row.authority,
    method: row.method,
    path: row.path,
  });
}
