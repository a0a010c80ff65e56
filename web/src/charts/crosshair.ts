/** The moment under the pointer, shared by all charts of a page: what happened in one is read off the others. */
import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let moment: number | undefined;

/** Undefined: the pointer has left. */
export function pointAt(ms: number | undefined): void {
  if (ms === moment) return;
  moment = ms;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePointed(): number | undefined {
  return useSyncExternalStore(subscribe, () => moment);
}
