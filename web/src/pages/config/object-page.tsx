/** One object: its text in the editor, its findings at their lines, what it speaks of and what speaks of it. */
import { lazy, Suspense, useEffect, useMemo, useState } from 'react';
import type { ConfigAnswer, Finding } from '#console/api/config.ts';
import { address as api } from '../../store/api.ts';
import { usePage } from '../../store/page.ts';
import { useQuery } from '../../store/query.ts';
import { useSession } from '../../store/session.ts';
import { hrefOf, navigate, setQuery, useUrl } from '../../store/url.ts';
import { Chip } from '../../ui/chip.tsx';
import { Button, Select } from '../../ui/controls.tsx';
import { counted } from '../../ui/format.ts';
import { HealthGlyph } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { Facts, Page, Panel } from '../../ui/panel.tsx';
import { Answered, Loading } from '../../ui/states.tsx';
import { FindingList, Resource } from '../parts/applied.tsx';
import { Age } from '../parts/cells.tsx';
import { Missing } from '../parts/missing.tsx';
import { changedLines } from './changed-lines.ts';
import css from './config.module.css';
import { isChanged, placed } from './editor-state.ts';
import { type ObjectAddress, pathOf } from './object-address.ts';
import type { JsonSchema } from './schema-completion.ts';
import { TEMPLATE_KINDS, templateOf } from './templates.ts';
import { type Editor, useEditor } from './use-editor.ts';

const CodeEditor = lazy(() => import('./code-editor.tsx'));
const REFRESH_MS = 5000;
const PREVIEW_LINES_MAX = 200;

export function ObjectPage({ address }: { address: ObjectAddress }) {
  const { kind, namespace, name } = address;
  const [bareKind] = kind.split('.');
  const answer = useQuery<ConfigAnswer>(api(`config/${pathOf(address)}`), {
    refreshMs: REFRESH_MS,
  });
  const where = namespace === '-' ? '' : ` -n ${namespace}`;
  usePage({
    title: name,
    commands: [`tulle get ${kind.toLowerCase()} ${name}${where} -o yaml`],
  });
  return (
    <Page
      title={name}
      isFilled
      above={
        <>
          <Link href={hrefOf('/config', { kind: bareKind })}>{bareKind}</Link>{' '}
          {namespace !== '-' && namespace}
        </>
      }
      note={answer.data && <ReadOnly answer={answer.data} />}
      lead={answer.data?.summary}
    >
      <Answered
        query={answer}
        what={name}
        missing={
          <Missing
            title={`There is no ${bareKind} ${name}${namespace === '-' ? '' : ` in ${namespace}`}`}
            lists={[
              [`Every ${bareKind}`, hrefOf('/config', { kind: bareKind, ns: undefined })],
              ['All configuration', hrefOf('/config', { ns: undefined })],
            ]}
            command={`tulle get ${kind.toLowerCase()} -A`}
          />
        }
      >
        {(object) => <Opened object={object} kind={kind} />}
      </Answered>
    </Page>
  );
}

function ReadOnly({ answer }: { answer: ConfigAnswer }) {
  const session = useSession();
  if (session.data?.isReadOnly)
    return <Chip title="The console is in read-only mode">read-only</Chip>;
  return answer.isEditable ? null : (
    <Chip title="You have no right to change it">you may not change it</Chip>
  );
}

function Opened({ object, kind }: { object: ConfigAnswer; kind: string }) {
  const editor = useEditor(object.yaml, object.findings);
  const session = useSession();
  const { send } = editor;
  useEffect(
    () => send({ kind: 'loaded', yaml: object.yaml, findings: object.findings }),
    [object.yaml, object.findings, send],
  );
  const isReadOnly = !object.isEditable || session.data?.isReadOnly !== false;
  return (
    <EditorBody
      editor={editor}
      kind={kind}
      isReadOnly={isReadOnly}
      isInForce
      onApplied={() => undefined}
    >
      <Panel title="It speaks of">
        <References resources={object.references} nothing="Nothing else." />
      </Panel>
      <Panel title="That speak of it">
        <References resources={object.referencedBy} nothing="Nothing: it stands alone." />
      </Panel>
      <Panel title="About it">
        <Facts
          rows={[
            ['Created', <Age key="created" at={object.createdAt} />],
            ['Version', object.resourceVersion],
            [
              'Enforced',
              object.enforced === undefined
                ? 'not counted for this kind'
                : `by ${object.enforced.by} of ${object.enforced.of} proxies`,
            ],
          ]}
        />
      </Panel>
    </EditorBody>
  );
}

function References({ resources, nothing }: { resources: readonly string[]; nothing: string }) {
  if (resources.length === 0) return <p>{nothing}</p>;
  return (
    <ul className={css.refs}>
      {resources.map((resource) => (
        <li key={resource}>
          <Resource resource={resource} />
        </li>
      ))}
    </ul>
  );
}

interface EditorBodyProps {
  readonly editor: Editor;
  readonly kind: string;
  readonly isReadOnly: boolean;
  /** What the editor began with is in force. */
  readonly isInForce?: boolean;
  readonly onApplied: (path: string) => void;
  readonly children?: React.ReactNode;
}

const GLYPHS = {
  valid: 'healthy',
  applied: 'healthy',
  invalid: 'failing',
  refused: 'failing',
} as const;

function EditorBody({ editor, kind, isReadOnly, isInForce, onApplied, children }: EditorBodyProps) {
  const { state, send, validate, apply } = editor;
  const schema = useQuery<JsonSchema>(isReadOnly ? undefined : api(`schemas/${kind}`));
  const [goTo, setGoTo] = useState<{ line: number }>();
  const findings = useMemo(
    () => placed(state.findings ?? [], state.text),
    [state.findings, state.text],
  );
  const isBusy = state.step !== 'idle';
  const applyNow = () => void apply().then((path) => path !== undefined && onApplied(path));
  return (
    <div className={css.body}>
      <div className={css.editor}>
        {state.newer !== undefined && (
          <div className={css.newer} role="status">
            It was changed meanwhile; what you apply would undo that.
            <Button onClick={() => send({ kind: 'took newer' })}>Show the newer one</Button>
          </div>
        )}
        <div className={css.text}>
          <Suspense fallback={<Loading what="the editor" />}>
            <CodeEditor
              text={state.text}
              label="YAML"
              isReadOnly={isReadOnly}
              findings={findings}
              schema={schema.data}
              goTo={goTo}
              onText={(text) => send({ kind: 'typed', text })}
            />
          </Suspense>
        </div>
        {!isReadOnly && (
          <div className={css.bar}>
            <Button onClick={() => void validate()} disabled={isBusy}>
              Validate
            </Button>
            <Button look="main" onClick={applyNow} disabled={isBusy || !isChanged(state)}>
              Apply
            </Button>
            <Button
              look="quiet"
              onClick={() => send({ kind: 'reverted' })}
              disabled={isBusy || !isChanged(state)}
            >
              Undo all
            </Button>
            <span className={css.outcome} role="status">
              {isBusy && state.step}
              {state.outcome !== undefined && (
                <>
                  <HealthGlyph status={GLYPHS[state.outcome.kind]} /> {state.outcome.text}
                </>
              )}
            </span>
          </div>
        )}
      </div>
      <div className={css.side}>
        <Panel
          title="Findings"
          note={state.findings === undefined ? 'not judged since it changed' : undefined}
        >
          <FindingList
            findings={findings}
            nothing={
              state.findings === undefined
                ? 'Validate shows what is wrong with it.'
                : 'Nothing is wrong with it.'
            }
            onLine={(finding: Finding) => setGoTo({ line: finding.line ?? 1 })}
          />
        </Panel>
        {isInForce && isChanged(state) && <Preview base={state.base} text={state.text} />}
        {children}
      </div>
    </div>
  );
}

/** What applying changes, before it is applied. */
function Preview({ base, text }: { base: string; text: string }) {
  const lines = useMemo(() => changedLines(base, text), [base, text]);
  const added = lines.filter(({ kind }) => kind === 'added').length;
  return (
    <Panel
      title="What applying changes"
      note={`${counted(added, 'line')} added, ${lines.length - added} removed`}
    >
      <ol className={css.preview}>
        {lines.slice(0, PREVIEW_LINES_MAX).map(({ kind, line, text: words }) => {
          const Mark = kind === 'added' ? 'ins' : 'del';
          return (
            <li key={`${kind} ${line}`}>
              <Mark>
                <span aria-hidden="true">{kind === 'added' ? '+' : '−'}</span> {words}
              </Mark>
            </li>
          );
        })}
      </ol>
      {lines.length > PREVIEW_LINES_MAX && (
        <p>and {lines.length - PREVIEW_LINES_MAX} lines more.</p>
      )}
    </Panel>
  );
}

export function NewObjectPage() {
  const wanted = useUrl().query.get('kind') ?? '';
  const kind = TEMPLATE_KINDS.includes(wanted) ? wanted : TEMPLATE_KINDS[0];
  const namespace = (useUrl().query.get('ns') ?? '').split(',')[0] || 'default';
  const session = useSession();
  usePage({ title: `New ${kind}`, commands: ['tulle apply -f FILE'] });
  return (
    <Page
      title="New object"
      isFilled
      actions={
        <Select
          label="Kind"
          value={kind}
          options={TEMPLATE_KINDS.map((each) => ({ value: each, label: each }))}
          onChange={(value) => setQuery({ kind: value })}
        />
      }
    >
      <NewEditor
        key={`${kind} ${namespace}`}
        kind={kind}
        namespace={namespace}
        isReadOnly={session.data?.isReadOnly !== false}
      />
    </Page>
  );
}

function NewEditor({
  kind,
  namespace,
  isReadOnly,
}: {
  kind: string;
  namespace: string;
  isReadOnly: boolean;
}) {
  const editor = useEditor(templateOf(kind, namespace), undefined);
  return (
    <EditorBody
      editor={editor}
      kind={kind}
      isReadOnly={isReadOnly}
      onApplied={(path) => navigate(hrefOf(`/config/${path}`))}
    />
  );
}
