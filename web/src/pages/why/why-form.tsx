/** The question, as a form and as a curl line side by side: writing one changes the other. */
import { type FormEvent, useId, useState } from 'react';
import type { ServicesAnswer, WorkloadsAnswer } from '#console/api/lists.ts';
import { address } from '../../store/api.ts';
import { useQuery } from '../../store/query.ts';
import { Button } from '../../ui/controls.tsx';
import { formatCurl, parseCurl } from './curl-line.ts';
import { type Question, requestOf, withRequest } from './question.ts';
import css from './why.module.css';

export interface WhyFormProps {
  readonly question: Question;
  readonly onAsk: (question: Question) => void;
  readonly isAsking: boolean;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export function WhyForm({ question, onAsk, isAsking }: WhyFormProps) {
  const [draft, setDraft] = useState(question);
  const asked = requestOf(draft);
  const set = (change: Partial<Question>) => setDraft((before) => ({ ...before, ...change }));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (asked.request !== undefined) onAsk(draft);
  };
  return (
    <div className={css.ask}>
      <form className={css.form} onSubmit={submit} aria-label="Request">
        <Suggested
          label="From: namespace/account, or an address"
          className={css.two}
          value={draft.from}
          onChange={(from) => set({ from })}
          words={useClients()}
        />
        <Suggested
          label="Or through the gateway: namespace/name"
          className={css.two}
          value={draft.gateway}
          onChange={(gateway) => set({ gateway })}
          words={[]}
        />
        <Suggested
          label="To: service, host or address"
          className={css.four}
          value={draft.host}
          onChange={(host) => set({ host })}
          words={useHosts()}
        />
        <label className={css.one}>
          Port
          <input
            value={draft.port}
            inputMode="numeric"
            onChange={(event) => set({ port: event.target.value })}
          />
        </label>
        <label className={css.one}>
          Method
          <select value={draft.method} onChange={(event) => set({ method: event.target.value })}>
            {[...new Set([...METHODS, draft.method])].map((method) => (
              <option key={method}>{method}</option>
            ))}
          </select>
        </label>
        <label className={css.four}>
          Path, with its query
          <input value={draft.path} onChange={(event) => set({ path: event.target.value })} />
        </label>
        <label>
          Answer as
          <select value={draft.mode} onChange={(event) => set({ mode: event.target.value })}>
            <option value="ambient">this mesh</option>
            <option value="sidecar">Istio's sidecars</option>
          </select>
        </label>
        <label className={css.all}>
          Headers, one a line
          <textarea
            rows={2}
            value={draft.headers}
            spellCheck={false}
            onChange={(event) => set({ headers: event.target.value })}
          />
        </label>
        <div className={css.submit}>
          <Button type="submit" look="main" disabled={asked.request === undefined || isAsking}>
            Ask
          </Button>
          {asked.problem !== '' && (
            <span className={draft.host.trim() === '' ? css.hint : css.problem}>
              {asked.problem}
            </span>
          )}
        </div>
      </form>
      <CurlBox
        key={asked.request === undefined ? '' : formatCurl(asked.request)}
        line={asked.request === undefined ? '' : formatCurl(asked.request)}
        onLine={(next) => set(next)}
        draft={draft}
      />
    </div>
  );
}

/** Taken over when it is left, or by Enter: half a line is no question. */
function CurlBox({
  line,
  draft,
  onLine,
}: {
  line: string;
  draft: Question;
  onLine: (question: Question) => void;
}) {
  const [text, setText] = useState(line);
  const reading = parseCurl(text);
  const take = () => {
    if (text !== line && reading.request !== undefined) onLine(withRequest(draft, reading.request));
  };
  return (
    <div className={css.curl}>
      <label>
        The same as a curl line: paste one here
        <textarea
          className={css.line}
          rows={5}
          spellCheck={false}
          value={text}
          placeholder="curl http://service/path -H 'name: value'"
          onChange={(event) => setText(event.target.value)}
          onBlur={take}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey) return;
            event.preventDefault();
            take();
          }}
        />
      </label>
      {text !== line && text.trim() !== '' && reading.problem !== '' && (
        <span className={css.problem}>{reading.problem}</span>
      )}
    </div>
  );
}

interface SuggestedProps {
  readonly label: string;
  readonly className: string;
  readonly value: string;
  readonly words: readonly string[];
  readonly onChange: (value: string) => void;
}

function Suggested({ label, className, value, words, onChange }: SuggestedProps) {
  const id = useId();
  return (
    <label className={className}>
      {label}
      <input
        value={value}
        list={id}
        spellCheck={false}
        autoCapitalize="none"
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={id}>
        {words.map((word) => (
          <option key={word} value={word} />
        ))}
      </datalist>
    </label>
  );
}

/** `spiffe://…/ns/shop/sa/web` → `shop/web`. */
const ACCOUNT = /\/ns\/([^/]+)\/sa\/([^/]+)$/;

function useClients(): string[] {
  const { data } = useQuery<WorkloadsAnswer>(address('workloads'));
  const accounts = (data?.workloads ?? [])
    .map(({ identity }) => ACCOUNT.exec(identity))
    .filter((match) => match !== null);
  return [...new Set(accounts.map(([, namespace, account]) => `${namespace}/${account}`))].sort();
}

function useHosts(): string[] {
  const { data } = useQuery<ServicesAnswer>(address('services'));
  return (data?.services ?? [])
    .map(({ kind, name, namespace, host }) => (kind === 'Service' ? `${name}.${namespace}` : host))
    .sort();
}
