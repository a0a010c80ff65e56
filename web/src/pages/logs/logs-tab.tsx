/** What a pod wrote, what the mesh recorded of it and its spans, on one axis of time. */
import { useMemo, useState } from 'react';
import type { LogLine, LogsAnswer, PodRow } from '#console/api/lists.ts';
import { joinLog, matcherOf } from '../../marks/joined-log.ts';
import { address } from '../../store/api.ts';
import { useSteadyQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { setQuery, useUrl } from '../../store/url.ts';
import { Field, Select, Toggle } from '../../ui/controls.tsx';
import { ExportMenu } from '../../ui/export.tsx';
import { counted } from '../../ui/format.ts';
import { Answered, Empty } from '../../ui/states.tsx';
import { LogLines, LogSlices } from './log-lines.tsx';
import css from './logs.module.css';

const SOURCES = [
  { key: 'application', label: 'Application' },
  { key: 'mesh', label: 'Mesh' },
  { key: 'span', label: 'Spans' },
] as const;
const REFRESH_MS = 3000;
const SINCE = [
  { value: '300', label: '5 minutes' },
  { value: '900', label: '15 minutes' },
  { value: '3600', label: '1 hour' },
] as const;
const LINES_ASKED = 2000;

export function LogsTab({ namespace, pods }: { namespace: string; pods: readonly PodRow[] }) {
  const { query } = useUrl();
  const { isLive } = useScope();
  const pod = pods.find((each) => each.name === query.get('pod')) ?? pods[0];
  const since = (query.get('since') ?? '900') as (typeof SINCE)[number]['value'];
  const hidden = (query.get('without') ?? '').split(',');
  const show = query.get('show') ?? '';
  const hide = query.get('hide') ?? '';
  const [wraps, setWraps] = useState(false);
  const answer = useSteadyQuery<LogsAnswer>(
    pod === undefined
      ? undefined
      : address(`logs/${namespace}/${pod.name}`, { sinceSeconds: since, limit: `${LINES_ASKED}` }),
    { refreshMs: isLive ? REFRESH_MS : 0 },
  );
  const without = hidden.join();
  const lines = useMemo(() => {
    const sources = new Set<LogLine['from']>(
      SOURCES.map((each) => each.key).filter((key) => !without.split(',').includes(key)),
    );
    return joinLog(answer.data?.lines ?? [], { sources, show, hide });
  }, [answer.data, without, show, hide]);
  if (pod === undefined) return <Empty title="No pod runs, so nothing is written." />;
  const toggle = (key: string, isOn: boolean) =>
    setQuery(
      {
        without: [
          ...hidden.filter((each) => each !== '' && each !== key),
          ...(isOn ? [] : [key]),
        ].join(','),
      },
      { replace: true },
    );
  const problemOf = (text: string) => matcherOf(text, true).problem || undefined;
  return (
    <>
      <div className={css.tools}>
        <Select
          label="Pod"
          value={pod.name}
          options={pods.map(({ name }) => ({ value: name, label: name }))}
          onChange={(name) => setQuery({ pod: name })}
        />
        <Select
          label="Last"
          value={since}
          options={SINCE}
          onChange={(value) => setQuery({ since: value })}
        />
        {SOURCES.map(({ key, label }) => (
          <Toggle
            key={key}
            label={label}
            isOn={!hidden.includes(key)}
            onChange={(isOn) => toggle(key, isOn)}
          />
        ))}
        <Field
          label="Show: text or /pattern/"
          value={show}
          problem={problemOf(show)}
          onChange={(event) => setQuery({ show: event.target.value }, { replace: true })}
        />
        <Field
          label="Hide"
          value={hide}
          problem={problemOf(hide)}
          onChange={(event) => setQuery({ hide: event.target.value }, { replace: true })}
        />
        <Toggle label="Wrap" isOn={wraps} onChange={setWraps} />
        <ExportMenu
          name={pod.name}
          choices={[{ format: 'JSON', make: () => JSON.stringify(lines, null, 2) }]}
        />
        <span role="status">
          {counted(lines.length, 'line')}
          {answer.data?.isCut && ', older ones are left out'}
        </span>
      </div>
      <Answered query={answer} what="logs">
        {(data) =>
          data.lines.length === 0 ? (
            <Empty title="Nothing was written, and no request was recorded, in this span." />
          ) : (
            <>
              <LogSlices lines={lines} />
              <LogLines lines={lines} wraps={wraps} />
            </>
          )
        }
      </Answered>
    </>
  );
}
