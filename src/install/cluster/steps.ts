/** How an installation tells what it does: a line for each step, with the time since it began. */
import type { Clock } from '#base/clock.ts';

export interface Steps {
  /** A step that is done, or what is waited for now. */
  say(text: string): void;
  readonly elapsedMs: number;
}

export function startSteps(clock: Clock, write: (line: string) => void): Steps {
  const startedAt = clock.now();
  const elapsed = () => clock.now() - startedAt;
  return {
    say: (text) => write(`${(elapsed() / 1000).toFixed(1).padStart(6)}s  ${text}\n`),
    get elapsedMs() {
      return Math.round(elapsed());
    },
  };
}
