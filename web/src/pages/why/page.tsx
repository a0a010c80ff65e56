/** Why: one request, its way through the mesh, and the rule that decided at each hop. */
import type { WhyAnswer, WhyRequest } from '#cli/why/contract.ts';
import { type WhyEnd, whyPath } from '../../marks/why-path.ts';
import { usePage } from '../../store/page.ts';
import { hrefOf, navigate, useUrl } from '../../store/url.ts';
import { CommandLine } from '../../ui/code.tsx';
import { ExportMenu } from '../../ui/export.tsx';
import { millis } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Facts, Page, Panel } from '../../ui/panel.tsx';
import { Answered } from '../../ui/states.tsx';
import { Stack } from '../parts/layout.tsx';
import { formatWhyCommand } from './curl-line.ts';
import { Happened } from './happened.tsx';
import { PathView } from './path-view.tsx';
import { type Question, queryOf, questionOf, requestOf } from './question.ts';
import { useWhy } from './use-why.ts';
import css from './why.module.css';
import { WhyForm } from './why-form.tsx';

export default function WhyPage() {
  const { query } = useUrl();
  const question = questionOf(query);
  const { request } = question.host === '' ? { request: undefined } : requestOf(question);
  const answer = useWhy(request);
  const ask = (next: Question) => {
    const href = hrefOf('/why', queryOf(next));
    if (href === location.pathname + location.search) answer.reload();
    else navigate(href);
  };
  usePage({
    title: 'Why',
    commands: [
      request === undefined
        ? 'tulle why --from NAMESPACE/ACCOUNT --to HOST:PORT'
        : formatWhyCommand(request),
    ],
  });
  return (
    <Page
      title="Why"
      lead="What happens to one request, and which rule decides. The proxies' own functions answer."
    >
      <WhyForm
        key={JSON.stringify(question)}
        question={question}
        onAsk={ask}
        isAsking={answer.isLoading}
      />
      {question.host === '' && <Happened />}
      {request !== undefined && (
        <Answered query={answer} what="the answer">
          {(data) => <Shown request={request} answer={data} />}
        </Answered>
      )}
    </Page>
  );
}

const VERDICTS = {
  forward: ['healthy', 'It arrives'],
  redirect: ['healthy', 'It is redirected'],
  respond: ['degraded', 'The mesh answers itself'],
  deny: ['failing', 'It is denied'],
  reset: ['failing', 'The connection is refused'],
  'no-route': ['failing', 'No route takes it'],
} as const;

function Shown({ request, answer }: { request: WhyRequest; answer: WhyAnswer }) {
  const [status, words] = VERDICTS[answer.verdict];
  const path = whyPath(request, answer);
  return (
    <Stack>
      <p className={css.verdict}>
        <HealthGlyph status={status} />
        {words}
        {answer.status !== undefined && ` with ${answer.status}`}
        <span>{answer.reason}</span>
      </p>
      <PathView path={path} />
      {path.ends.length > 0 && (
        <Panel title="Where it goes">
          <Ends ends={path.ends} />
        </Panel>
      )}
      <Effects answer={answer} />
      <Panel
        title="Step by step"
        actions={
          <ExportMenu
            name="why"
            choices={[{ format: 'JSON', make: () => JSON.stringify({ request, answer }, null, 2) }]}
          />
        }
      >
        <ol className={css.steps}>
          {answer.steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
        <CommandLine text={formatWhyCommand(request)} />
      </Panel>
    </Stack>
  );
}

function Ends({ ends }: { ends: readonly WhyEnd[] }) {
  return (
    <ul className={css.ends}>
      {ends.map(({ host, port, subset, weight, endpoints }) => (
        <li key={`${host} ${port} ${subset}`} className={css.end}>
          <span>
            {host}:{port}
            {subset !== '' && ` ${subset}`}
          </span>
          <span>{Math.round(weight * 10) / 10} %</span>
          <i aria-hidden="true">
            <b style={{ width: `${weight}%` }} />
          </i>
          <span
            title={endpoints.map((endpoint) => endpoint.workload ?? endpoint.address).join('\n')}
          >
            {endpoints.length === 0
              ? 'no endpoint is known'
              : endpoints.map((endpoint) => endpoint.workload ?? endpoint.address).join(', ')}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** What else happens to it on the way. */
function Effects({ answer }: { answer: WhyAnswer }) {
  const { timeoutMs, retries, fault, mirrors, redirect, request, response, mtls } = answer;
  const rows: [string, string][] = [['Mutual TLS', `client ${mtls.client}, server ${mtls.server}`]];
  if (redirect !== undefined) rows.push(['Redirect', `${redirect.status} to ${redirect.location}`]);
  if (timeoutMs !== undefined) rows.push(['Timeout', millis(timeoutMs)]);
  if (retries !== undefined)
    rows.push([
      'Retries',
      `${retries.attempts} on ${retries.on.join(', ')}${retries.perTryTimeoutMs === undefined ? '' : `, each within ${millis(retries.perTryTimeoutMs)}`}`,
    ]);
  if (fault?.delayMs !== undefined)
    rows.push(['Delay on purpose', `${millis(fault.delayMs)} for ${fault.delayPercent ?? 100} %`]);
  if (fault?.abortStatus !== undefined)
    rows.push(['Abort on purpose', `${fault.abortStatus} for ${fault.abortPercent ?? 100} %`]);
  for (const mirror of mirrors ?? [])
    rows.push([
      'Copied to',
      `${mirror.host}:${mirror.port} ${mirror.subset ?? ''} ${mirror.percent} %`,
    ]);
  if (request?.host !== undefined) rows.push(['Host becomes', request.host]);
  if (request?.path !== undefined) rows.push(['Path becomes', request.path]);
  for (const [name, change] of [
    ['Request headers', request],
    ['Response headers', response],
  ] as const) {
    const text = operations(change);
    if (text !== '') rows.push([name, text]);
  }
  return (
    <Panel title="On the way">
      <div className={css.narrow}>
        <Facts rows={rows} />
      </div>
    </Panel>
  );
}

function operations(change: WhyAnswer['response']): string {
  if (change === undefined) return '';
  const pairs = (all: Readonly<Record<string, string>> | undefined, verb: string) =>
    Object.entries(all ?? {}).map(([name, value]) => `${verb} ${name}: ${value}`);
  return [
    ...pairs(change.set, 'set'),
    ...pairs(change.add, 'add'),
    ...(change.remove ?? []).map((name) => `remove ${name}`),
  ].join('; ');
}
