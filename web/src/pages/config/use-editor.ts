/** An editor's state with what it sends: validate, apply (with a dry run first for errors), and the object itself. */
import { useReducer } from 'react';
import type { ApplyAnswer, Finding, ValidateAnswer } from '#console/api/config.ts';
import { ApiError, address, sendJson } from '../../store/api.ts';
import { type EditorEvent, type EditorState, editorStep, startEditor } from './editor-state.ts';
import { addressOfText, pathOf } from './object-address.ts';

export interface Editor {
  readonly state: EditorState;
  readonly send: (event: EditorEvent) => void;
  readonly validate: () => Promise<void>;
  /** Where the object is, when it was applied. */
  readonly apply: () => Promise<string | undefined>;
}

export function useEditor(yaml: string, findings: readonly Finding[] | undefined): Editor {
  const [state, send] = useReducer(editorStep, undefined, () => startEditor(yaml, findings));
  const { text } = state;
  const failed = (error: unknown) => {
    const hint = error instanceof ApiError && error.hint !== '' ? `. ${error.hint}` : '';
    send({ kind: 'failed', message: `${(error as Error).message}${hint}` });
  };
  const validate = async () => {
    send({ kind: 'sent', step: 'validating' });
    try {
      const answer = await sendJson<ValidateAnswer>('POST', address('config/validate'), {
        yaml: text,
      });
      send({ kind: 'validated', text, ...answer });
    } catch (error) {
      failed(error);
    }
  };
  const apply = async () => {
    const { address: place, problem } = addressOfText(text);
    if (place === undefined) {
      send({ kind: 'failed', message: problem });
      return undefined;
    }
    send({ kind: 'sent', step: 'applying' });
    try {
      const answer = await sendJson<ApplyAnswer>('PUT', address(`config/${pathOf(place)}`), {
        yaml: text,
        dryRun: false,
      });
      send({ kind: 'applied', text, answer });
      return answer.isApplied ? pathOf(place) : undefined;
    } catch (error) {
      failed(error);
      return undefined;
    }
  };
  return { state, send, validate, apply };
}
