/** Live requests: kept while the page is open, the youngest first, and no more than a person can look through. */
import { useEffect, useRef, useState } from 'react';
import type { RequestRow } from '#console/api/traffic.ts';
import { type EventsState, openEvents } from './events.ts';

/** Older ones fall off: what is worth keeping is among the recent requests of the store. */
export const TAP_ROWS_MAX = 500;
/** Drawn so often at most: a thousand requests a second are not a thousand renders. */
const DRAW_MS = 250;

export interface Tap {
  readonly rows: readonly RequestRow[];
  /** That came since the page was opened. */
  readonly seen: number;
  /** That the proxies or the control plane left out. */
  readonly dropped: number;
  readonly state: EventsState;
}

const NOTHING: Tap = { rows: [], seen: 0, dropped: 0, state: 'connecting' };

/** Undefined: not open. While it is paused, what comes is counted and not shown. */
export function useTap(address: string | undefined, isPaused: boolean): Tap {
  const [tap, setTap] = useState(NOTHING);
  const paused = useRef(isPaused);
  paused.current = isPaused;
  useEffect(() => {
    setTap(NOTHING);
    if (address === undefined) return;
    let waiting: RequestRow[] = [];
    let seen = 0;
    let dropped = 0;
    const draw = () => {
      const came = waiting;
      if (came.length === 0 && dropped === 0) return;
      waiting = [];
      setTap((before) => ({
        ...before,
        seen,
        dropped,
        rows:
          paused.current || came.length === 0
            ? before.rows
            : [...came.reverse(), ...before.rows].slice(0, TAP_ROWS_MAX),
      }));
    };
    const timer = setInterval(draw, DRAW_MS);
    const close = openEvents(address, {
      on: {
        request: (row: RequestRow) => {
          seen++;
          waiting.push(row);
          if (waiting.length > TAP_ROWS_MAX) waiting.shift();
        },
        dropped: ({ count }: { count: number }) => {
          dropped += count;
        },
      },
      onState: (state) => setTap((before) => ({ ...before, state })),
    });
    return () => {
      clearInterval(timer);
      close();
    };
  }, [address]);
  return tap;
}
