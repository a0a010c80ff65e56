/**
 * What an editor knows of its text: is it changed, was it judged, was it applied, did the object change underneath. Pure; the page
 * sends what has to be sent.
 */
import type { ApplyAnswer, Finding } from '#console/api/config.ts';
import { lineOf, parseFieldPath } from './yaml-place.ts';

export interface EditorState {
  /** As the API has it. */
  readonly base: string;
  readonly text: string;
  readonly step: 'idle' | 'validating' | 'applying';
  /** Of the text as it stands; undefined: not judged since it changed. */
  readonly findings: readonly Finding[] | undefined;
  readonly outcome:
    | { readonly kind: 'valid' | 'invalid' | 'applied' | 'refused'; readonly text: string }
    | undefined;
  /** The object changed while the text was being changed: its newer text. */
  readonly newer: string | undefined;
}

export type EditorEvent =
  | { readonly kind: 'typed'; readonly text: string }
  | { readonly kind: 'loaded'; readonly yaml: string; readonly findings: readonly Finding[] }
  | { readonly kind: 'sent'; readonly step: 'validating' | 'applying' }
  | {
      readonly kind: 'validated';
      readonly text: string;
      readonly isValid: boolean;
      readonly findings: readonly Finding[];
    }
  | { readonly kind: 'applied'; readonly text: string; readonly answer: ApplyAnswer }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'reverted' }
  | { readonly kind: 'took newer' };

export function startEditor(yaml: string, findings: readonly Finding[] | undefined): EditorState {
  return { base: yaml, text: yaml, step: 'idle', findings, outcome: undefined, newer: undefined };
}

export const isChanged = ({ base, text }: EditorState) => base !== text;

export function editorStep(state: EditorState, event: EditorEvent): EditorState {
  switch (event.kind) {
    case 'typed':
      return event.text === state.text
        ? state
        : { ...state, text: event.text, findings: undefined, outcome: undefined };
    case 'loaded':
      return loaded(state, event);
    case 'sent':
      return { ...state, step: event.step, outcome: undefined };
    case 'validated':
      // What was judged is not what stands there any more.
      if (event.text !== state.text) return { ...state, step: 'idle' };
      return {
        ...state,
        step: 'idle',
        findings: event.findings,
        outcome: judged(event.isValid, event.findings),
      };
    case 'applied':
      return applied(state, event);
    case 'failed':
      return { ...state, step: 'idle', outcome: { kind: 'refused', text: event.message } };
    case 'reverted':
      return startEditor(state.base, undefined);
    case 'took newer':
      return startEditor(state.newer ?? state.base, undefined);
  }
}

function loaded(
  state: EditorState,
  { yaml, findings }: Extract<EditorEvent, { kind: 'loaded' }>,
): EditorState {
  if (yaml === state.base) return isChanged(state) ? state : { ...state, findings };
  return isChanged(state)
    ? { ...state, newer: yaml }
    : { ...startEditor(yaml, findings), outcome: state.outcome };
}

function judged(isValid: boolean, findings: readonly Finding[]): EditorState['outcome'] {
  if (!isValid) return { kind: 'invalid', text: 'It would not be accepted' };
  return {
    kind: 'valid',
    text: findings.length === 0 ? 'It is valid' : 'It is valid, with findings',
  };
}

function applied(
  state: EditorState,
  { text, answer }: Extract<EditorEvent, { kind: 'applied' }>,
): EditorState {
  const { isApplied, findings, error } = answer;
  if (!isApplied)
    return {
      ...state,
      step: 'idle',
      findings,
      outcome: { kind: 'refused', text: error ?? 'It was not applied' },
    };
  return {
    ...state,
    step: 'idle',
    base: text,
    findings: text === state.text ? findings : undefined,
    newer: undefined,
    outcome: { kind: 'applied', text: 'Applied' },
  };
}

/** Each finding with the line it stands at: its own, else that of its field. */
export function placed(
  findings: readonly Finding[],
  text: string,
): (Finding & { readonly line: number })[] {
  return findings
    .map((finding) => ({
      ...finding,
      line: finding.line ?? lineOf(text, parseFieldPath(finding.path)),
    }))
    .sort((a, b) => a.line - b.line);
}
