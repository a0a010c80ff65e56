/** The console's one clock: the time now, and a tick a second for what shows ages. */
import { useSyncExternalStore } from 'react';

export const now = (): number => Date.now();

let tick = now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    tick = now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Milliseconds since the epoch, new each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => tick);
}
