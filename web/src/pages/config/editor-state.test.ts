import { describe, expect, test } from 'bun:test';
import type { Finding } from '#console/api/config.ts';
import {
  type EditorEvent,
  type EditorState,
  editorStep,
  isChanged,
  placed,
  startEditor,
} from './editor-state.ts';

const finding: Finding = {
  code: 'IST0101',
  level: 'error',
  message: 'no such host',
  resource: 'VirtualService shop/a',
  path: 'spec.host',
  hint: '',
};
const after = (...events: EditorEvent[]): EditorState =>
  events.reduce(editorStep, startEditor('a', []));
const answer = { isValid: true, isApplied: true, findings: [] };

describe('editorStep', () => {
  test('editorStep forgets what was judged when the text changes', () => {
    const judged = after({ kind: 'validated', text: 'a', isValid: false, findings: [finding] });
    expect(judged.outcome?.kind).toBe('invalid');
    const typed = editorStep(judged, { kind: 'typed', text: 'b' });
    expect(typed).toMatchObject({ findings: undefined, outcome: undefined });
    expect(isChanged(typed)).toBe(true);
  });

  test('editorStep ignores a judgement of another text', () => {
    const state = after(
      { kind: 'sent', step: 'validating' },
      { kind: 'typed', text: 'b' },
      { kind: 'validated', text: 'a', isValid: true, findings: [] },
    );
    expect(state).toMatchObject({ step: 'idle', outcome: undefined });
  });

  test('editorStep after applying is unchanged again', () => {
    const state = after(
      { kind: 'typed', text: 'b' },
      { kind: 'sent', step: 'applying' },
      { kind: 'applied', text: 'b', answer },
    );
    expect(isChanged(state)).toBe(false);
    expect(state.outcome?.kind).toBe('applied');
  });

  test('editorStep keeps the text when it is refused, and says why', () => {
    const state = after(
      { kind: 'typed', text: 'b' },
      {
        kind: 'applied',
        text: 'b',
        answer: { ...answer, isApplied: false, error: 'forbidden', findings: [finding] },
      },
    );
    expect(state).toMatchObject({
      text: 'b',
      base: 'a',
      outcome: { kind: 'refused', text: 'forbidden' },
      findings: [finding],
    });
  });

  test('editorStep takes a new version over an untouched text, and keeps a changed one beside it', () => {
    expect(after({ kind: 'loaded', yaml: 'c', findings: [] }).text).toBe('c');
    const both = after({ kind: 'typed', text: 'b' }, { kind: 'loaded', yaml: 'c', findings: [] });
    expect(both).toMatchObject({ text: 'b', newer: 'c' });
    expect(editorStep(both, { kind: 'took newer' })).toMatchObject({
      text: 'c',
      base: 'c',
      newer: undefined,
    });
  });

  test('editorStep reverted is as it was loaded', () => {
    expect(after({ kind: 'typed', text: 'b' }, { kind: 'reverted' })).toMatchObject({
      text: 'a',
      outcome: undefined,
    });
  });
});

test('placed puts a finding at its line, or at that of its field', () => {
  const text = 'kind: A\nspec:\n  host: b\n';
  expect(placed([finding, { ...finding, line: 1 }], text).map((each) => each.line)).toEqual([1, 3]);
});
