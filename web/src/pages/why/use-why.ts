/** Asks `why` once for each question, and again when the reader asks again. */
import { useCallback, useEffect, useState } from 'react';
import type { WhyAnswer, WhyRequest } from '#cli/why/contract.ts';
import { ApiError, address, sendJson } from '../../store/api.ts';
import { now } from '../../store/clock.ts';
import type { Query } from '../../store/query.ts';

type State = Omit<Query<WhyAnswer>, 'reload'>;
const NOTHING: State = { data: undefined, error: undefined, isLoading: false, fetchedAt: 0 };

export function useWhy(request: WhyRequest | undefined): Query<WhyAnswer> {
  const [state, setState] = useState(NOTHING);
  const [round, setRound] = useState(0);
  const body = request === undefined ? undefined : JSON.stringify(request);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another round asks the same question again.
  useEffect(() => {
    if (body === undefined) return;
    let isGone = false;
    setState((before) => ({ ...before, error: undefined, isLoading: true }));
    sendJson<WhyAnswer>('POST', address('why'), JSON.parse(body)).then(
      (data) => !isGone && setState({ data, error: undefined, isLoading: false, fetchedAt: now() }),
      (error) =>
        !isGone &&
        setState({
          ...NOTHING,
          error:
            error instanceof ApiError
              ? error
              : new ApiError(String(error), { status: 0, cause: error }),
        }),
    );
    return () => {
      isGone = true;
    };
  }, [body, round]);
  return { ...state, reload: useCallback(() => setRound((before) => before + 1), []) };
}
