/** One trace as a waterfall: hops of the mesh hatched, applications filled, the path that made it take so long underlined. */
import { useMemo, useState } from 'react';
import type { TraceAnswer } from '#console/api/traffic.ts';
import { timeShares, waterfall } from '../../marks/waterfall.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useQuery } from '../../store/query.ts';
import { hrefOf, setQuery, useUrl } from '../../store/url.ts';
import { ExportMenu } from '../../ui/export.tsx';
import { absolute, counted, millis, percent } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Facts, Page } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { Missing } from '../parts/missing.tsx';
import css from './trace.module.css';
import { Waterfall } from './waterfall-view.tsx';

export function TracePage({ traceId }: { traceId: string }) {
  const answer = useQuery<TraceAnswer>(address(`traces/${traceId}`));
  usePage({ title: answer.data?.name ?? 'Trace', commands: [`tulle traces ${traceId}`] });
  const trace = answer.data;
  return (
    <Page
      title={trace?.name ?? 'Trace'}
      above={<Link href={hrefOf('/traffic', { tab: 'traces' })}>Traces</Link>}
      note={
        trace && (
          <>
            <HealthGlyph status={trace.status === 'ok' ? 'healthy' : 'failing'} />{' '}
            {trace.statusCode ?? trace.status}
          </>
        )
      }
      lead={trace && leadOf(trace)}
      actions={
        trace && (
          <ExportMenu
            name={`trace-${traceId}`}
            choices={[{ format: 'JSON', make: () => JSON.stringify(trace, null, 2) }]}
          />
        )
      }
    >
      <Answered
        query={answer}
        what="trace"
        missing={
          <Missing
            title={`The trace ${traceId} is not kept`}
            why="The oldest traces make room for new ones; of requests that went well only some are kept."
            lists={[['Traces that are kept', hrefOf('/traffic', { tab: 'traces' })]]}
            command="tulle traces"
          />
        }
      >
        {(data) => <Trace trace={data} />}
      </Answered>
    </Page>
  );
}

function leadOf(trace: TraceAnswer): string {
  const { totalMs, meshMs } = timeShares(trace);
  const mesh =
    meshMs === 0
      ? ''
      : ` The mesh itself took ${millis(meshMs)} of it (${percent(meshMs / totalMs)}).`;
  return `${millis(trace.durationMs)} from ${absolute(trace.at)}, ${counted(trace.spans, 'span')} through ${counted(trace.services.length, 'service')}.${mesh}`;
}

function Trace({ trace }: { trace: TraceAnswer }) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const bars = useMemo(() => waterfall(trace, folded), [trace, folded]);
  const spanId = useUrl().query.get('span');
  const open = trace.spanRows.find((span) => span.spanId === spanId);
  const fold = (spanId: string) =>
    setFolded((before) => {
      const next = new Set(before);
      if (!next.delete(spanId)) next.add(spanId);
      return next;
    });
  return (
    <>
      <p className={css.legend}>
        <span>
          <i className={css.mesh} /> hop of the mesh
        </span>
        <span>
          <i className={css.application} /> application
        </span>
        <span>underlined: what the end waited for</span>
      </p>
      <div className={css.body} data-open={open !== undefined}>
        <Waterfall
          bars={bars}
          totalMs={timeShares(trace).totalMs}
          openId={open?.spanId}
          onFold={fold}
          onOpen={(span) => setQuery({ span }, { replace: true })}
        />
        {open !== undefined && (
          <aside className={css.details} aria-label="Span">
            <h2>{open.name}</h2>
            <Facts
              rows={[
                ['Service', open.service],
                ['Kind', `${open.kind}${open.isMesh ? ', a hop of the mesh' : ''}`],
                ['Proxy', open.proxy || '–'],
                ['Starts after', millis(open.startOffsetMs)],
                ['Took', millis(open.durationMs)],
                [
                  'Status',
                  open.statusMessage === '' ? open.status : `${open.status}: ${open.statusMessage}`,
                ],
                ...Object.entries(open.attributes).map(
                  ([name, value]) => [name, `${value}`] as const,
                ),
              ]}
            />
          </aside>
        )}
      </div>
    </>
  );
}
