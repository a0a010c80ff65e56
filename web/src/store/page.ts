/** What the page in view tells the frame: its title, the commands that print the same, what the palette can do there, and its keys. */
import { useEffect, useSyncExternalStore } from 'react';

export interface PageAction {
  readonly title: string;
  readonly key?: string;
  readonly run: () => void;
}

export interface PageFacts {
  readonly title: string;
  /** Lines for a terminal. */
  readonly commands: readonly string[];
  readonly actions?: readonly PageAction[];
  /** What changes only what the page shows: keys and their meaning, for the sheet. */
  readonly keys?: readonly { readonly key: string; readonly does: string }[];
}

const NONE: PageFacts = { title: '', commands: [] };
const listeners = new Set<() => void>();
let facts = NONE;

function publish(next: PageFacts): void {
  facts = next;
  document.title = next.title === '' ? 'Tulle' : `${next.title} · Tulle`;
  for (const listener of listeners) listener();
}

/** Called by each page with what it shows now. */
export function usePage(next: PageFacts): void {
  const { title, commands, actions } = next;
  const key = JSON.stringify([title, commands, actions?.map((action) => action.title)]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the facts are new objects at each render; their text says whether they changed.
  useEffect(() => {
    publish(next);
    return () => publish(NONE);
  }, [key]);
}

export function usePageFacts(): PageFacts {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => facts,
  );
}
