/** One node's inbound or outbound traffic over time: rate and errors, percentiles, the heat map under them, bytes; all with one axis of time. */
import { useMemo } from 'react';
import type { Change, SeriesAnswer, TimelineAnswer } from '#console/api/series.ts';
import { HeatChart } from '../../charts/heat-chart.tsx';
import { type ChartSeries, TimeChart } from '../../charts/time-chart.tsx';
import { address } from '../../store/api.ts';
import { useNow } from '../../store/clock.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { isoSeconds, useScope, windowSeconds } from '../../store/scope.ts';
import { hrefOf, navigate } from '../../store/url.ts';
import { byteRate, connectionRate, millis, percent, rate } from '../../ui/format.ts';
import { Answered } from '../../ui/states.tsx';
import { Codes } from './codes.tsx';
import { Stack } from './layout.tsx';

/** Charts reach back at least so far: a minute alone says nothing about what is usual. */
const SPAN_SECONDS_MIN = 900;
/** Live charts move on in steps of this. */
const LIVE_STEP_MS = 10_000;

export interface ChartSpan {
  readonly from: string;
  readonly to: string;
}

/** What the charts of a page show: to the moment of the time bar, over its window or a quarter of an hour. */
export function useChartSpan(): ChartSpan {
  const { at, window } = useScope();
  const nowMs = useNow();
  const toMs = at === undefined ? Math.floor(nowMs / LIVE_STEP_MS) * LIVE_STEP_MS : Date.parse(at);
  const seconds = Math.max(SPAN_SECONDS_MIN, windowSeconds(window));
  return { from: isoSeconds(toMs - seconds * 1000), to: isoSeconds(toMs) };
}

/** Changes of configuration and deployments in the span of the charts, for flags. */
export function useChanges(namespace: string): readonly Change[] {
  const query = useSteadyQuery<TimelineAnswer>(
    address('timeline', { namespaces: namespace, ...useChartSpan() }),
  );
  return query.data?.marks ?? [];
}

export interface SeriesChartsProps {
  readonly node: string;
  readonly direction: 'inbound' | 'outbound';
  readonly type?: string;
  readonly changes?: readonly Change[];
}

export function SeriesCharts({ node, direction, type, changes = [] }: SeriesChartsProps) {
  const query = useSteadyQuery<SeriesAnswer>(
    address('series', { node, direction, type, ...useChartSpan() }),
  );
  return (
    <Answered query={query} what="charts">
      {(series) => <Charts series={series} node={node} direction={direction} changes={changes} />}
    </Answered>
  );
}

function Charts({
  series,
  node,
  direction,
  changes,
}: {
  series: SeriesAnswer;
  node: string;
  direction: string;
  changes: readonly Change[];
}) {
  const fromMs = Date.parse(series.from);
  const stepMs = series.stepSeconds * 1000;
  const marks = useMemo(() => seriesMarks(series), [series]);
  const flags = flagsOf(changes, { fromMs, toMs: Date.parse(series.to), stepMs });
  const shared = { fromMs, stepMs, flags };
  const hasRequests = series.requestsPerSecond.some((value) => value !== null && value > 0);
  const hasConnections =
    !hasRequests && series.connectionsPerSecond.some((value) => value !== null && value > 0);
  const slowest = (cell: { atMs: number }) =>
    navigate(
      hrefOf('/traffic', {
        tab: 'slowest',
        node,
        at: isoSeconds(cell.atMs + stepMs),
        window: `${series.stepSeconds}s`,
      }),
    );
  const nothing = `Nothing ${direction === 'inbound' ? 'came in' : 'went out'} in this span`;
  return (
    <Stack>
      {hasConnections ? (
        <TimeChart
          {...shared}
          title="Connections"
          series={marks.connections}
          format={connectionRate}
        />
      ) : (
        <>
          <TimeChart
            {...shared}
            title="Requests"
            series={marks.requests}
            format={rate}
            nothing={nothing}
          />
          <TimeChart
            {...shared}
            title="Errors"
            series={marks.errors}
            format={percent}
            topMin={0.01}
            height={96}
            nothing={nothing}
          />
          <Codes codes={series.responseCodes} flags={series.flags} />
          <TimeChart
            {...shared}
            title="Latency"
            series={marks.latency}
            format={millis}
            nothing={nothing}
          />
          <HeatChart
            title="Latency, all requests"
            fromMs={fromMs}
            stepMs={stepMs}
            heat={series.heat}
            bounds={series.bounds}
            p95Ms={series.p95Ms}
            onCell={slowest}
          />
        </>
      )}
      <TimeChart
        {...shared}
        title="Throughput"
        series={marks.bytes}
        format={byteRate}
        height={96}
        nothing={nothing}
      />
    </Stack>
  );
}

function seriesMarks(
  series: SeriesAnswer,
): Record<'requests' | 'errors' | 'latency' | 'connections' | 'bytes', ChartSeries[]> {
  return {
    requests: [
      {
        key: 'rate',
        label: 'requests',
        values: series.requestsPerSecond,
        tone: 'main',
        hasArea: true,
      },
    ],
    errors: [
      { key: 'errors', label: 'failed', values: series.errorRate, tone: 'failing', hasArea: true },
    ],
    latency: [
      { key: 'p50', label: 'p50', values: series.p50Ms, tone: 'faint' },
      { key: 'p95', label: 'p95', values: series.p95Ms, tone: 'soft' },
      { key: 'p99', label: 'p99', values: series.p99Ms, tone: 'strong' },
    ],
    connections: [
      {
        key: 'connections',
        label: 'opened',
        values: series.connectionsPerSecond,
        tone: 'tcp',
        hasArea: true,
      },
    ],
    bytes: [
      {
        key: 'bytes',
        label: 'both ways',
        values: series.bytesPerSecond,
        tone: 'main',
        hasArea: true,
      },
    ],
  };
}

interface FlagSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
}

/** Changes of one step share a flag: a start changes everything at once. */
function flagsOf(changes: readonly Change[], { fromMs, toMs, stepMs }: FlagSpan) {
  const steps = new Map<number, string[]>();
  for (const { at, resource, change, summary } of changes) {
    const atMs = Date.parse(at);
    if (atMs < fromMs || atMs > toMs) continue;
    const step = Math.floor((atMs - fromMs) / stepMs);
    steps.set(step, [...(steps.get(step) ?? []), `${resource} ${change}: ${summary}`]);
  }
  return [...steps].map(([step, labels]) => ({
    atMs: fromMs + (step + 0.5) * stepMs,
    label: labels.join('\n'),
  }));
}
