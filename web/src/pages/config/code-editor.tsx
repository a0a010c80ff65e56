/**
 * The YAML editor: CodeMirror with our colours, findings as marks at their lines, completion by the kind's schema. Loaded only when an
 * object is opened.
 */
import {
  autocompletion,
  type CompletionContext,
  closeBrackets,
  completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentLess, insertTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintGutter, setDiagnostics } from '@codemirror/lint';
import { Compartment, EditorState } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { Finding } from '#console/api/config.ts';
import { completionsAt, type JsonSchema } from './schema-completion.ts';
import { keysBeside, placeAt } from './yaml-place.ts';

export interface CodeEditorProps {
  readonly text: string;
  readonly label: string;
  readonly isReadOnly: boolean;
  readonly findings: readonly (Finding & { readonly line: number })[];
  readonly schema: JsonSchema | undefined;
  /** A line to go to; another object goes there again. */
  readonly goTo: { readonly line: number } | undefined;
  readonly onText: (text: string) => void;
}

const LEVELS = { error: 'error', warning: 'warning', info: 'info' } as const;

const THEME = EditorView.theme({
  '&': {
    height: '100%',
    fontSize: 'var(--text-s)',
    backgroundColor: 'var(--s1)',
    color: 'var(--s10)',
  },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px' },
  '.cm-gutters': {
    backgroundColor: 'var(--s1)',
    color: 'var(--s8)',
    border: 'none',
    paddingRight: '4px',
  },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--s2)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--accent-soft) !important',
  },
  '.cm-cursor': { borderLeftColor: 'var(--s10)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--s1)',
    color: 'var(--s10)',
    border: '1px solid var(--s5)',
    borderRadius: 'var(--radius)',
    boxShadow: 'var(--shadow)',
  },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--accent-soft)',
    color: 'var(--s10)',
  },
  '.cm-completionDetail': { color: 'var(--s8)', fontStyle: 'normal', marginLeft: '12px' },
  '.cm-completionInfo': { padding: '6px 8px', maxWidth: '360px' },
  '.cm-diagnostic': {
    fontFamily: 'var(--sans)',
    fontSize: 'var(--text-s)',
    padding: '4px 8px',
    borderLeft: 'none',
  },
  '.cm-lintRange-error': { backgroundImage: 'none', borderBottom: '2px solid var(--failing)' },
  '.cm-lintRange-warning': { backgroundImage: 'none', borderBottom: '2px dashed var(--degraded)' },
  '.cm-lintRange-info': { backgroundImage: 'none', borderBottom: '1px dotted var(--s8)' },
});

const COLOURS = syntaxHighlighting(
  HighlightStyle.define([
    { tag: tags.definition(tags.propertyName), color: 'var(--s10)', fontWeight: '600' },
    { tag: tags.propertyName, color: 'var(--s10)', fontWeight: '600' },
    { tag: tags.comment, color: 'var(--s8)', fontStyle: 'italic' },
    { tag: [tags.string, tags.content, tags.number, tags.bool, tags.null], color: 'var(--s9)' },
    { tag: [tags.punctuation, tags.separator, tags.meta], color: 'var(--s8)' },
  ]),
);

const isTabIndent = [{ key: 'Tab', run: insertTab, shift: indentLess }];

export default function CodeEditor(props: CodeEditorProps) {
  const { text, label, isReadOnly, findings, goTo } = props;
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const readOnly = useRef(new Compartment());
  // biome-ignore lint/correctness/useExhaustiveDependencies: the view is made once; the effects below keep it in step.
  useEffect(() => {
    // In a shadow tree its styles are set by script and need no exception from the content policy.
    const root = box.current!.shadowRoot ?? box.current!.attachShadow({ mode: 'open' });
    const made = new EditorView({
      parent: root as unknown as Element,
      root,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          closeBrackets(),
          indentUnit.of('  '),
          yaml(),
          COLOURS,
          THEME,
          autocompletion({
            override: [(context) => complete(context, latest.current.schema)],
            icons: false,
            activateOnTyping: true,
          }),
          keymap.of([...completionKeymap, ...historyKeymap, ...defaultKeymap, ...isTabIndent]),
          readOnly.current.of(EditorState.readOnly.of(isReadOnly)),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onText(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    // What scrolls must be reachable by keyboard, also where the text cannot be changed.
    made.scrollDOM.tabIndex = 0;
    // From outside, what is typed in a shadow tree looks like keys of the page.
    const host = box.current!;
    const keep = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key !== 'k') event.stopPropagation();
    };
    host.addEventListener('keydown', keep);
    return () => {
      host.removeEventListener('keydown', keep);
      made.destroy();
    };
  }, []);
  useEffect(() => {
    const now = view.current!;
    if (now.state.doc.toString() !== text)
      now.dispatch({ changes: { from: 0, to: now.state.doc.length, insert: text } });
  }, [text]);
  useEffect(() => {
    view.current!.dispatch({
      effects: readOnly.current.reconfigure(EditorState.readOnly.of(isReadOnly)),
    });
  }, [isReadOnly]);
  useEffect(() => {
    const now = view.current!;
    now.dispatch(
      setDiagnostics(
        now.state,
        findings.map((finding) => diagnostic(now.state, finding)),
      ),
    );
  }, [findings]);
  useEffect(() => {
    if (goTo === undefined) return;
    const now = view.current!;
    const line = now.state.doc.line(Math.min(goTo.line, now.state.doc.lines));
    now.dispatch({
      selection: { anchor: line.from },
      effects: EditorView.scrollIntoView(line.from, { y: 'center' }),
    });
    now.focus();
  }, [goTo]);
  return <div ref={box} style={{ height: '100%', minHeight: 0 }} />;
}

/** A mark under what stands in the line. */
function diagnostic(state: EditorState, finding: Finding & { readonly line: number }): Diagnostic {
  const line = state.doc.line(Math.max(1, Math.min(finding.line, state.doc.lines)));
  const from = line.from + (/^\s*(- )*/.exec(line.text)?.[0].length ?? 0);
  const hint = finding.hint === '' ? '' : ` ${finding.hint}`;
  return {
    from: Math.min(from, line.to),
    to: line.to,
    severity: LEVELS[finding.level],
    source: finding.code,
    message: `${finding.message}${hint}`,
  };
}

/** Tab may not trap the keyboard: Escape and then Tab leaves, as CodeMirror does. */
function complete(context: CompletionContext, schema: JsonSchema | undefined) {
  if (schema === undefined) return null;
  const text = context.state.doc.toString();
  const place = placeAt(text, context.pos);
  const typed = place.isValue ? place.value : place.key;
  if (typed === '' && !context.explicit) return null;
  const found = completionsAt(schema, place, keysBeside(text, context.pos));
  if (found.length === 0) return null;
  return {
    from: context.pos - typed.length,
    options: found.map(({ label, apply, detail, info, isRequired }) => ({
      label,
      apply,
      detail: isRequired ? `${detail}, required` : detail,
      ...(info !== '' && { info }),
      boost: isRequired ? 1 : 0,
    })),
    validFor: /^[\w$.-]*$/,
  };
}
