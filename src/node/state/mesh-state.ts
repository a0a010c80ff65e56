/** Holds the snapshot in force and tells who waits for the next one. Fed by xDS (xds-source.ts) or a file. */

import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { EMPTY_SNAPSHOT, type MeshSnapshot } from './mesh-snapshot.ts';

export class MeshState {
  #current: MeshSnapshot = EMPTY_SNAPSHOT;
  readonly #listeners = new Set<(snapshot: MeshSnapshot) => void>();

  get current(): MeshSnapshot {
    return this.#current;
  }

  replace(snapshot: MeshSnapshot): void {
    this.#current = snapshot;
    for (const listener of [...this.#listeners]) listener(snapshot);
  }

  onChange(listener: (snapshot: MeshSnapshot) => void): Disposer {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** `find` over this and later snapshots until it answers or the time is up. Calls back at once when it can. */
  waitFor<T>(
    find: (snapshot: MeshSnapshot) => T | undefined,
    options: { clock: Clock; timeoutMs: number },
    done: (found: T | undefined) => void,
  ): void {
    const now = find(this.#current);
    if (now !== undefined) {
      done(now);
      return;
    }
    const finish = (found: T | undefined) => {
      stop();
      timer.cancel();
      done(found);
    };
    const stop = this.onChange((snapshot) => {
      const found = find(snapshot);
      if (found !== undefined) finish(found);
    });
    const timer = options.clock.after(options.timeoutMs, () => finish(undefined));
  }
}
