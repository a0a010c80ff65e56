/** Light, dark, or as the system says; remembered. */
import { useSyncExternalStore } from 'react';
import { remember, remembered } from './remembered.ts';

export type Theme = 'system' | 'light' | 'dark';

const listeners = new Set<() => void>();
let theme: Theme = remembered<Theme>('theme', 'system');

export function applyTheme(next: Theme = theme): void {
  theme = next;
  remember('theme', next === 'system' ? undefined : next);
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  for (const listener of listeners) listener();
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, () => theme);
}

/** Which of the two is seen. Canvases draw again when it changes. */
export function useIsDark(): boolean {
  return useSyncExternalStore(subscribe, isDark);
}

function isDark(): boolean {
  return theme === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
}

function subscribe(listener: () => void): () => void {
  const media = matchMedia('(prefers-color-scheme: dark)');
  listeners.add(listener);
  media.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    media.removeEventListener('change', listener);
  };
}
