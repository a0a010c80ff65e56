/** Looks again and again whether what the capture of each pod needs is in place, and puts it back. */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { RECONCILE_INTERVAL_MS, RECONCILE_TICK_MS } from './limits.ts';

export interface Watched {
  readonly name: string;
  /** What is not in place, in words; cheap. */
  differences(): readonly string[];
  /** Puts everything in place, or throws. */
  repair(differences: readonly string[]): void;
}

export interface ReconcileDeps {
  clock: Clock;
  log: Logger;
  /** What should be in place now. */
  watched(): readonly Watched[];
  /** For each thing that was put back. */
  onRepair(what: string): void;
}

export function startReconciler(deps: ReconcileDeps): Disposer {
  let queue: Watched[] = [];
  let share = 0;
  // A few each tick: the data path waits for none of it for long, however many pods there are.
  const timer = deps.clock.every(RECONCILE_TICK_MS, () => {
    if (queue.length === 0) {
      queue = [...deps.watched()];
      share = Math.ceil((queue.length * RECONCILE_TICK_MS) / RECONCILE_INTERVAL_MS);
    }
    for (const each of queue.splice(0, share)) reconcile(deps, each);
  });
  return () => timer.cancel();
}

function reconcile({ log, onRepair }: ReconcileDeps, watched: Watched): void {
  const { name } = watched;
  try {
    const differences = watched.differences();
    if (differences.length === 0) return;
    watched.repair(differences);
    log.warn('capture was not as we left it and is repaired', {
      name,
      repaired: differences.join(', '),
    });
    for (const what of differences) onRepair(what);
  } catch (error) {
    log.error('cannot repair capture', { name, error: messageOf(error) });
  }
}
