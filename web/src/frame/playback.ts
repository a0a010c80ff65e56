/** Playing the past: moves the moment in the address on, and ends at now. */
import { useEffect, useState } from 'react';
import { now } from '../store/clock.ts';
import { setAt } from '../store/scope.ts';

export const SPEEDS = [1, 10, 60] as const;

export interface Playback {
  readonly isPlaying: boolean;
  readonly speed: number;
  readonly play: (fromMs: number) => void;
  readonly pause: () => void;
  readonly setSpeed: (speed: number) => void;
}

const STEP_MS = 1000;

export function usePlayback(atMs: number | undefined): Playback {
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(10);
  useEffect(() => {
    if (!isPlaying || atMs === undefined) return;
    const timer = setTimeout(() => {
      const next = atMs + STEP_MS * speed;
      if (next < now()) return setAt(next, { replace: true });
      setPlaying(false);
      setAt(undefined, { replace: true });
    }, STEP_MS);
    return () => clearTimeout(timer);
  }, [isPlaying, atMs, speed]);
  return {
    isPlaying: isPlaying && atMs !== undefined,
    speed,
    play: (fromMs) => {
      setAt(fromMs);
      setPlaying(true);
    },
    pause: () => setPlaying(false),
    setSpeed,
  };
}
