/** Whether and when a container that ended runs again: pure. */
import {
  RESTART_BACKOFF_CAP_MS,
  RESTART_BACKOFF_INITIAL_MS,
  RESTART_RESET_MS,
  SYSTEM_RESTART_CAP_MS,
} from '../limits.ts';

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export function restarts(policy: RestartPolicy, exitCode: number): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** The first restart is immediate, then 1 s doubling to the cap. `inARow` counts restarts since a healthy run. */
export function restartDelayMs(inARow: number, system: boolean): number {
  if (inARow === 0) return 0;
  const cap = system ? SYSTEM_RESTART_CAP_MS : RESTART_BACKOFF_CAP_MS;
  return Math.min(cap, RESTART_BACKOFF_INITIAL_MS * 2 ** (inARow - 1));
}

/** A long enough run clears the count. */
export function restartsInARow(before: number, ranMs: number): number {
  return ranMs >= RESTART_RESET_MS ? 0 : before;
}
