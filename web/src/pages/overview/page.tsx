/** The first page: what needs me now, then each namespace as a small picture. */
import type { NamespaceRow, OverviewAnswer } from '#console/api/lists.ts';
import { SparkLine } from '../../charts/spark-line.tsx';
import { useWidth } from '../../charts/use-width.ts';
import { address } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf } from '../../store/url.ts';
import { CommandLine } from '../../ui/code.tsx';
import { counted, millis } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Page, Panel } from '../../ui/panel.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { Dash, Dim, ErrorShare, isIdle, MtlsLock, TrafficRate } from '../parts/cells.tsx';
import { Attention } from './attention.tsx';
import { attentionSentence, isQuiet, namespaceOrder } from './order.ts';
import css from './overview.module.css';

const REFRESH_MS = 5000;

export default function OverviewPage() {
  const { query, isLive } = useScope();
  const answer = useSteadyQuery<OverviewAnswer>(address('overview', query), {
    refreshMs: isLive ? REFRESH_MS : 0,
  });
  usePage({ title: 'Overview', commands: ['tulle status', 'tulle top namespaces'] });
  return (
    <Page title="Overview" lead={answer.data?.mesh.reason}>
      <Answered query={answer} what="overview">
        {({ attention, namespaces }) => (
          <>
            <Panel title="Needs you now" note={attentionSentence(attention)}>
              <Attention items={attention} />
            </Panel>
            <Panel
              title="Namespaces"
              note={counted(
                namespaces.filter((row) => row.isEnrolled).length,
                'in the mesh',
                'in the mesh',
              )}
            >
              <Namespaces rows={namespaces} />
            </Panel>
          </>
        )}
      </Answered>
    </Page>
  );
}

function Namespaces({ rows }: { rows: readonly NamespaceRow[] }) {
  const quiet = rows.filter(isQuiet);
  return (
    <>
      {rows.every((row) => !row.isEnrolled) && (
        <Empty title="No namespace is in the mesh">
          <p>A namespace joins the mesh with one label. Its pods need no restart.</p>
          <CommandLine text="tulle enroll NAMESPACE" />
        </Empty>
      )}
      <div className={css.multiples}>
        {namespaceOrder(rows.filter((row) => !isQuiet(row))).map((row) => (
          <Multiple key={row.name} row={row} />
        ))}
      </div>
      {quiet.length > 0 && (
        <p className={css.quiet}>
          <span>Outside the mesh and without traffic:</span>
          {quiet.map(({ name, workloads }) => (
            <Link
              key={name}
              href={hrefOf('/workloads', { ns: name })}
              title={counted(workloads, 'workload')}
            >
              {name}
            </Link>
          ))}
        </p>
      )}
    </>
  );
}

const MODES = {
  STRICT: 'mTLS strict',
  PERMISSIVE: 'mTLS permissive',
  DISABLE: 'mTLS off',
  MIXED: 'mTLS mixed',
} as const;

function Multiple({ row }: { row: NamespaceRow }) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const idle = isIdle(row.inbound);
  return (
    <article className={css.multiple} aria-label={row.name}>
      <header>
        <HealthGlyph status={row.health.status} />
        <Link href={hrefOf('/workloads', { ns: row.name })}>{row.name}</Link>
        {row.findings > 0 && (
          <Link href={hrefOf('/config', { ns: row.name, filter: 'findings>0' })}>
            {counted(row.findings, 'finding')}
          </Link>
        )}
        <span>{row.isEnrolled ? MODES[row.mtlsMode] : 'outside the mesh'}</span>
      </header>
      <div className={css.picture} ref={frame}>
        <SparkLine values={row.spark} width={width} height={44} />
      </div>
      <dl>
        <div>
          <dt>Traffic in</dt>
          <dd>
            <TrafficRate traffic={row.inbound} />
          </dd>
        </div>
        <div>
          <dt>Failed</dt>
          <dd>
            <ErrorShare share={row.inbound.errorRate} health={row.health} isIdle={idle} />
          </dd>
        </div>
        <div>
          <dt>p95</dt>
          <dd>{row.p95Ms === undefined ? <Dash /> : millis(row.p95Ms)}</dd>
        </div>
        <div>
          <dt>mTLS</dt>
          <dd>
            <MtlsLock share={row.mtls} />
          </dd>
        </div>
      </dl>
      <p className={css.reasonLine} title={row.health.reason}>
        {row.health.reason || <Dim>{counted(row.workloads, 'workload')}</Dim>}
      </p>
    </article>
  );
}
